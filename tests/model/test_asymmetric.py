"""The asymmetric forward against a plain recomputation: one sequence, a mask, each token's own modulation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from benchmarks.golden import fill_module
from einops import rearrange
from torch import Tensor

from inkontext.model.blocks import Modulation, scalar_embedding
from inkontext.model.presets import PRESETS
from inkontext.model.rope import rope_table, rotate
from inkontext.model.transformer import FluxTransformer
from inkontext.sequence import image_ids, text_ids

CFG = replace(PRESETS["debug"].transformer, asymmetric=True, context_time=0.7)
TARGET, TEXT = (3, 4), 5


@pytest.fixture(scope="module")
def network() -> FluxTransformer:
    module = FluxTransformer(CFG)
    fill_module(module)
    return module.requires_grad_(False)


def inputs(references: Sequence[tuple[int, int]], rows: int = 2) -> dict[str, Tensor]:
    torch.manual_seed(0)
    ids = image_ids(TARGET, references)
    return {
        "img": torch.randn(rows, len(ids), CFG.in_channels),
        "img_ids": ids,
        "txt": torch.randn(rows, TEXT, CFG.context_in_dim),
        "txt_ids": text_ids(TEXT),
        "timesteps": torch.linspace(0.3, 0.9, rows),
        "y": torch.randn(rows, CFG.vec_in_dim),
        "guidance": torch.linspace(1.0, 4.0, rows),
    }


def per_token(mod: Modulation, vec: Tensor) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Shift, scale and gate of each token from conditions `[B, L, D]`."""
    chunks = mod.lin(F.silu(vec)).chunk(3 * mod.triples, dim=-1)
    return iter([(chunks[i], chunks[i + 1], chunks[i + 2]) for i in range(0, len(chunks), 3)])


def norm(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    return (1 + scale) * F.layer_norm(x, x.shape[-1:], eps=1e-6) + shift


def plain(net: FluxTransformer, x: dict[str, Tensor]) -> Tensor:
    """Velocity of the target by the masked full forward; order of the tokens: text, target, context."""
    L, n = x["img"].shape[1], TARGET[0] * TARGET[1]
    kind = torch.tensor([1] * TEXT + [2] * n + [0] * (L - n))  # context 0, text 1, target 2: a token reads those <= it
    mask = kind[:, None] >= kind[None, :]
    pe = rope_table(torch.cat([x["txt_ids"], x["img_ids"]]), CFG.axes_dim, CFG.theta)

    def time(t: Tensor) -> Tensor:
        return net.time_in(scalar_embedding(t))

    assert net.guidance_in is not None
    still, pooled = time(torch.full_like(x["timesteps"], 0.7)), net.vector_in(x["y"])
    moving = time(x["timesteps"]) + net.guidance_in(scalar_embedding(x["guidance"])) + pooled
    vec = torch.stack([still, still + pooled, moving], dim=1)[:, kind]

    def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        scores = rotate(q, pe) @ rotate(k, pe).mT / CFG.head_dim**0.5
        return rearrange(scores.masked_fill(~mask, -torch.inf).softmax(-1) @ v, "B H L D -> B L (H D)")

    img, txt = net.img_in(x["img"]), net.txt_in(x["txt"])
    for block in net.double_blocks:
        (i1, i2), (t1, t2) = per_token(block.img_mod, vec[:, TEXT:]), per_token(block.txt_mod, vec[:, :TEXT])
        parts = block.txt_attn.project(norm(txt, *t1[:2])), block.img_attn.project(norm(img, *i1[:2]))
        out = attend(*(torch.cat(pair, dim=2) for pair in zip(*parts, strict=True)))
        img = img + i1[2] * block.img_attn.proj(out[:, TEXT:])
        img = img + i2[2] * block.img_mlp(norm(img, *i2[:2]))
        txt = txt + t1[2] * block.txt_attn.proj(out[:, :TEXT])
        txt = txt + t2[2] * block.txt_mlp(norm(txt, *t2[:2]))
    h = torch.cat([txt, img], dim=1)
    for block in net.single_blocks:
        ((shift, scale, gate),) = per_token(block.modulation, vec)
        qkv, hidden = block.linear1(norm(h, shift, scale)).split(block.split, dim=-1)
        q, k, v = rearrange(qkv, "B L (K H D) -> K B H L D", K=3, H=CFG.num_heads)
        q, k = block.norm(q, k, v)
        h = h + gate * block.linear2(torch.cat([attend(q, k, v), F.gelu(hidden, approximate="tanh")], dim=-1))
    return net.final_layer(h[:, TEXT : TEXT + n], moving)


@pytest.mark.parametrize("references", [(), ((2, 5),), ((2, 5), (4, 3))])
def test_it_is_the_masked_network(network: FluxTransformer, references: Sequence[tuple[int, int]]) -> None:
    x = inputs(references)
    expected = plain(network, x)
    torch.testing.assert_close(network(**x, target=12), expected, atol=2e-6, rtol=1e-5)
    assert expected.std() > 0.05


def test_what_is_kept_serves_every_time_and_target(network: FluxTransformer) -> None:
    x = inputs([(2, 5)])
    before = [network.context_prefix(x["img"][:, 12:], x["img_ids"][12:])]
    before.append(network.text_prefix(x["txt"], x["txt_ids"], x["y"], before))
    for t in (0.1, 0.8):
        x |= {"img": torch.cat([torch.randn(2, 12, 64), x["img"][:, 12:]], 1), "timesteps": torch.full((2,), t)}
        v = network.target_velocity(
            x["img"][:, :12], x["img_ids"][:12], x["timesteps"], x["y"], x["guidance"], before
        )  # fmt: skip
        torch.testing.assert_close(v, plain(network, x), atol=2e-6, rtol=1e-5)


def test_the_context_alone_decides_its_keys(network: FluxTransformer) -> None:
    x = inputs([(2, 5)])
    kept = network.context_prefix(x["img"][:, 12:], x["img_ids"][12:])
    assert len(kept) == CFG.depth + CFG.depth_single_blocks
    assert all(part.shape == (2, CFG.num_heads, 10, CFG.head_dim) for pair in kept for part in pair)


def test_neither_kind_runs_as_the_other(network: FluxTransformer) -> None:
    x = inputs([(2, 5)])
    with pytest.raises(ValueError, match="asymmetric; pass `target`"):
        network(**x)
    symmetric = FluxTransformer(replace(CFG, asymmetric=False))
    with pytest.raises(ValueError, match="reads the target"):
        symmetric.context_prefix(x["img"][:, 12:], x["img_ids"][12:])
