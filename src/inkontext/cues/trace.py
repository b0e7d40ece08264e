"""Does a line stand at a place of a picture? Its colour against what lies on both of its sides.

Nothing is asked of the line's colour: a line is what neither side explains, nor any mixture of the two. An edge that
runs where a line was is a mixture of its sides, and even ground is like both.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

_NEAREST: Final = 12  # pixels of a side that are looked at, those next to the line first
_LEAST: Final = 3  # fewer are no side
_EXPLAINED: Final = 10  # per cent of the pairs of side pixels that may explain the line's colour
_BRIGHTER: Final = 1.3  # a line of the picture's own may come back this much stronger


@dataclass(frozen=True)
class Spot:
    """A place of the line, as indices into the picture's pixels in reading order: the line's own and both sides'."""

    line: np.ndarray
    left: np.ndarray
    right: np.ndarray


def spot_at(y: int, x: int, cover: np.ndarray, off: np.ndarray, reach: int) -> Spot | None:
    """The spot around a pixel of the line; None where the line has no side.

    At the picture's border the side that is there counts twice.

    Args:
        cover: `[H, W]` uint8, how much of every pixel is line.
        off: `[H, W]` bool, what is no line and does not touch one.
        reach: a line's width in whole pixels.
    """
    height, width = cover.shape
    rows, columns = np.ogrid[: 6 * reach + 5, : 6 * reach + 5]
    rows, columns = rows + y - 3 * reach - 2, columns + x - 3 * reach - 2
    rows, columns = rows[(rows >= 0) & (rows < height)], columns[(columns >= 0) & (columns < width)]
    here = np.ix_(rows, columns)
    dy, dx = (v.astype(float) for v in np.meshgrid(rows - y, columns - x, indexing="ij"))
    angle = _direction(cover[here] * (dy**2 + dx**2 <= (2 * reach + 1) ** 2), dy, dx)
    along = dx * math.cos(angle) + dy * math.sin(angle)
    across = dy * math.cos(angle) - dx * math.sin(angle)
    band = np.abs(along) <= reach
    order = np.ravel(rows[:, None] * width + columns)
    own = band & (np.abs(across) <= 1) & (cover[here] >= cover[y, x])
    sides = [_nearest(band & off[here] & (sign * across > 0), np.abs(across)) for sign in (1, -1)]
    sides = [side for side in sides if len(side) >= _LEAST]
    return Spot(order[own.ravel()], order[sides[0]], order[sides[-1]]) if sides else None


def _direction(weight: np.ndarray, dy: np.ndarray, dx: np.ndarray) -> float:
    """The angle of the first principal axis of the weighted pixels, in radians from the x axis."""
    total = weight.sum()
    dy, dx = dy - (weight * dy).sum() / total, dx - (weight * dx).sum() / total
    return 0.5 * math.atan2(2 * (weight * dy * dx).sum(), (weight * (dx**2 - dy**2)).sum())


def _nearest(where: np.ndarray, distance: np.ndarray) -> np.ndarray:
    """Flat indices of the true pixels of `where` with the smallest distances."""
    found = np.flatnonzero(where)
    return found[np.argsort(distance.ravel()[found], kind="stable")[:_NEAREST]]


def contrast(pixels: np.ndarray, spot: Spot) -> float:
    """How far the line's colour lies from all mixtures of its sides, 0 to 441; `pixels` is `[H * W, 3]`.

    Every pixel of one side with every one of the other spans a segment of colours. The distance to the segments is
    taken at a low percentile, so that a side of two contents needs only one of them to explain the colour.
    """
    colour = pixels[spot.line].mean(axis=0)
    distance = np.linalg.norm(_off_segment(colour, pixels[spot.left][:, None], pixels[spot.right][None]), axis=-1)
    return float(np.percentile(distance, _EXPLAINED))


def new_contrast(before: np.ndarray, after: np.ndarray, spot: Spot) -> float:
    """`contrast` of `after`, as far as it was not in `before`: neither that colour nor such a line, weaker or a
    little stronger."""
    (was, line_was), (now, line) = (_typical(pixels, spot) for pixels in (before, after))
    size = float((line_was**2).sum())
    strength = min(max(float((line * line_was).sum()) / max(size, 1e-3), 0.0), _BRIGHTER)
    unlike = min(float(np.linalg.norm(now - was)), float(np.linalg.norm(line - strength * line_was)))
    return min(contrast(after, spot), unlike)


def _typical(pixels: np.ndarray, spot: Spot) -> tuple[np.ndarray, np.ndarray]:
    """The line's colour, and the way to it from the nearest mixture of both sides' medians; `[3]` each."""
    colour = pixels[spot.line].mean(axis=0)
    left, right = (np.median(pixels[side], axis=0) for side in (spot.left, spot.right))
    return colour, _off_segment(colour, left, right)


def _off_segment(colour: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """From the nearest point of each segment (ends `[..., 3]`, broadcast) to the colour."""
    way = end - start
    share = ((colour - start) * way).sum(axis=-1) / np.maximum((way**2).sum(axis=-1), 1e-3)
    return colour - start - np.clip(share, 0, 1)[..., None] * way
