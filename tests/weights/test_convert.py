"""Between BFL's files and diffusers' folders, both ways, to the bit."""

from __future__ import annotations

import errno
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import AutoencoderKL, FluxKontextPipeline, FluxTransformer2DModel
from safetensors.torch import load_file, save_file
from torch import Tensor

from inkontext.errors import InKontextError, OptionError, StorageError, WeightsError
from inkontext.model.presets import PRESETS, TransformerConfig
from inkontext.weights import convert as convert_module
from inkontext.weights import load, tensors
from inkontext.weights.architecture import transformer_json
from inkontext.weights.card import Card
from inkontext.weights.convert import convert
from inkontext.weights.source import TEXT_PARTS, resolve
from inkontext.weights.tensors import write_tensors
from tests.weights.samples import (
    SMALL_AUTOENCODER,
    assert_same_state,
    meta_shapes,
    random_state,
    reduced,
    save_bfl,
    to_diffusers,
)

EXACT = load.place_all("cpu", torch.float32)
TRANSFORMER_FILE = "transformer/diffusion_pytorch_model.safetensors"
VAE_FILE = "vae/diffusion_pytorch_model.safetensors"
presets = pytest.mark.parametrize("name", sorted(PRESETS))


@presets
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_there_and_back_is_the_same_bytes(tmp_path: Path, name: str, dtype: torch.dtype) -> None:
    original = save_bfl(tmp_path / "bfl", reduced(name), dtype, stem=name)
    folder = convert(resolve(original), tmp_path / "folder", "diffusers")
    again = convert(resolve(folder), tmp_path / "again", "bfl")
    assert_same_state(load_file(again / original.name), load_file(original))
    assert_same_state(load_file(again / "ae.safetensors"), load_file(original.with_name("ae.safetensors")))


@presets
def test_back_and_there_is_the_same_bytes(tmp_path: Path, name: str) -> None:
    preset = reduced(name)
    state = to_diffusers(random_state(preset.transformer), preset.transformer)
    for file, content in (
        (TRANSFORMER_FILE, state),
        (VAE_FILE, to_diffusers(random_state(SMALL_AUTOENCODER), SMALL_AUTOENCODER)),
    ):
        (tmp_path / name / file).parent.mkdir(parents=True)
        save_file(content, tmp_path / name / file)
    single = convert(resolve(tmp_path / name), tmp_path / "bfl", "bfl")
    folder = convert(resolve(single), tmp_path / "again", "diffusers")
    assert_same_state(load_file(folder / TRANSFORMER_FILE), state)
    assert_same_state(load_file(folder / VAE_FILE), load_file(tmp_path / name / VAE_FILE))


