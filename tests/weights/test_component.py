"""One network found inside whatever file holds it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from inkontext.errors import WeightsError
from inkontext.model.presets import PRESETS
from inkontext.weights.component import find_component
from inkontext.weights.load import load_autoencoder, load_transformer, place_all
from inkontext.weights.tensors import TensorFiles
from tests.weights.samples import assert_same_state, random_state, same_bytes, to_diffusers

TRANSFORMER, AUTOENCODER = PRESETS["debug"].transformer, PRESETS["debug"].autoencoder
EXACT = place_all("cpu", torch.float32)
LINEAR = "double_blocks.0.img_attn.qkv"
FP8 = torch.float8_e4m3fn


def open_file(folder: Path, state: dict[str, Tensor]) -> TensorFiles:
    save_file(state, folder / "model.safetensors")
    return TensorFiles([folder / "model.safetensors"])


def load(files: TensorFiles, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
    return load_transformer(find_component(files, "transformer"), TRANSFORMER, place_all("cpu", dtype)).state_dict()


def prefixed(prefix: str, state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {prefix + name: t for name, t in state.items()}


@pytest.mark.parametrize("naming", ["bfl", "diffusers"])
@pytest.mark.parametrize("prefix", ["", "model.diffusion_model.", "diffusion_model.", "transformer."])
def test_every_prefix_and_naming(tmp_path: Path, prefix: str, naming: str) -> None:
    state = random_state(TRANSFORMER)
    stored = state if naming == "bfl" else to_diffusers(state, TRANSFORMER)
    files = open_file(tmp_path, prefixed(prefix, stored))
    component = find_component(files, "transformer")
    assert (component.prefix, component.naming) == (prefix, naming)
    assert_same_state(load(files), state)


@pytest.mark.parametrize("naming", ["bfl", "diffusers"])
@pytest.mark.parametrize("prefix", ["", "vae.", "first_stage_model."])
def test_every_autoencoder_prefix_and_naming(tmp_path: Path, prefix: str, naming: str) -> None:
    state = random_state(AUTOENCODER)
    stored = state if naming == "bfl" else to_diffusers(state, AUTOENCODER)
    component = find_component(open_file(tmp_path, prefixed(prefix, stored)), "autoencoder")
    assert (component.prefix, component.naming) == (prefix, naming)
    assert_same_state(load_autoencoder(component, AUTOENCODER, EXACT).state_dict(), state)


@pytest.mark.parametrize("prefix", ["", "model.diffusion_model."])
@pytest.mark.parametrize("vae", ["vae.", "first_stage_model."])
def test_all_in_one_files_hold_both(tmp_path: Path, prefix: str, vae: str) -> None:
    transformer, autoencoder = random_state(TRANSFORMER), random_state(AUTOENCODER)
    tower = {"text_encoders.clip_l.transformer.text_model.x": torch.ones(2), "text_encoders.t5xxl.y": torch.ones(3)}
    files = open_file(tmp_path, prefixed(prefix, transformer) | prefixed(vae, autoencoder) | tower)
    found = find_component(files, "transformer"), find_component(files, "autoencoder")
    assert [sorted(c.names()) for c in found] == [sorted(transformer), sorted(autoencoder)]
    assert found[0].count() == sum(t.numel() for t in transformer.values())
    assert_same_state(load(files), transformer)
    assert_same_state(load_autoencoder(found[1], AUTOENCODER, EXACT).state_dict(), autoencoder)


@pytest.mark.parametrize("prefix", ["", "model.diffusion_model."])
@pytest.mark.parametrize("stranger", ["double_blocks.0.img_attn.extra.weight", "lora.thing", "{}double_blocks.7.lost"])
def test_strangers_are_named(tmp_path: Path, prefix: str, stranger: str) -> None:
    name = stranger.format(prefix)
    files = open_file(tmp_path, prefixed(prefix, random_state(TRANSFORMER)) | {name: torch.ones(1)})
    with pytest.raises(WeightsError, match=f"1 unused: {name.removeprefix(prefix)}"):
        load(files)


def damage(state: dict[str, Tensor], how: str) -> str:
    """Spoil one tensor; what the message must say about it."""
    if how == "missing":
        del state["txt_in.bias"]
        return r"1 missing: txt_in\.bias\."
    state["txt_in.bias"] = torch.ones(5)
    return r"1 of another shape or type: txt_in\.bias is \[5\], should be \[64\]"


@pytest.mark.parametrize("how", ["missing", "shape"])
def test_what_does_not_fit_is_named(tmp_path: Path, how: str) -> None:
    state = random_state(TRANSFORMER)
    message = damage(state, how)
    with pytest.raises(WeightsError, match=message):
        load(open_file(tmp_path, state))


def test_a_missing_third_is_named_in_the_files_own_words(tmp_path: Path) -> None:
    state = to_diffusers(random_state(TRANSFORMER), TRANSFORMER)
    del state["single_transformer_blocks.1.attn.to_k.bias"]
    with pytest.raises(WeightsError, match=r"1 missing: single_transformer_blocks\.1\.attn\.to_k\.bias"):
        load(open_file(tmp_path, state))


@pytest.mark.parametrize("naming", ["bfl", "diffusers"])
def test_plain_fp8_loads_as_its_cast(tmp_path: Path, naming: str) -> None:
    state = random_state(TRANSFORMER, FP8)
    stored = state if naming == "bfl" else to_diffusers(state, TRANSFORMER)
    loaded = load(open_file(tmp_path, stored), torch.bfloat16)
    assert_same_state(loaded, {n: t.to(torch.bfloat16) for n, t in state.items()})


SCALED = {"old": (".scale_weight", ".scale_input"), "new": (".weight_scale", ".input_scale")}


def scaled_fp8(state: dict[str, Tensor], layout: str, by_row: bool = False) -> dict[str, Tensor]:
    """A checkpoint as ComfyUI quantises it: amax / 448 of each matrix (or row) kept beside it."""
    scale_suffix, input_suffix = SCALED[layout]
    stored = dict(state)
    for name in [n for n, t in state.items() if t.ndim == 2 and "_blocks." in n]:
        stem = name.removesuffix(".weight")
        amax = state[name].abs().amax(1, keepdim=True) if by_row else state[name].abs().amax()
        stored[name] = (state[name] / (amax / 448)).to(FP8)
        stored |= {stem + scale_suffix: amax / 448, stem + input_suffix: torch.tensor(1.0)}
        if layout == "new":
            stored[stem + ".comfy_quant"] = torch.tensor(list(b'{"format": "float8_e4m3fn"}'), dtype=torch.uint8)
    return stored if layout == "new" else stored | {"scaled_fp8": torch.empty(2, dtype=FP8)}


@pytest.mark.parametrize("prefix", ["", "model.diffusion_model."])
@pytest.mark.parametrize("layout", ["old", "new"])
def test_scaled_fp8_is_weight_times_scale(tmp_path: Path, layout: str, prefix: str) -> None:
    stored = scaled_fp8(random_state(TRANSFORMER), layout)
    loaded = load(open_file(tmp_path, prefixed(prefix, stored)))
    scale = stored[LINEAR + SCALED[layout][0]]
    assert same_bytes(loaded[LINEAR + ".weight"], stored[LINEAR + ".weight"].float() * scale)
    assert same_bytes(loaded["img_in.weight"], stored["img_in.weight"])


@pytest.mark.parametrize("layout", ["old", "new"])
def test_scaled_fp8_is_near_the_original(tmp_path: Path, layout: str) -> None:
    state = random_state(TRANSFORMER)
    loaded = load(open_file(tmp_path, scaled_fp8(state, layout)))
    errors = [(loaded[n] - t).abs().max() / t.abs().max() for n, t in state.items()]
    assert max(errors) < 0.04  # half a step of a 3-bit mantissa is 1/16 of the value at most


@pytest.mark.parametrize("flat", [True, False])
def test_a_scale_for_each_row_multiplies_rows(tmp_path: Path, flat: bool) -> None:
    stored = scaled_fp8(random_state(TRANSFORMER), "new", by_row=True)
    scale = stored[LINEAR + ".weight_scale"]
    name = "double_blocks.0.img_attn.proj"  # square: rows and columns could be confused without an error
    expected = stored[name + ".weight"].float() * stored[name + ".weight_scale"].reshape(-1, 1)
    if flat:
        stored |= {n: t.reshape(-1).clone() for n, t in stored.items() if n.endswith(".weight_scale")}
    loaded = load(open_file(tmp_path, stored))
    assert same_bytes(loaded[name + ".weight"], expected)
    assert scale.shape == (192, 1)


def test_block_scales_are_refused(tmp_path: Path) -> None:
    stored = scaled_fp8(random_state(TRANSFORMER), "new")
    stored[LINEAR + ".weight_scale"] = torch.ones(192, 2)
    with pytest.raises(WeightsError, match=r"qkv\.weight_scale in .* scales in blocks"):
        load(open_file(tmp_path, stored))


@pytest.mark.parametrize(
    ("suffix", "says"),
    [
        (".qweight", "nunchaku SVDQuant"),
        (".weight_scale_2", "nvfp4"),
        (".weight.quant_state.bitsandbytes__nf4", "bitsandbytes nf4"),
        (".weight.quant_state.bitsandbytes__fp4", "bitsandbytes fp4"),
        (".SCB", "bitsandbytes int8"),
    ],
)
def test_other_quantisations_are_refused_with_a_sentence(tmp_path: Path, suffix: str, says: str) -> None:
    state = random_state(TRANSFORMER) | {LINEAR + suffix: torch.ones(4)}
    with pytest.raises(WeightsError, match=f"{says} file.*use a bf16, fp8 or plain safetensors"):
        find_component(open_file(tmp_path, state), "transformer")


@pytest.mark.parametrize("kind", ["transformer", "autoencoder"])
def test_a_file_of_something_else_is_refused(tmp_path: Path, kind: str) -> None:
    files = open_file(tmp_path, {"model.embed_tokens.weight": torch.ones(2)})
    with pytest.raises(WeightsError, match=f"holds no FLUX {kind} .*model.embed_tokens.weight"):
        find_component(files, kind)


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="its tensors: nothing"):
        find_component(open_file(tmp_path, {}), "transformer")
