"""Variants and shards as diffusers and transformers write them, and what is missing of them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from inkontext.errors import WeightsError
from inkontext.runtime.plan import count_parameters
from inkontext.weights import load
from inkontext.weights.describe import describe_model
from inkontext.weights.shards import weight_files
from inkontext.weights.source import resolve
from tests.weights.samples import to_diffusers

CLASSES: dict[str, tuple[Any, str, str]] = {
    "transformer": (diffusers.FluxTransformer2DModel, "diffusion_pytorch_model", "60KB"),
    "vae": (diffusers.AutoencoderKL, "diffusion_pytorch_model", "200KB"),
    "text_encoder": (transformers.CLIPTextModel, "model", "20KB"),
    "text_encoder_2": (transformers.T5EncoderModel, "model", "20KB"),
}
PARTS = pytest.mark.parametrize("part", CLASSES)


@pytest.fixture
def folder(debug_folder: Path, tmp_path: Path) -> Path:
    return shutil.copytree(debug_folder, tmp_path / "model")


def save_again(folder: Path, part: str, dtype: torch.dtype, **how: Any) -> None:
    """The part written anew by the library it belongs to, in place of the file that was there."""
    network = CLASSES[part][0].from_pretrained(folder / part, torch_dtype=dtype)
    for path in (folder / part).glob("*.safetensors"):
        path.unlink()
    network.save_pretrained(folder / part, **how)


def read(folder: Path, part: str) -> dict[str, torch.Tensor]:
    """What we load of a part, under its library's names."""
    source = resolve(folder)
    if part == "transformer":
        component, cfg = load.transformer_of(source)
        return to_diffusers(load.load_transformer(component, cfg, lambda _, stored: ("cpu", stored)).state_dict(), cfg)
    if part == "vae":
        component, cfg = load.autoencoder_of(source)
        return to_diffusers(load.load_autoencoder(component, cfg, lambda _, stored: ("cpu", stored)).state_dict(), cfg)
    towers = load.load_towers(source.text, 64, "cpu", torch.float32)
    return dict((towers.clip if part == "text_encoder" else towers.t5).state_dict())


def expected(folder: Path, part: str, variant: str | None) -> dict[str, torch.Tensor]:
    dtype = {"dtype": torch.float32} if part.startswith("text") else {}
    return dict(CLASSES[part][0].from_pretrained(folder / part, variant=variant, **dtype).state_dict())


def assert_equal(ours: dict[str, torch.Tensor], theirs: dict[str, torch.Tensor]) -> None:
    assert sorted(ours) == sorted(theirs)
    assert [name for name in ours if not torch.equal(ours[name].float(), theirs[name].float())] == []


