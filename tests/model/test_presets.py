"""Every preset builds on the meta device with the published shapes, and runs small."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from inkontext.model.autoencoder import AutoEncoder
from inkontext.model.presets import PRESETS, TransformerConfig
from inkontext.model.transformer import FluxTransformer

PUBLISHED = {
    "kontext-dev": (780, 11_901_408_320, 64),
    "dev": (780, 11_901_408_320, 64),
    "krea-dev": (780, 11_901_408_320, 64),
    "redux-dev": (780, 11_901_408_320, 64),
    "schnell": (776, 11_891_178_560, 64),
    "kontext-base": (776, 11_891_178_560, 64),
    "fill-dev": (780, 11_901_408_320 + 320 * 3072, 384),
    "canny-dev": (780, 11_901_408_320 + 64 * 3072, 128),
    "depth-dev": (780, 11_901_408_320 + 64 * 3072, 128),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_full_size(name: str) -> None:
    with torch.device("meta"):
        module = FluxTransformer(PRESETS[name].transformer)
        autoencoder = AutoEncoder(PRESETS[name].autoencoder)
    state = module.state_dict()
    tensors, parameters, width = PUBLISHED[name]
    assert len(state) == tensors
    assert sum(p.numel() for p in module.parameters()) == parameters
    assert state["img_in.weight"].shape == (3072, width)
    assert state["single_blocks.37.linear1.weight"].shape == (21504, 3072)
    assert state["double_blocks.18.txt_mod.lin.weight"].shape == (18432, 3072)
    assert state["final_layer.adaLN_modulation.1.weight"].shape == (6144, 3072)
    assert state["final_layer.linear.weight"].shape == (64, 3072)
    assert sum(p.numel() for p in module.double_blocks[0].parameters()) == 339_831_296
    assert sum(p.numel() for p in module.single_blocks[0].parameters()) == 141_591_808
    assert sum(p.numel() for p in autoencoder.encoder.parameters()) == 34_274_208
    assert sum(p.numel() for p in autoencoder.decoder.parameters()) == 49_545_475


def test_no_preset_is_left_out() -> None:
    assert set(PRESETS) - set(PUBLISHED) == {"tiny", "debug"}
    assert all(name == preset.name for name, preset in PRESETS.items())


@pytest.mark.parametrize("name", PRESETS)
def test_forward_and_backward_at_small_size(name: str) -> None:
    cfg = replace(
        PRESETS[name].transformer, hidden_size=32, num_heads=2, axes_dim=(4, 6, 6), depth=1, depth_single_blocks=1,
        vec_in_dim=8, context_in_dim=12,
    )  # fmt: skip
    module = FluxTransformer(cfg)
    guidance = torch.ones(2) if cfg.guidance_embed else None
    out = module(
        torch.randn(2, 4, cfg.in_channels), torch.zeros(4, 3), torch.randn(2, 3, 12), torch.zeros(3, 3),
        torch.rand(2), torch.randn(2, 8), guidance,
    )  # fmt: skip
    out.square().mean().backward()
    assert out.shape == (2, 4, cfg.out_channels)
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in module.parameters())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_heads": 7}, "not divisible"),
        ({"axes_dim": (16, 56, 54)}, "head dim"),
        ({"axes_dim": (15, 57, 56)}, "odd"),
    ],
)
def test_impossible_shapes_are_refused(change: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TransformerConfig(**change)


def test_ids_must_match_the_tokens() -> None:
    module = FluxTransformer(PRESETS["debug"].transformer)
    with pytest.raises(ValueError, match="do not match"):
        module(
            torch.randn(1, 4, 64), torch.zeros(5, 3), torch.randn(1, 3, 48), torch.zeros(3, 3),
            torch.rand(1), torch.randn(1, 32), torch.ones(1),
        )  # fmt: skip
