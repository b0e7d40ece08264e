"""What a model begins as."""

from __future__ import annotations

import torch
from torch import Tensor

from inkontext.model import blocks
from inkontext.model.autoencoder import AutoEncoder
from inkontext.model.initialise import align_heads, initialise, initialise_autoencoder
from inkontext.model.presets import PRESETS
from inkontext.model.rope import rotate
from inkontext.model.transformer import FluxTransformer
from inkontext.sequence import image_ids, text_ids

CFG = PRESETS["tiny"].transformer
SIDE, TEXT = 4, 8


def attention_of(model: FluxTransformer, monkeypatch) -> list[Tensor]:
    """Softmax weights `[H, L, L]` of every block, on random tokens."""
    seen = []

    def watch(q: Tensor, k: Tensor, v: Tensor, pe: Tensor) -> Tensor:
        scores = rotate(q, pe) @ rotate(k, pe).transpose(-1, -2) / q.shape[-1] ** 0.5
        seen.append(scores.softmax(-1)[0])
        return torch.zeros_like(q.transpose(1, 2).flatten(2))

    monkeypatch.setattr(blocks, "attention", watch)
    torch.manual_seed(0)
    n = SIDE * SIDE
    img, txt = torch.randn(1, 2 * n, CFG.in_channels), torch.randn(1, TEXT, CFG.context_in_dim)
    with torch.no_grad():
        model(
            img,
            image_ids((SIDE, SIDE), [(SIDE, SIDE)]),
            txt,
            text_ids(TEXT),
            torch.ones(1),
            torch.zeros(1, CFG.vec_in_dim),
        )
    return seen


def test_aligned_heads_look_at_the_same_place(monkeypatch) -> None:
    torch.manual_seed(0)
    model = align_heads(initialise(FluxTransformer(CFG)), 0.5)
    target = TEXT + torch.arange(SIDE * SIDE)
    context = target + SIDE * SIDE
    maps = attention_of(model, monkeypatch)
    assert len(maps) == CFG.depth + CFG.depth_single_blocks
    for weights in maps:
        ahead, here, free = weights[0], weights[1], weights[-1]
        assert ahead[target, context].mean() > 0.35  # an even spread gives 0.025
        assert ahead[target, context].mean() > 2 * ahead[target, target].mean()
        assert here[target, target].mean() > 0.15
        assert free[target, context].mean() < 0.1


def test_without_a_share_nothing_changes() -> None:
    torch.manual_seed(0)
    plain = initialise(FluxTransformer(PRESETS["debug"].transformer))
    before = {k: v.clone() for k, v in plain.state_dict().items()}
    assert all(torch.equal(v, before[k]) for k, v in align_heads(plain, 0.0).state_dict().items())


def test_residual_blocks_of_a_new_autoencoder_are_their_shortcuts() -> None:
    model = initialise_autoencoder(AutoEncoder(PRESETS["debug"].autoencoder))
    block = model.encoder.mid.block_1
    x = torch.randn(1, block.conv1.in_channels, 4, 4)
    assert torch.equal(block(x), x + block.conv2.bias[None, :, None, None])
