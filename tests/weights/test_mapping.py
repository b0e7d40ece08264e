"""The name tables against our modules and against diffusers' own."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from diffusers import AutoencoderKL, FluxTransformer2DModel
from hypothesis import given
from hypothesis import strategies as st

from inkontext.model.presets import PRESETS, AutoencoderConfig, TransformerConfig
from inkontext.weights.architecture import autoencoder_json, transformer_json
from inkontext.weights.autoencoder_map import autoencoder_map
from inkontext.weights.mapping import Entry
from inkontext.weights.transformer_map import transformer_map
from tests.weights.samples import meta_shapes

Shapes = dict[str, tuple[int, ...]]
presets = pytest.mark.parametrize("name", sorted(PRESETS))


def theirs(kind: Any, config: dict[str, Any]) -> Shapes:
    with torch.device("meta"):
        module = kind.from_config(config)
    return {name: tuple(t.shape) for name, t in module.state_dict().items()}


def parts_of(entries: list[Entry], ours: Shapes) -> Shapes:
    return {n: s for e in entries for n, s in zip(e.parts, e.part_shapes(ours[e.bfl]), strict=True)}


@presets
def test_transformer_names_are_our_modules(name: str) -> None:
    cfg = PRESETS[name].transformer
    entries = transformer_map(cfg)
    assert {e.bfl for e in entries} == set(meta_shapes(cfg))
    assert len({e.bfl for e in entries}) == len(entries)


@presets
def test_transformer_names_and_shapes_are_diffusers(name: str) -> None:
    cfg = PRESETS[name].transformer
    parts = parts_of(transformer_map(cfg), meta_shapes(cfg))
    assert parts == theirs(FluxTransformer2DModel, transformer_json(cfg))


@presets
def test_autoencoder_names_are_our_modules(name: str) -> None:
    cfg = PRESETS[name].autoencoder
    assert sorted(e.bfl for e in autoencoder_map(cfg)) == sorted(meta_shapes(cfg))


@presets
def test_autoencoder_names_and_shapes_are_diffusers(name: str) -> None:
    cfg = PRESETS[name].autoencoder
    parts = parts_of(autoencoder_map(cfg), meta_shapes(cfg))
    assert parts == theirs(AutoencoderKL, autoencoder_json(cfg))


def numbers(shapes: Shapes, prefix: str = "") -> int:
    return sum(torch.Size(s).numel() for n, s in shapes.items() if n.startswith(prefix))


@pytest.mark.parametrize(
    ("name", "tensors", "parameters"),
    [("kontext-dev", 780, 11_901_408_320), ("dev", 780, 11_901_408_320), ("schnell", 776, 11_891_178_560)],
)
def test_transformer_size_is_the_released_one(name: str, tensors: int, parameters: int) -> None:
    shapes = meta_shapes(PRESETS[name].transformer)
    assert (len(transformer_map(PRESETS[name].transformer)), len(shapes)) == (tensors, tensors)
    assert numbers(shapes) == parameters


def test_block_sizes_are_the_published_ones() -> None:
    shapes = meta_shapes(TransformerConfig())
    assert numbers(shapes, "double_blocks.18.") == 339_831_296
    assert numbers(shapes, "single_blocks.37.") == 141_591_808


def test_autoencoder_size_is_the_released_one() -> None:
    shapes = meta_shapes(AutoencoderConfig())
    assert (numbers(shapes, "encoder."), numbers(shapes, "decoder.")) == (34_274_208, 49_545_475)


@pytest.mark.parametrize(
    ("name", "width"), [("kontext-dev", 64), ("canny-dev", 128), ("depth-dev", 128), ("fill-dev", 384)]
)
def test_input_width_tells_the_tools_apart(name: str, width: int) -> None:
    shapes = meta_shapes(PRESETS[name].transformer)
    assert shapes["img_in.weight"] == (3072, width)
    assert shapes["final_layer.linear.weight"] == (64, 3072)


@given(rows=st.lists(st.integers(1, 4), max_size=4), swap=st.booleans(), squeeze=st.booleans())
def test_there_and_back_is_the_same(rows: list[int], swap: bool, squeeze: bool) -> None:
    height = sum(rows) if rows else 4
    if swap and height % 2:
        rows, height = [*rows, 1], height + 1
    tensor = torch.randn(height, 3, 1, 1) if squeeze else torch.randn(height, 3)
    names = tuple(f"part{i}" for i in range(max(1, len(rows))))
    entry = Entry("whole", names, tuple(rows), swap, squeeze)
    parts = entry.to_diffusers(tensor)
    assert [tuple(p.shape) for p in parts] == entry.part_shapes(tensor.shape)
    assert torch.equal(entry.to_bfl(parts), tensor)


def test_only_the_last_modulation_is_swapped() -> None:
    swapped = [e.bfl for e in transformer_map(TransformerConfig()) if e.swap]
    assert swapped == ["final_layer.adaLN_modulation.1.weight", "final_layer.adaLN_modulation.1.bias"]


def test_swap_puts_scale_before_shift() -> None:
    entry = Entry("a", ("b",), swap=True)
    assert entry.to_diffusers(torch.tensor([1, 2, 3, 4]))[0].tolist() == [3, 4, 1, 2]
