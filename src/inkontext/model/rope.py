"""Factorised three-dimensional rotary position embedding (paper section 3, token positions u = (t, h, w))."""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor


def rope_table(ids: Tensor, axes_dim: tuple[int, ...], theta: int) -> Tensor:
    """Cosines and sines of every token's rotation angles.

    Args:
        ids: `[L, len(axes_dim)]` float32 positions; fractions and negatives are allowed.
        axes_dim: channels of the head that each axis rotates; even numbers.
        theta: base of the frequencies, theta ** (-2 j / d) for pair j of an axis of width d.

    Returns:
        `[2, L, sum(axes_dim) / 2]` float32: cosines, then sines. Axes are concatenated in order.
    """
    # Angles in fp64 as diffusers does: at position 4096 an fp32 angle is off by 2e-4 already.
    exact = torch.float32 if ids.device.type == "mps" else torch.float64
    angles = []
    for axis, width in enumerate(axes_dim):
        exponent = torch.arange(0, width, 2, dtype=exact, device=ids.device) / width
        angles.append(ids[:, axis].to(exact)[:, None] * theta**-exponent)
    angle = torch.cat(angles, dim=-1)
    return torch.stack([angle.cos(), angle.sin()]).float()


def rotate(x: Tensor, pe: Tensor) -> Tensor:
    """Rotate the interleaved channel pairs (2p, 2p + 1) of `x` by angle p.

    Args:
        x: `[B, H, L, D]` queries or keys.
        pe: `[2, L, D / 2]` from `rope_table`.

    Returns:
        `[B, H, L, D]` in the dtype of `x`; the rotation itself is done in float32.
    """
    cos, sin = pe
    even, odd = rearrange(x.float(), "B H L (D two) -> two B H L D", two=2)
    turned = torch.stack([cos * even - sin * odd, sin * even + cos * odd], dim=-1)
    return rearrange(turned, "B H L D two -> B H L (D two)").to(x.dtype)
