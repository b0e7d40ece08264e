"""The parts of the transformer: embedders, modulation, QK-norm, double and single stream blocks.

Names and tensor layout are those of the released FLUX.1 checkpoints; the architecture is figure 2 of the paper.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from inkontext.model.presets import TransformerConfig
from inkontext.model.rope import rotate

Stream = Literal["img", "txt"]


class KeyValue(NamedTuple):
    """Rotated keys and values of some tokens in one block, each `[B, H, L, D]`."""

    key: Tensor
    value: Tensor


def scalar_embedding(s: Tensor, dim: int = 256, factor: float = 1000.0, max_period: int = 10_000) -> Tensor:
    """Sinusoidal features of a scalar (time or guidance), cosines first.

    `[B]` -> `[B, dim]`. The scale by `factor` happens in the dtype of `s`, as in the reference; the rest in float32.
    """
    half = dim // 2
    k = torch.arange(half, dtype=torch.float32, device=s.device)
    frequencies = torch.exp(-math.log(max_period) * k / half)
    angle = (s * factor)[:, None].float() * frequencies
    return torch.cat([angle.cos(), angle.sin()], dim=-1).to(s.dtype)


def attention(q: Tensor, k: Tensor, v: Tensor, pe: Tensor) -> Tensor:
    """Full softmax attention over rotated q, k `[B, H, L, D]` -> `[B, L, H D]`; no mask, no dropout."""
    x = F.scaled_dot_product_attention(rotate(q, pe), rotate(k, pe), v)
    return rearrange(x, "B H L D -> B L (H D)")


def attention_after(q: Tensor, k: Tensor, v: Tensor, pe: Tensor, before: Sequence[KeyValue]) -> tuple[Tensor, KeyValue]:
    """Tokens that read themselves and all of `before`: what they read `[B, L, H D]`, and their own keys and values."""
    own = KeyValue(rotate(k, pe), v)
    keys, values = (torch.cat(parts, dim=2) for parts in zip(*before, own, strict=True))
    x = F.scaled_dot_product_attention(rotate(q, pe), keys, values)
    return rearrange(x, "B H L D -> B L (H D)"), own


class MLPEmbedder(nn.Module):
    """Linear, SiLU, Linear: lifts a feature vector to the width of the model."""

    def __init__(self, in_dim: int, hidden: int) -> None:
        super().__init__()
        self.in_layer = nn.Linear(in_dim, hidden)
        self.out_layer = nn.Linear(hidden, hidden)

    def forward(self, x: Tensor) -> Tensor:
        return self.out_layer(F.silu(self.in_layer(x)))


class RMSNorm(nn.Module):
    """Root-mean-square norm that rounds to the input dtype before the gain, as the reference does."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(dim))

    def forward(self, x: Tensor) -> Tensor:
        wide = x.float()
        return (wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + 1e-6)).to(x.dtype) * self.scale


class QKNorm(nn.Module):
    """RMS norm of queries and keys, one gain vector shared by all heads."""

    def __init__(self, head_dim: int) -> None:
        super().__init__()
        self.query_norm = RMSNorm(head_dim)
        self.key_norm = RMSNorm(head_dim)

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        return self.query_norm(q).to(v.dtype), self.key_norm(k).to(v.dtype)


class ModulationOut(NamedTuple):
    """Shift, scale and gate, each `[B, 1, D]`."""

    shift: Tensor
    scale: Tensor
    gate: Tensor


def modulate(x: Tensor, mod: ModulationOut) -> Tensor:
    """(1 + scale) * LayerNorm(x) + shift; the norm has no gain of its own."""
    return (1 + mod.scale) * F.layer_norm(x, x.shape[-1:], eps=1e-6) + mod.shift


class Modulation(nn.Module):
    """Per-block shift, scale and gate from the conditioning vector; two triples for a double block."""

    def __init__(self, dim: int, triples: int) -> None:
        super().__init__()
        self.triples = triples
        self.lin = nn.Linear(dim, 3 * triples * dim)

    def forward(self, vec: Tensor) -> list[ModulationOut]:
        chunks = self.lin(F.silu(vec))[:, None].chunk(3 * self.triples, dim=-1)
        return [ModulationOut(*chunks[i : i + 3]) for i in range(0, len(chunks), 3)]


class SelfAttention(nn.Module):
    """Fused q, k, v projection, QK-norm and output projection of one stream."""

    def __init__(self, cfg: TransformerConfig) -> None:
        super().__init__()
        self.num_heads = cfg.num_heads
        self.qkv = nn.Linear(cfg.hidden_size, 3 * cfg.hidden_size, bias=cfg.qkv_bias)
        self.norm = QKNorm(cfg.head_dim)
        self.proj = nn.Linear(cfg.hidden_size, cfg.hidden_size)

    def project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """`[B, L, D]` -> normed q, k and plain v, each `[B, H, L, D / H]`."""
        q, k, v = rearrange(self.qkv(x), "B L (K H D) -> K B H L D", K=3, H=self.num_heads)
        q, k = self.norm(q, k, v)
        return q, k, v


def mlp(dim: int, hidden: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(dim, hidden), nn.GELU(approximate="tanh"), nn.Linear(hidden, dim))