def inputs(cfg: TransformerConfig) -> dict[str, Tensor]:
    g = torch.Generator().manual_seed(0)
    return {
        "img": torch.randn(1, 6, cfg.in_channels, generator=g),
        "img_ids": torch.tensor([[i // 4, i // 2 % 2, i % 2] for i in range(6)]).float(),
        "txt": torch.randn(1, 3, cfg.context_in_dim, generator=g),
        "txt_ids": torch.zeros(3, 3),
        "timesteps": torch.tensor([0.7]),
        "y": torch.randn(1, cfg.vec_in_dim, generator=g),
    } | ({"guidance": torch.tensor([3.5])} if cfg.guidance_embed else {})


@torch.no_grad()
@presets
def test_diffusers_computes_the_same_from_the_converted_folder(tmp_path: Path, name: str) -> None:
    original = save_bfl(tmp_path / "bfl", reduced(name))
    folder = convert(resolve(original), tmp_path / "folder", "diffusers")
    ours = load.load_transformer(*load.transformer_of(resolve(original)), EXACT)
    theirs: Any = FluxTransformer2DModel.from_pretrained(folder / "transformer", low_cpu_mem_usage=False)
    x = inputs(ours.cfg)
    a = ours(**x)
    b = theirs(
        x["img"], x["txt"], x["y"], x["timesteps"], x["img_ids"], x["txt_ids"], x.get("guidance"), return_dict=False
    )[0]
    assert a.shape == b.shape == (1, 6, 64)
    assert (a - b).abs().max() <= 1e-5 * b.abs().max()


@torch.no_grad()
def test_diffusers_autoencoder_computes_the_same(tmp_path: Path) -> None:
    original = save_bfl(tmp_path / "bfl", reduced("dev"))
    folder = convert(resolve(original), tmp_path / "folder", "diffusers")
    ours = load.load_autoencoder(*load.autoencoder_of(resolve(original)), EXACT)
    theirs: Any = AutoencoderKL.from_pretrained(folder / "vae")
    x = torch.randn(1, 3, 32, 40, generator=torch.Generator().manual_seed(0))
    z = theirs.encode(x).latent_dist.mean
    assert (ours.moments(x)[0] - z).abs().max() <= 1e-5 * z.abs().max()
    b = theirs.decode(z).sample
    a = ours.decode(ours.cfg.scale_factor * (z - ours.cfg.shift_factor))
    assert (a - b).abs().max() <= 1e-5 * b.abs().max()
    assert (theirs.config.scaling_factor, theirs.config.shift_factor) == (0.3611, 0.1159)


def test_a_whole_model_survives_both_ways_and_loads_in_diffusers(debug_folder: Path, tmp_path: Path) -> None:
    single = convert(resolve(debug_folder), tmp_path / "bfl", "bfl")
    folder = convert(resolve(single), tmp_path / "folder", "diffusers")
    for part in ("transformer", "vae"):
        name = f"{part}/diffusion_pytorch_model.safetensors"
        assert_same_state(load_file(folder / name), load_file(debug_folder / name))
    assert resolve(folder).card == resolve(debug_folder).card
    pipeline: Any = FluxKontextPipeline.from_pretrained(folder)
    first = next(iter(load_file(folder / TRANSFORMER_FILE)))
    assert torch.equal(pipeline.transformer.state_dict()[first], load_file(folder / TRANSFORMER_FILE)[first])
    assert sorted(p.name for p in folder.iterdir()) == sorted(p.name for p in debug_folder.iterdir())


@pytest.mark.slow
def test_our_single_file_loads_in_diffusers(tmp_path: Path) -> None:
    """diffusers' reader of single files takes the released width for granted, so this one is a gigabyte."""
    cfg = replace(PRESETS["kontext-dev"].transformer, depth=1, depth_single_blocks=1)
    specs = {n: (torch.bfloat16, s) for n, s in meta_shapes(cfg).items()}
    g = torch.Generator().manual_seed(0)
    path = tmp_path / "flux.safetensors"
    write_tensors(path, specs, lambda n: torch.rand(specs[n][1], generator=g).to(torch.bfloat16))
    (tmp_path / "transformer").mkdir()
    (tmp_path / "transformer/config.json").write_text(json.dumps(transformer_json(cfg)))
    theirs: Any = FluxTransformer2DModel.from_single_file(
        str(path), config=str(tmp_path), subfolder="transformer", torch_dtype=torch.bfloat16, local_files_only=True
    )
    assert_same_state(theirs.state_dict(), to_diffusers(load_file(path), cfg))


def test_shards_are_written_and_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensors, "SHARD_BYTES", 2_000_000)
    original = save_bfl(tmp_path / "bfl", reduced("dev"))
    folder = convert(resolve(original), tmp_path / "folder", "diffusers")
    assert len(list((folder / "transformer").glob("*.safetensors"))) > 3
    theirs: Any = FluxTransformer2DModel.from_pretrained(folder / "transformer")
    assert_same_state(dict(theirs.state_dict()), to_diffusers(load_file(original), reduced("dev").transformer))
    again = convert(resolve(folder), tmp_path / "again", "bfl")
    assert_same_state(load_file(again / original.name), load_file(original))


def test_a_cast_is_torchs(tmp_path: Path) -> None:
    original = save_bfl(tmp_path / "bfl", reduced("dev"))
    written = convert(resolve(original), tmp_path / "half", "bfl", torch.bfloat16)
    assert_same_state(
        load_file(written / "model.safetensors"), {n: t.to(torch.bfloat16) for n, t in load_file(original).items()}
    )


def test_plain_fp8_is_kept_to_the_bit(tmp_path: Path) -> None:
    original = save_bfl(tmp_path / "bfl", reduced("dev"), torch.float8_e4m3fn)
    folder = convert(resolve(original), tmp_path / "folder", "diffusers")
    again = convert(resolve(folder), tmp_path / "again", "bfl")
    assert_same_state(load_file(again / original.name), load_file(original))


def scaled(path: Path) -> dict[str, Tensor]:
    """Halve one matrix in the file and store a scale of two beside it."""
    state = load_file(path)
    state["txt_in.weight"] = state["txt_in.weight"].to(torch.float8_e4m3fn)
    save_file(state | {"txt_in.scale_weight": torch.tensor(2.0)}, path)
    return state


def test_scaled_fp8_needs_a_dtype(tmp_path: Path) -> None:
    original = save_bfl(tmp_path / "bfl", reduced("dev"))
    state = scaled(original)
    with pytest.raises(WeightsError, match=r"scaled fp8.*add --dtype bfloat16"):
        convert(resolve(original), tmp_path / "kept", "diffusers")
    written = convert(resolve(original), tmp_path / "half", "bfl", torch.bfloat16) / "model.safetensors"
    assert torch.equal(load_file(written)["txt_in.weight"], (2 * state["txt_in.weight"].float()).to(torch.bfloat16))


def test_parts_of_different_types_are_told_apart(tmp_path: Path) -> None:
    original = save_bfl(tmp_path / "bfl", reduced("dev"))
    folder = convert(resolve(original), tmp_path / "folder", "diffusers")
    state = load_file(folder / TRANSFORMER_FILE)
    name = "transformer_blocks.0.attn.to_k.weight"
    save_file(state | {name: state[name].to(torch.bfloat16)}, folder / TRANSFORMER_FILE)
    with pytest.raises(WeightsError, match=r"double_blocks\.0\.img_attn\.qkv\.weight have different types"):
        convert(resolve(folder), tmp_path / "again", "bfl")


@pytest.mark.parametrize("stem", ["ae", "vae"])
def test_a_model_called_like_an_autoencoder(tmp_path: Path, debug_folder: Path, stem: str) -> None:
    folder = shutil.copytree(debug_folder, tmp_path / stem)
    single = convert(resolve(folder), tmp_path / "bfl", "bfl")
    again = convert(resolve(single), tmp_path / "again", "diffusers")
    assert_same_state(load_file(again / TRANSFORMER_FILE), load_file(folder / TRANSFORMER_FILE))


NAMES = {
    "../../outside": "outside",
    "/etc/model": "etc-model",
    "org/model": "org-model",
    "C:\\\\models\\\\x": "C-models-x",
    "..": "flux",
    ".hidden": "hidden",
    "AE": "flux",
    "model-00001-of-00002": "flux",
    "modèle 模型 v1.0": "modèle-模型-v1.0",
    "模" * 300: "模" * 50,
}


@pytest.mark.parametrize("name", NAMES)
def test_a_cards_name_is_no_path(tmp_path: Path, debug_folder: Path, name: str) -> None:
    folder = shutil.copytree(debug_folder, tmp_path / "model")
    card = json.loads((folder / "inkontext.json").read_text())
    (folder / "inkontext.json").write_text(json.dumps(card | {"name": name}))
    before = sorted(tmp_path.rglob("*"))
    made = convert(resolve(folder), tmp_path / "deep/down/made", "bfl")
    assert sorted(p for p in tmp_path.rglob("*") if made not in p.parents) == sorted(
        [*before, tmp_path / "deep", tmp_path / "deep/down", made]
    )
    assert sorted(p.name for p in made.glob("*.safetensors")) == sorted(
        ["ae.safetensors", f"{NAMES[name]}.safetensors"]
    )
    again = resolve(made)
    assert again.card is not None and again.card.name == name
    assert load.transformer_of(again)[0].count() == load.transformer_of(resolve(folder))[0].count()


def test_text_parts_go_along_unchanged(debug_folder: Path, tmp_path: Path) -> None:
    single = convert(resolve(debug_folder), tmp_path / "bfl", "bfl")
    files = [p.relative_to(debug_folder) for part in TEXT_PARTS for p in (debug_folder / part).rglob("*")]
    assert len(files) >= 6
    assert all((single / p).read_bytes() == (debug_folder / p).read_bytes() for p in files)


# What must not happen


def nothing_left(folder: Path, *expected: str) -> bool:
    return sorted(p.name for p in folder.iterdir()) == sorted(expected)


def test_an_unknown_layout(debug_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="unknown layout 'gguf'; choose one of diffusers, bfl"):
        convert(resolve(debug_folder), tmp_path / "out", "gguf")
    assert nothing_left(tmp_path)


@pytest.mark.parametrize("what", ["file", "folder"])
def test_nothing_is_overwritten(debug_folder: Path, tmp_path: Path, what: str) -> None:
    kept = tmp_path / "out" if what == "file" else tmp_path / "out/precious"
    kept.parent.mkdir(exist_ok=True)
    kept.write_text("precious")
    with pytest.raises(OptionError, match="exists already; name a new folder"):
        convert(resolve(debug_folder), tmp_path / "out", "bfl")
    assert kept.read_text() == "precious"


def test_an_empty_folder_is_welcome(debug_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    assert (convert(resolve(debug_folder), tmp_path / "out", "bfl") / "debug.safetensors").is_file()


@pytest.mark.parametrize("layout", ["diffusers", "bfl"])
@pytest.mark.parametrize("failure", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
def test_a_failure_halfway_leaves_nothing(
    debug_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layout: str, failure: BaseException
) -> None:
    source, reads, read = resolve(debug_folder), [], tensors.TensorFiles.read

    def fail_later(self: tensors.TensorFiles, name: str) -> Tensor:
        reads.append(name)
        if len(reads) > 60:
            raise failure
        return read(self, name)

    monkeypatch.setattr(tensors.TensorFiles, "read", fail_later)
    with pytest.raises((StorageError, KeyboardInterrupt)):
        convert(source, tmp_path / "out", layout)
    assert len(reads) == 61
    assert nothing_left(tmp_path)


def test_a_place_that_cannot_be_written(debug_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("kept")
    with pytest.raises(StorageError, match=r"cannot write .*choose another place"):
        convert(resolve(debug_folder), tmp_path / "file/out", "bfl")
    assert nothing_left(tmp_path, "file")


def test_a_text_part_that_cannot_be_copied(debug_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise shutil.Error([("a", "b", "input/output error")])

    monkeypatch.setattr(shutil, "copytree", refuse)
    with pytest.raises(StorageError, match="input/output error"):
        convert(resolve(debug_folder), tmp_path / "out", "bfl")
    assert nothing_left(tmp_path)


def test_too_little_space_is_said_before_writing(
    debug_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(convert_module.shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 9, 1000))  # type: ignore[attr-defined]
    with pytest.raises(StorageError, match=r"needs 0\.0 GB and 0\.0 GB are free there; choose another disk"):
        convert(resolve(debug_folder), tmp_path / "out", "bfl")
    assert nothing_left(tmp_path)


@pytest.mark.parametrize("change", [{"txt_in.bias": None}, {"wings": torch.ones(1)}, {"txt_in.bias": torch.ones(2)}])
def test_a_model_that_does_not_fit_is_not_written(tmp_path: Path, change: dict[str, Tensor | None]) -> None:
    original = save_bfl(tmp_path / "bfl", reduced("dev"))
    state = load_file(original) | change
    save_file({n: t for n, t in state.items() if t is not None}, original)
    with pytest.raises(InKontextError, match=next(iter(change))):
        convert(resolve(original), tmp_path / "out", "diffusers")
    assert nothing_left(tmp_path, "bfl")


def test_what_diffusers_cannot_say_is_refused_before_writing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    preset = reduced("dev")
    cfg = replace(preset.transformer, mlp_ratio=2.0)
    original = save_bfl(tmp_path / "bfl", replace(preset, transformer=cfg))
    Card("own", cfg, SMALL_AUTOENCODER, preset.sampling).save(tmp_path / "bfl/inkontext.json")
    monkeypatch.setattr(convert_module, "write_sharded", lambda *_: pytest.fail("wrote weights"))
    with pytest.raises(WeightsError, match="this model differs"):
        convert(resolve(original), tmp_path / "out", "diffusers")
    assert nothing_left(tmp_path, "bfl")