@PARTS
@pytest.mark.parametrize("variant", [None, "bf16", "fp16"])
@pytest.mark.parametrize("sharded", [False, True])
def test_what_the_libraries_write_is_read(folder: Path, part: str, variant: str | None, sharded: bool) -> None:
    dtype = {None: torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[variant]
    size = {"max_shard_size": CLASSES[part][2]} if sharded else {}
    save_again(folder, part, dtype, variant=variant, **size)
    files = weight_files(folder / part)
    assert (len(files) > 2) is sharded
    assert all(("." + variant in p.name) if variant else "-" in p.name or "." not in p.stem for p in files)
    assert_equal(read(folder, part), expected(folder, part, variant))


@PARTS
@pytest.mark.parametrize("variant", [None, "bf16"])
def test_shards_without_an_index_are_read(folder: Path, part: str, variant: str | None) -> None:
    save_again(folder, part, torch.bfloat16, variant=variant, max_shard_size=CLASSES[part][2])
    theirs = expected(folder, part, variant)
    for index in (folder / part).glob("*.index*.json"):
        index.unlink()
    assert_equal(read(folder, part), theirs)


@PARTS
@pytest.mark.parametrize("index", [True, False])
@pytest.mark.parametrize("variant", [None, "bf16"])
def test_a_missing_shard_is_named_and_no_other(folder: Path, part: str, index: bool, variant: str | None) -> None:
    save_again(folder, part, torch.bfloat16, variant=variant, max_shard_size=CLASSES[part][2])
    shards = weight_files(folder / part)
    shards[2].unlink()
    if not index:
        next((folder / part).glob("*.index*.json")).unlink()
    told = rf"{part}' lacks {shards[2].name} of (the )?{len(shards)} (files in|shards).*; download the model again"
    with pytest.raises(WeightsError, match=told) as caught:
        read(folder, part)
    assert shards[0].name not in str(caught.value)


@PARTS
def test_the_full_one_is_read_before_bf16_before_fp16(folder: Path, part: str) -> None:
    stem = CLASSES[part][1]
    whole = folder / part / f"{stem}.safetensors"
    for variant in ("fp16", "bf16"):
        save_file({"other": torch.ones(1)}, whole.with_name(f"{stem}.{variant}.safetensors"))
    assert weight_files(folder / part) == (whole,)
    assert_equal(read(folder, part), expected(folder, part, None))
    whole.unlink()
    assert [p.name for p in weight_files(folder / part)] == [f"{stem}.bf16.safetensors"]


def test_parameters_are_counted_once(folder: Path) -> None:
    parts = ("text_encoder", "text_encoder_2", "tokenizer")
    before = count_parameters(folder, parts)
    shutil.copy(folder / "text_encoder/model.safetensors", folder / "text_encoder/model.fp16.safetensors")
    assert count_parameters(folder, parts) == before


def test_inspect_names_the_files_that_are_read(folder: Path) -> None:
    save_again(folder, "text_encoder_2", torch.bfloat16, variant="bf16", max_shard_size="20KB")
    files = describe_model(resolve(folder))["files"]
    assert files["transformer"] == ["diffusion_pytorch_model.safetensors"]
    assert files["text_encoder_2"] == [p.name for p in weight_files(folder / "text_encoder_2")]
    assert "model.bf16-00001-of" in files["text_encoder_2"][0]


def numbered(folder: Path, *names: str) -> Path:
    folder.mkdir()
    for name in names:
        save_file({name: torch.ones(1)}, folder / name)
    return folder


S = "m-{:05d}-of-{:05d}.safetensors".format


@pytest.mark.parametrize(
    ("names", "told"),
    [
        ([S(1, 2), S(2, 2), S(3, 2)], f"holds {S(3, 2)}, which is none of its 2 shards; remove it"),
        ([S(0, 1), S(1, 1)], f"holds {S(0, 1)}, which is none of its 1 shards"),
        ([S(1, 2), S(2, 2), S(1, 3)], f"holds one network twice ({S(1, 2)}, {S(1, 3)}, {S(2, 2)})"),
        ([S(1, 2), S(2, 2), "m.safetensors"], "holds one network twice"),
        ([S(15, 15)], f"lacks {S(1, 15)}, {S(2, 15)}, {S(3, 15)}, {S(4, 15)}, {S(5, 15)} and 9 more of 15 shards"),
        (["a.safetensors", "b.safetensors"], "holds several networks (a, b); keep the files of one"),
    ],
)
def test_shards_that_are_no_set_are_named(tmp_path: Path, names: list[str], told: str) -> None:
    with pytest.raises(WeightsError) as caught:
        weight_files(numbered(tmp_path / "part", *names))
    assert told in str(caught.value)


def indexed(folder: Path, body: Any, *names: str) -> Path:
    numbered(folder, *names)
    (folder / "m.safetensors.index.json").write_text(body if isinstance(body, str) else json.dumps(body))
    return folder


def test_the_index_decides_which_files_are_read(tmp_path: Path) -> None:
    names = ["model-00001-of-00009.safetensors", "renamed.safetensors"]
    folder = numbered(tmp_path / "part", *names)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {n: n for n in names}}))
    assert [p.name for p in weight_files(folder)] == names


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("{", "is no readable JSON"),
        ("[]", "should hold a JSON object"),
        ({}, "lists no files; restore it"),
        ({"weight_map": {}}, "lists no files"),
        ({"weight_map": {"a": 3}}, "lists no files"),
        ({"weight_map": {"a": S(1, 1), "b": S(2, 1)}}, f"lacks {S(2, 1)} of the 2 files in m.safetensors.index.json"),
        ({"weight_map": {"a": "n.safetensors"}}, "lacks n.safetensors of the 1 files"),
        (
            {"weight_map": {"a": "../outside.safetensors"}},
            "lists ../outside.safetensors, which is no weights file beside",
        ),
        ({"weight_map": {"a": "/etc/passwd"}}, "lists /etc/passwd, which is no weights file beside it"),
        ({"weight_map": {"a": "sub/m.safetensors"}}, "lists sub/m.safetensors, which"),
        ({"weight_map": {"a": "sub\\m.safetensors"}}, "lists sub\\m.safetensors, which"),
        ({"weight_map": {"a": "m.bin"}}, "lists m.bin, which is no weights file"),
    ],
)
def test_an_index_that_cannot_be_followed(tmp_path: Path, body: Any, told: str) -> None:
    save_file({"a": torch.ones(1)}, tmp_path / "outside.safetensors")
    with pytest.raises(WeightsError) as caught:
        weight_files(indexed(tmp_path / "part", body, S(1, 1)))
    assert told in str(caught.value)


def test_a_shard_that_the_index_does_not_list(tmp_path: Path) -> None:
    folder = indexed(tmp_path / "part", {"weight_map": {"a": S(1, 2)}}, S(1, 2), S(2, 2))
    with pytest.raises(WeightsError, match=f"holds {S(2, 2)}, which m.safetensors.index.json does not list"):
        weight_files(folder)


def test_a_sharded_single_file_model(folder: Path, tmp_path: Path) -> None:
    """BFL's layout in pieces, the autoencoder beside it."""
    state = load_file(folder / "transformer/diffusion_pytorch_model.safetensors")
    names = sorted(state)
    for part, chosen in enumerate((names[::2], names[1::2]), 1):
        save_file({n: state[n] for n in chosen}, folder / f"flux-{part:05d}-of-00002.safetensors")
    shutil.rmtree(folder / "transformer")
    source = resolve(folder)
    assert [p.name for p in source.transformer] == [
        "flux-00001-of-00002.safetensors",
        "flux-00002-of-00002.safetensors",
    ]
    assert load.transformer_of(source)[0].count() == sum(t.numel() for t in state.values())
