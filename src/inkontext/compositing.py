"""What an edit may not touch is put back: outside the mask, in latents at every step and in bytes at the end;
and transparency."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageFilter
from torch import Tensor

from inkontext.flow.path import interpolate
from inkontext.geometry import GRID, Frame
from inkontext.safety.pictures import Picture
from inkontext.sequence import pack

SEAM = 8  # pixels over which the edit fades in, inside the mask


@dataclass(frozen=True)
class Mask:
    """What may change: mode L on the picture's own pixels, 255 = edit.

    `exact` keeps every outside byte of the picture; `reference` repeats the reference implementation's
    latent blend alone. `strength` below 1 starts from a partly noised picture. `found`: what the record says of it.
    """

    image: Image.Image
    mode: str
    strength: float
    found: dict[str, Any] = field(default_factory=dict)


def latent_blend(mask: Mask, frame: Frame, clean: Tensor, noise: Tensor) -> Callable[[Tensor, float], Tensor]:
    """The step's correction z <- (1 - m) z_init(t) + m z, the clean picture re-noised to t outside the mask.

    Args:
        frame: where the picture lies on the canvas.
        clean: its latents `[1, C, h, w]`.
        noise: the packed noise `[1, L, 4 C]` that sampling started from.
    """
    m = pack(_latent_mask(mask, frame).expand(-1, clean.shape[1], -1, -1)).to(noise)
    start = pack(clean).to(noise.dtype)
    return lambda z, t: (1 - m) * interpolate(start, noise, t) + m * z


def _latent_mask(mask: Mask, frame: Frame) -> Tensor:
    """The mask on the latent grid, `[1, 1, h, w]`, 1 = edit."""
    cell = GRID // 2
    if mask.mode == "reference":
        white = torch.from_numpy(np.array(frame.place(mask.image))).float()[None, None] / 255 >= 0.5
        return F.interpolate(white.float(), scale_factor=1 / cell)
    # A cell is free if any of its pixels is; averages in floating point cannot lose a thin stroke.
    placed = frame.place(mask.image.point(lambda v: 255 if v else 0).convert("F"), Image.Resampling.BOX)
    return F.max_pool2d((torch.from_numpy(np.array(placed))[None, None] > 0).float(), cell)


def keep_outside(source: Image.Image, edited: Image.Image, mask: Image.Image) -> Image.Image:
    """`edited` where the mask allows, the source's own bytes everywhere else.

    Args:
        source: RGB picture.
        edited: RGB picture of the same size.
        mask: mode L, 0 = keep; greys blend. The seam is blended inside the mask only, over `SEAM` pixels.
    """
    allowed = np.asarray(mask, dtype=np.float32) / 255
    weight = np.minimum(allowed, _fade(mask))[..., None]
    before, after = (np.asarray(im, dtype=np.float32) for im in (source, edited))
    blended = np.rint(before + weight * (after - before)).astype(np.uint8)
    return Image.fromarray(np.where(weight > 0, blended, np.asarray(source)))


def _fade(mask: Image.Image) -> np.ndarray:
    """`[H, W]` ramp: 0 outside the mask, rising to 1 at `SEAM` pixels inside; the picture's border is no seam.

    A mask that is nowhere so thick reaches 1 at its thickest.
    """
    inside = Image.fromarray((np.asarray(mask) > 0).astype(np.uint8))
    padded = np.pad(np.asarray(inside), SEAM, mode="edge")
    ramp = padded.astype(np.float32)
    layer = Image.fromarray(padded)
    for _ in range(SEAM - 1):
        layer = layer.filter(ImageFilter.MinFilter(3))
        ramp += np.asarray(layer)
    return ramp[SEAM:-SEAM, SEAM:-SEAM] / max(float(ramp.max()), 1.0)


def restore_alpha(before: Picture, edited: Image.Image) -> Image.Image:
    """Give a transparent picture its alpha back: clear stays clear unless the edit painted there.

    The model saw transparency as white. A pixel that moved away from what the model saw becomes opaque
    in proportion, so that what an edit adds outside the old outline is not hidden. The white is taken out of
    half-transparent colours again; where nothing moved, all four bytes are the picture's own.
    """
    assert before.alpha is not None and before.stored is not None
    after = np.asarray(edited, np.int16)
    moved = np.abs(after - np.asarray(before.rgb, np.int16)).max(axis=-1)
    painted = np.clip((moved - 24) * 4, 0, 255).astype(np.uint8)  # 24 of 255: above autoencoder noise
    alpha = np.maximum(np.asarray(before.alpha), painted)
    colour = 255 - (255 - after) * (255 / np.maximum(alpha, 1))[..., None]
    own = (moved == 0) | (alpha == 0)
    colour = np.where(own[..., None], np.asarray(before.stored), np.clip(np.rint(colour), 0, 255).astype(np.uint8))
    return Image.fromarray(np.dstack([colour, alpha]))
