"""Counted against PyTorch's own counter, and against the figure known for the released model."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from inkontext.model.presets import PRESETS
from inkontext.model.transformer import FluxTransformer
from inkontext.runtime.flops import count_flops, kept_context_flops, matmul_rate, transformer_flops
from inkontext.sequence import image_ids, text_ids


@pytest.mark.parametrize("name", ["debug", "tiny", "kontext-dev"])
def test_transformer_as_counted_by_torch(name: str) -> None:
    cfg = PRESETS[name].transformer
    with torch.device("meta"):
        model = FluxTransformer(cfg)
        img, txt = torch.empty(1, 2 * 6 * 4, cfg.in_channels), torch.empty(1, 12, cfg.context_in_dim)
        scalar, vec = torch.empty(1), torch.empty(1, cfg.vec_in_dim)
    ids, words = image_ids((6, 4), [(6, 4)]).to("meta"), text_ids(12).to("meta")
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(img, ids, txt, words, scalar, vec, scalar if cfg.guidance_embed else None)
    assert transformer_flops(cfg, 48, 12) == counter.get_total_flops()


@pytest.mark.parametrize(("name", "context"), [("debug", 24), ("tiny", 48), ("tiny", 0)])
def test_a_kept_context_as_counted_by_torch(name: str, context: int) -> None:
    cfg = replace(PRESETS[name].transformer, asymmetric=True)
    with torch.device("meta"):
        model = FluxTransformer(cfg)
        img, txt = torch.empty(1, 24 + context, cfg.in_channels), torch.empty(1, 12, cfg.context_in_dim)
        scalar, vec = torch.empty(1), torch.empty(1, cfg.vec_in_dim)
    ids, words = image_ids((6, 4), [(6, 4)] * (context // 24)).to("meta"), text_ids(12).to("meta")
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(img, ids, txt, words, scalar, vec, scalar if cfg.guidance_embed else None, target=24)
    parts = kept_context_flops(cfg, 24, context, 12)
    assert parts.context + parts.text + parts.step == counter.get_total_flops()


def test_the_released_model_at_a_megapixel() -> None:
    assert transformer_flops(PRESETS["kontext-dev"].transformer, 2 * 4096, 512) == pytest.approx(165.458e12, rel=1e-5)


def test_a_convolutional_network_is_counted_without_running() -> None:
    network = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.SiLU(), nn.Conv2d(8, 4, 1))
    assert count_flops(network, (2, 3, 16, 16)) == 2 * 2 * 256 * (9 * 3 * 8 + 8 * 4)
    assert all(p.device.type == "cpu" for p in network.parameters())


def test_the_rate_leaves_the_global_generator_alone() -> None:
    before = torch.get_rng_state()
    assert matmul_rate(torch.device("cpu"), torch.float32) > 1e8
    assert torch.equal(before, torch.get_rng_state())
