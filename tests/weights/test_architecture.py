"""Configurations read off shapes, and diffusers' config files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from inkontext.errors import WeightsError
from inkontext.model.presets import PRESETS, AutoencoderConfig, TransformerConfig
from inkontext.weights.architecture import infer_autoencoder, infer_transformer, transformer_json
from inkontext.weights.component import Component, find_component
from inkontext.weights.tensors import TensorFiles, TensorInfo
from tests.weights.samples import meta_shapes, random_state, reduced, to_diffusers

presets = pytest.mark.parametrize("name", sorted(PRESETS))
namings = pytest.mark.parametrize("naming", ["bfl", "diffusers"])
DEBUG = PRESETS["debug"]


class Headers(TensorFiles):
    """Names and shapes alone: full-size models whose bytes nobody needs."""

    def __init__(self, shapes: dict[str, tuple[int, ...]]) -> None:
        super().__init__([])
        self.paths = [Path("model.safetensors")]
        self._infos = {n: TensorInfo(self.paths[0], torch.bfloat16, s) for n, s in shapes.items()}


def stored(cfg: TransformerConfig | AutoencoderConfig, naming: str) -> Headers:
    shapes = meta_shapes(cfg)
    if naming == "diffusers":
        meta = {n: torch.empty(s, device="meta") for n, s in shapes.items()}
        shapes = {n: tuple(t.shape) for n, t in to_diffusers(meta, cfg).items()}
    return Headers(shapes)


@presets
@namings
def test_every_transformer_is_read_off_its_shapes(name: str, naming: str) -> None:
    cfg = PRESETS[name].transformer
    found = infer_transformer(find_component(stored(cfg, naming), "transformer"), cfg.axes_dim)
    assert found == cfg


@presets
@namings
def test_every_autoencoder_is_read_off_its_shapes(name: str, naming: str) -> None:
    cfg = PRESETS[name].autoencoder
    found = infer_autoencoder(find_component(stored(cfg, naming), "autoencoder"), norm_groups=cfg.norm_groups)
    assert found == cfg


def test_released_heads_need_no_record() -> None:
    cfg = PRESETS["kontext-dev"].transformer
    assert infer_transformer(find_component(stored(cfg, "bfl"), "transformer")).axes_dim == (16, 56, 56)


def of_file(folder: Path, state: dict[str, Tensor], kind: str = "transformer") -> Component:
    save_file(state, folder / "model.safetensors")
    return find_component(TensorFiles([folder / "model.safetensors"]), kind)


def test_heads_of_unknown_axes_are_refused(tmp_path: Path) -> None:
    component = of_file(tmp_path, random_state(DEBUG.transformer))
    with pytest.raises(WeightsError, match=r"heads of 16 channels and no record.*keep the config\.json or inkontext"):
        infer_transformer(component)


@pytest.mark.parametrize("axes", [(4, 6, 8), (5, 5, 6), (4, "6", 6)])
def test_impossible_axes_are_refused(tmp_path: Path, axes: tuple) -> None:
    with pytest.raises(WeightsError, match="is no FLUX transformer"):
        infer_transformer(of_file(tmp_path, random_state(DEBUG.transformer)), axes)


@pytest.mark.parametrize("name", ["img_in.weight", "txt_in.weight", "final_layer.linear.weight"])
def test_a_lacking_tensor_is_named(tmp_path: Path, name: str) -> None:
    state = random_state(DEBUG.transformer)
    del state[name]
    with pytest.raises(WeightsError, match=f"lacks {name}; it is not a whole FLUX transformer"):
        infer_transformer(of_file(tmp_path, state), DEBUG.transformer.axes_dim)


@pytest.mark.parametrize("shape", [(), (64,), (64, 2, 2), (0, 64)])
def test_impossible_shapes_are_named(tmp_path: Path, shape: tuple[int, ...]) -> None:
    state = random_state(DEBUG.transformer) | {"img_in.weight": torch.ones(shape)}
    with pytest.raises(WeightsError, match=r"img_in\.weight in .*model\.safetensors"):
        infer_transformer(of_file(tmp_path, state), DEBUG.transformer.axes_dim)


def test_heads_wider_than_the_model_are_refused(tmp_path: Path) -> None:
    scale = "double_blocks.0.img_attn.norm.key_norm.scale"
    state = random_state(DEBUG.transformer) | {scale: torch.ones(128)}
    with pytest.raises(WeightsError, match="is no FLUX transformer"):
        infer_transformer(of_file(tmp_path, state))


def test_a_huge_index_asks_for_no_huge_network(tmp_path: Path) -> None:
    state = random_state(DEBUG.transformer) | {"double_blocks.999999999.x": torch.ones(1)}
    cfg = infer_transformer(of_file(tmp_path, state), DEBUG.transformer.axes_dim)
    assert cfg.depth <= len(state)


@pytest.mark.parametrize("width", [16, 48])
def test_autoencoders_that_cannot_be_are_refused(tmp_path: Path, width: int) -> None:
    state = random_state(DEBUG.autoencoder)
    state["encoder.conv_in.weight"] = torch.ones(width, 3, 3, 3)
    with pytest.raises(WeightsError, match="is no FLUX autoencoder"):
        infer_autoencoder(of_file(tmp_path, state, "autoencoder"))


def test_a_lacking_autoencoder_tensor_is_named(tmp_path: Path) -> None:
    state = random_state(DEBUG.autoencoder)
    del state["decoder.conv_out.weight"]
    with pytest.raises(WeightsError, match=r"lacks decoder\.conv_out\.weight"):
        infer_autoencoder(of_file(tmp_path, state, "autoencoder"))


@pytest.mark.parametrize("change", [{"mlp_ratio": 3.0}, {"theta": 500}, {"qkv_bias": False}])
def test_what_diffusers_cannot_say_is_refused(change: dict) -> None:
    with pytest.raises(WeightsError, match="this model differs"):
        transformer_json(replace(reduced("dev").transformer, **change))
