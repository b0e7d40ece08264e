"""What is put back after decoding: every pixel outside the mask, and transparency."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageFilter

from inkontext.safety.pictures import Picture

SEAM = 8  # pixels over which the edit fades in, inside the mask


def keep_outside(source: Image.Image, edited: Image.Image, mask: Image.Image) -> Image.Image:
    """`edited` where the mask allows, the source's own bytes everywhere else.

    Args:
        source, edited: RGB pictures of one size.
        mask: mode L, 0 = keep; greys blend. The seam is blended inside the mask only, over `SEAM` pixels.
    """
    allowed = np.asarray(mask, dtype=np.float32) / 255
    weight = np.minimum(allowed, _fade(mask))[..., None]
    before, after = (np.asarray(im, dtype=np.float32) for im in (source, edited))
    blended = np.rint(before + weight * (after - before)).astype(np.uint8)
    return Image.fromarray(np.where(weight > 0, blended, np.asarray(source)))


def _fade(mask: Image.Image) -> np.ndarray:
    """`[H, W]` ramp: 0 outside the mask, rising to 1 at `SEAM` pixels inside; the picture's border is no seam."""
    inside = Image.fromarray((np.asarray(mask) > 0).astype(np.uint8))
    padded = np.pad(np.asarray(inside), SEAM, mode="edge")
    ramp = padded.astype(np.float32)
    layer = Image.fromarray(padded)
    for _ in range(SEAM - 1):
        layer = layer.filter(ImageFilter.MinFilter(3))
        ramp += np.asarray(layer)
    return ramp[SEAM:-SEAM, SEAM:-SEAM] / SEAM


def restore_alpha(before: Picture, edited: Image.Image) -> Image.Image:
    """Give a transparent picture its alpha back: clear stays clear unless the edit painted there.

    The model saw transparency as white. A pixel that moved away from what the model saw becomes opaque
    in proportion, so that what an edit adds outside the old outline is not hidden.
    """
    assert before.alpha is not None
    moved = np.abs(np.asarray(edited, np.int16) - np.asarray(before.rgb, np.int16)).max(axis=-1)
    painted = np.clip((moved - 24) * 4, 0, 255).astype(np.uint8)  # 24 of 255: above autoencoder noise
    alpha = np.maximum(np.asarray(before.alpha), painted)
    return Image.fromarray(np.dstack([np.asarray(edited), alpha]))
