"""Is AFTER the same framing as BEFORE, and did the edit leave the rest alone?

BEFORE's content, scaled and rotated about the picture's centre and then shifted, gives AFTER. Coordinates are the
picture's: x to the right, y down. A positive rotation is counter-clockwise as seen. `registration` finds the four
numbers from what the pictures have in common, whatever part was edited; `untouched` measures the rest.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from PIL import Image

from inkontext.errors import PictureError
from inkontext.evaluation.alignment.registration import register
from inkontext.evaluation.alignment.resampling import Similarity
from inkontext.evaluation.alignment.untouched import psnr_over, untouched


@dataclass(frozen=True)
class Alignment:
    """What was measured; what could not be is None, with a reason.

    Attributes:
        shift_x: pixels that the centre's content has moved to the right.
        shift_y: the same down.
        scale: size in AFTER over size in BEFORE.
        rotation: degrees, counter-clockwise as seen.
        untouched_psnr: dB, AFTER against BEFORE at the same place, over what the edit left alone; at most 99.
        quality: from 0 to 1, how alike BEFORE's structure and AFTER's are at its new place; an edit lowers it.
        overlap: share of BEFORE's area that lies within AFTER.
        untouched_share: share of AFTER's area that was judged left alone.
        reason: why there is no shift, scale and rotation.
        untouched_reason: why there is no `untouched_psnr`.
        whole_psnr: dB, AFTER against BEFORE at the same place, over the whole picture; at most 99.
        outside_psnr: the same outside the mask; None without one, or where it leaves nothing.
        outside_share: share of the area outside the mask.
    """

    shift_x: float | None
    shift_y: float | None
    scale: float | None
    rotation: float | None
    untouched_psnr: float | None
    quality: float | None
    overlap: float | None
    untouched_share: float
    reason: str | None
    untouched_reason: str | None
    whole_psnr: float | None = None
    outside_psnr: float | None = None
    outside_share: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """The fields as plain values, numbers to six decimals."""
        return {k: round(v, 6) + 0.0 if isinstance(v, float) else v for k, v in asdict(self).items()}


def measure(before: np.ndarray, after: np.ndarray, mask: np.ndarray | None = None) -> Alignment:
    """Measure how AFTER lies over BEFORE.

    Args:
        before, after: uint8 `[H, W, 3]` of one size.
        mask: bool `[H, W]`, what the edit was free to change.

    Raises:
        PictureError: the arrays are of another kind, or of different sizes.
    """
    for picture in (before, after):
        if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3 or 0 in picture.shape:
            raise PictureError(f"alignment needs uint8 pictures [H, W, 3], not {picture.dtype} {list(picture.shape)}")
    if before.shape != after.shape:
        raise PictureError("alignment needs pictures of one size; bring AFTER to BEFORE's size first")
    if mask is not None and (mask.dtype != bool or mask.shape != before.shape[:2]):
        raise PictureError(
            f"alignment needs a mask of bool [H, W], the pictures' size, not {mask.dtype} {[*mask.shape]}"
        )
    found = register(before, after)
    rest = untouched(before, after, found.similarity)
    move = found.similarity
    return Alignment(
        shift_x=None if move is None else move.b.real,
        shift_y=None if move is None else move.b.imag,
        scale=None if move is None else abs(move.a),
        rotation=None if move is None else -float(np.degrees(np.angle(move.a))),
        untouched_psnr=rest.psnr,
        quality=found.quality,
        overlap=None if move is None else overlap(before.shape[1], before.shape[0], move),
        untouched_share=rest.share,
        reason=found.reason,
        untouched_reason=rest.reason,
        whole_psnr=psnr_over(before, after),
        outside_psnr=None if mask is None else psnr_over(before, after, lambda rows: ~mask[rows]),
        outside_share=None if mask is None else 1 - float(mask.mean()),
    )


def overlap(width: int, height: int, move: Similarity) -> float:
    """The share of a picture's area that is still inside it after the move, counted on a grid of 128 × 128 points."""
    x, y = ((np.arange(128) + 0.5) / 128 * side - side / 2 for side in (width, height))
    moved = move.a * (x[None] + 1j * y[:, None]) + move.b
    return float(((abs(moved.real) <= width / 2) & (abs(moved.imag) <= height / 2)).mean())


def at_size_of(before: Image.Image, after: Image.Image) -> Image.Image:
    """AFTER at BEFORE's size.

    Raises:
        PictureError: the sides have another ratio, by more than rounding one side to a whole pixel explains.
    """
    (w, h), (w2, h2) = before.size, after.size
    if (w, h) == (w2, h2):
        return after
    if abs(w * h2 - w2 * h) > max(w, h, w2, h2):
        raise PictureError(
            f"AFTER is {w2}x{h2} and BEFORE {w}x{h} pixels, sides of another ratio; crop or resize one to match"
        )
    return after.resize(before.size, Image.Resampling.BICUBIC)
