"""What a file is said to be."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from inkontext.errors import InKontextError, WeightsError
from inkontext.model.presets import PRESETS
from inkontext.weights.describe import describe_lora, describe_model, lora_family
from inkontext.weights.source import resolve
from inkontext.weights.tensors import TensorFiles
from tests.weights.samples import meta_shapes, reduced, save_bfl

LORAS = {
    "diffusers": ["transformer.transformer_blocks.0.attn.to_q.lora_A.weight"],
    "diffusers, adapter named": ["transformer.single_transformer_blocks.3.proj_out.lora_A.default.weight"],
    "diffusers, text": ["text_encoder.text_model.encoder.layers.0.self_attn.q_proj.lora_A.weight"],
    "kohya": [
        "lora_unet_double_blocks_0_img_attn_qkv.lora_down.weight",
        "lora_unet_double_blocks_0_img_attn_qkv.alpha",
    ],
    "kohya, text": ["lora_te1_text_model_encoder_layers_0_mlp_fc1.lora_down.weight"],
    "kohya, ai-toolkit": ["lora_transformer_single_transformer_blocks_0_norm_linear.lora_down.weight"],
    "comfyui": ["diffusion_model.double_blocks.0.img_attn.qkv.lora_down.weight"],
    "comfyui, A and B": ["diffusion_model.single_blocks.0.linear1.lora_A.weight"],
    "xlabs": ["double_blocks.0.processor.qkv_lora1.down.weight", "double_blocks.0.processor.qkv_lora1.up.weight"],
    "xlabs, single": ["single_blocks.0.processor.qkv_lora.down.weight"],
    "bfl-control": ["double_blocks.0.img_attn.norm.query_norm.scale", "double_blocks.0.img_mod.lin.lora_A.weight"],
    "fal": ["base_model.model.double_blocks.0.img_attn.qkv.lora_A.weight"],
}


@pytest.mark.parametrize("name", sorted(LORAS))
def test_lora_families(name: str) -> None:
    assert lora_family(LORAS[name]) == name.partition(",")[0]


@pytest.mark.parametrize("preset", ["kontext-dev", "schnell"])
def test_a_model_is_no_lora(preset: str) -> None:
    assert lora_family(list(meta_shapes(PRESETS[preset].transformer))) is None
    assert lora_family(list(meta_shapes(PRESETS[preset].autoencoder))) is None


def test_a_lora_is_described(tmp_path: Path) -> None:
    stem = "lora_unet_double_blocks_{}_img_attn_qkv"
    state = {}
    for i, rank in enumerate((4, 4, 8)):
        state[f"{stem.format(i)}.lora_down.weight"] = torch.ones(rank, 16)
        state[f"{stem.format(i)}.lora_up.weight"] = torch.ones(48, rank)
        state[f"{stem.format(i)}.alpha"] = torch.tensor(2.0)
    save_file(state, tmp_path / "lora.safetensors", {"ss_base": "flux"})
    body = describe_lora(TensorFiles([tmp_path / "lora.safetensors"]))
    assert (body["family"], body["modules"], body["dora"]) == ("kohya", 3, False)
    assert (body["ranks"], body["alphas"]) == ({4: 2, 8: 1}, {2.0: 3})
    assert body["targets"] == ["lora_unet_double_blocks_N_img_attn_qkv"]
    assert body["metadata"] == {"ss_base": "flux"}


def test_what_is_neither_is_told_in_a_sentence(tmp_path: Path) -> None:
    save_file({"x": torch.ones(1)}, tmp_path / "x.safetensors")
    with pytest.raises(WeightsError, match="is neither a model nor a LoRA that is known here; check the file"):
        describe_lora(TensorFiles([tmp_path / "x.safetensors"]))


def test_a_model_is_described(debug_folder: Path) -> None:
    body = describe_model(resolve(debug_folder))
    state = load_file(debug_folder / "transformer/diffusion_pytorch_model.safetensors")
    vae = load_file(debug_folder / "vae/diffusion_pytorch_model.safetensors")
    assert (body["layout"], body["architecture"], body["trained"]) == ("diffusers", "debug", False)
    assert (body["parameters"], body["tensors"]) == (sum(t.numel() for t in state.values()), len(state))
    assert body["autoencoder"]["parameters"] == sum(t.numel() for t in vae.values())
    assert body["dtypes"] == {"float32": len(state)}
    assert body["keys"] == {"matched": len(state), "missing": [], "unused": [], "mis_shaped": []}
    assert body["text_parts"] == ["text_encoder", "text_encoder_2", "tokenizer", "tokenizer_2"]
    assert json.loads(json.dumps(body))["fingerprint"] == body["fingerprint"]


def test_what_does_not_fit_is_listed_not_raised(tmp_path: Path) -> None:
    path = save_bfl(tmp_path, reduced("dev"))
    state = load_file(path)
    del state["txt_in.bias"]
    save_file(state | {"wings": torch.ones(1), "img_in.bias": torch.ones(3)}, path)
    keys = describe_model(resolve(path))["keys"]
    assert (keys["missing"], keys["unused"]) == (["txt_in.bias"], ["wings"])
    assert keys["mis_shaped"] == ["img_in.bias is [3], should be [256]"]


STEM = "lora_unet_double_blocks_0_img_attn_qkv"
DOWN = {f"{STEM}.lora_down.weight": torch.ones(4, 16)}
DAMAGED: dict[str, tuple[dict[str, torch.Tensor], str]] = {
    "two alphas": (DOWN | {f"{STEM}.alpha": torch.ones(2)}, r"\.alpha in '.*' is \[2\], not one number"),
    "no alpha": (DOWN | {f"{STEM}.alpha": torch.ones(0)}, r"\.alpha in '.*' is \[0\], not one number"),
    "alpha nan": (DOWN | {f"{STEM}.alpha": torch.tensor(float("nan"))}, r"\.alpha in '.*' is nan, not one number"),
    "alpha inf": (DOWN | {f"{STEM}.alpha": torch.tensor(float("inf"))}, r"\.alpha in '.*' is inf, not one number"),
    "scalar": ({f"{STEM}.lora_down.weight": torch.tensor(1.0)}, r"is float32 \[\], no low-rank matrix"),
    "vector": ({f"{STEM}.lora_down.weight": torch.ones(4)}, r"is float32 \[4\], no low-rank matrix"),
    "rank 0": ({f"{STEM}.lora_down.weight": torch.ones(0, 16)}, r"is float32 \[0, 16\], no low-rank matrix"),
    "integers": ({f"{STEM}.lora_down.weight": torch.ones(4, 16).long()}, r"is int64 \[4, 16\], no low-rank matrix"),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_a_damaged_lora_is_told_by_its_tensor(tmp_path: Path, case: str) -> None:
    state, told = DAMAGED[case]
    save_file(state, tmp_path / "lora.safetensors")
    with pytest.raises(WeightsError, match=told + "; the file is damaged, get it again"):
        describe_lora(TensorFiles([tmp_path / "lora.safetensors"]))


@pytest.mark.parametrize("shape", [(), (1,), (1, 1)])
def test_an_alpha_of_one_number_has_any_shape(tmp_path: Path, shape: tuple[int, ...]) -> None:
    save_file(DOWN | {f"{STEM}.alpha": torch.full(shape, 3.0)}, tmp_path / "lora.safetensors")
    assert describe_lora(TensorFiles([tmp_path / "lora.safetensors"]))["alphas"] == {3.0: 1}


@given(changes=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), min_size=1, max_size=6))
def test_any_bytes_are_described_or_told_in_a_sentence(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[int, int]]
) -> None:
    path = tmp_path_factory.mktemp("lora") / "lora.safetensors"
    save_file(DOWN | {f"{STEM}.alpha": torch.tensor(2.0)}, path)
    content = bytearray(path.read_bytes())
    for place, value in changes:
        content[place] = value
    path.write_bytes(content)
    try:
        files = TensorFiles([path])
        body = describe_lora(files) if lora_family(list(files)) else describe_model(resolve(path))
        assert body["kind"] == "lora"
    except InKontextError as error:
        assert len(str(error).splitlines()) == 1