class DoubleStreamBlock(nn.Module):
    """Image and text keep their own weights and meet in one joint attention (text first)."""

    def __init__(self, cfg: TransformerConfig) -> None:
        super().__init__()
        dim, hidden = cfg.hidden_size, cfg.mlp_hidden
        self.img_mod = Modulation(dim, triples=2)
        self.img_attn = SelfAttention(cfg)
        self.img_mlp = mlp(dim, hidden)
        self.txt_mod = Modulation(dim, triples=2)
        self.txt_attn = SelfAttention(cfg)
        self.txt_mlp = mlp(dim, hidden)

    def forward(self, img: Tensor, txt: Tensor, vec: Tensor, pe: Tensor) -> tuple[Tensor, Tensor]:
        img_mod1, img_mod2 = self.img_mod(vec)
        txt_mod1, txt_mod2 = self.txt_mod(vec)

        img_qkv = self.img_attn.project(modulate(img, img_mod1))
        txt_qkv = self.txt_attn.project(modulate(txt, txt_mod1))
        q, k, v = (torch.cat(pair, dim=2) for pair in zip(txt_qkv, img_qkv, strict=True))
        txt_out, img_out = attention(q, k, v, pe).split([txt.shape[1], img.shape[1]], dim=1)

        img = img + img_mod1.gate * self.img_attn.proj(img_out)
        img = img + img_mod2.gate * self.img_mlp(modulate(img, img_mod2))
        txt = txt + txt_mod1.gate * self.txt_attn.proj(txt_out)
        txt = txt + txt_mod2.gate * self.txt_mlp(modulate(txt, txt_mod2))
        return img, txt

    def extend(
        self, x: Tensor, vec: Tensor, pe: Tensor, stream: Stream, before: Sequence[KeyValue]
    ) -> tuple[Tensor, KeyValue]:
        """Tokens of one stream, which read themselves and `before`; also gives their own keys and values."""
        mod, attn, mlp = (
            (self.img_mod, self.img_attn, self.img_mlp)
            if stream == "img"
            else (self.txt_mod, self.txt_attn, self.txt_mlp)
        )
        mod1, mod2 = mod(vec)
        out, own = attention_after(*attn.project(modulate(x, mod1)), pe, before)
        x = x + mod1.gate * attn.proj(out)
        return x + mod2.gate * mlp(modulate(x, mod2)), own


class SingleStreamBlock(nn.Module):
    """Attention and MLP in parallel on the joined sequence, fused into two linear layers."""

    def __init__(self, cfg: TransformerConfig) -> None:
        super().__init__()
        dim, hidden = cfg.hidden_size, cfg.mlp_hidden
        self.num_heads = cfg.num_heads
        self.split = [3 * dim, hidden]
        self.linear1 = nn.Linear(dim, 3 * dim + hidden)
        self.linear2 = nn.Linear(dim + hidden, dim)
        self.norm = QKNorm(cfg.head_dim)
        self.modulation = Modulation(dim, triples=1)

    def forward(self, x: Tensor, vec: Tensor, pe: Tensor) -> Tensor:
        mod, q, k, v, hidden = self.project(x, vec)
        return self.finish(x, mod, attention(q, k, v, pe), hidden)

    def extend(self, x: Tensor, vec: Tensor, pe: Tensor, before: Sequence[KeyValue]) -> tuple[Tensor, KeyValue]:
        """Tokens, which read themselves and `before`; also gives their own keys and values."""
        mod, q, k, v, hidden = self.project(x, vec)
        out, own = attention_after(q, k, v, pe, before)
        return self.finish(x, mod, out, hidden), own

    def project(self, x: Tensor, vec: Tensor) -> tuple[ModulationOut, Tensor, Tensor, Tensor, Tensor]:
        """Modulation, normed q and k, plain v, each `[B, H, L, D]`, and the MLP's inner layer `[B, L, mlp]`."""
        (mod,) = self.modulation(vec)
        qkv, hidden = self.linear1(modulate(x, mod)).split(self.split, dim=-1)
        q, k, v = rearrange(qkv, "B L (K H D) -> K B H L D", K=3, H=self.num_heads)
        q, k = self.norm(q, k, v)
        return mod, q, k, v, hidden

    def finish(self, x: Tensor, mod: ModulationOut, out: Tensor, hidden: Tensor) -> Tensor:
        """Add what attention and MLP found to `x`."""
        return x + mod.gate * self.linear2(torch.cat([out, F.gelu(hidden, approximate="tanh")], dim=-1))


class LastLayer(nn.Module):
    """Final modulation (shift first, then scale; no gate) and projection to patch values."""

    def __init__(self, cfg: TransformerConfig) -> None:
        super().__init__()
        dim = cfg.hidden_size
        self.linear = nn.Linear(dim, cfg.out_channels)
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(dim, 2 * dim))

    def forward(self, x: Tensor, vec: Tensor) -> Tensor:
        shift, scale = self.adaLN_modulation(vec)[:, None].chunk(2, dim=-1)
        return self.linear((1 + scale) * F.layer_norm(x, x.shape[-1:], eps=1e-6) + shift)
