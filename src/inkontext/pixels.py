"""Bytes of pictures as the numbers that networks take, and back."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def to_float(pictures: Tensor | np.ndarray, device: torch.device | str | None = None) -> Tensor:
    """uint8 `[n, H, W, 3]` -> float32 `[n, 3, H, W]` in [-1, 1]."""
    pixels = torch.from_numpy(np.array(pictures)) if isinstance(pictures, np.ndarray) else pictures
    return pixels.to(device).permute(0, 3, 1, 2).float() / 127.5 - 1


def to_bytes(x: Tensor, truncate: bool = False) -> Tensor:
    """`[n, 3, H, W]`, beyond [-1, 1] clipped -> uint8 `[n, H, W, 3]`, rounded to the nearest or, on request, down."""
    levels = (x.float().clamp(-1, 1) + 1) * 127.5
    return (levels if truncate else levels.round()).to(torch.uint8).permute(0, 2, 3, 1)
