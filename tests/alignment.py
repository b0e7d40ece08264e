"""How far a picture was moved, measured by means that share nothing with `geometry`.

Smooth blobs stand at known points. Where their centroids went says how far the picture was shifted and scaled;
the peak of the cross-correlation (scikit-image) says it again for the picture as a whole.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image
from skimage.registration import phase_cross_correlation

from inkontext.geometry import Size

Points = list[tuple[float, float]]
REACH = 4.5  # standard deviations of a blob that are looked at


def blob_width(size: Size, scale: float) -> float:
    """Standard deviation, in picture pixels, that survives a canvas of `scale`: two of its pixels, two of ours."""
    return min(max(2.0, 2.0 / scale), min(size) / 12)


def corners(size: Size, width: float) -> Points:
    """Four points as near to the corners as blobs fit whole, or fewer where the picture is narrow."""
    margin = 5.5 * width
    across, down = ({margin, side - margin} if side > 4 * margin else {side / 2} for side in size)
    return [(x, y) for x in sorted(across) for y in sorted(down)]


def draw_blobs(size: Size, points: Points, width: float) -> Image.Image:
    """An RGB picture of white Gaussian blobs on black."""
    x, y = (np.arange(side, dtype=np.float32) + 0.5 for side in size)
    total = np.zeros(size[::-1], np.float32)
    for cx, cy in points:
        rows, columns = np.exp(-((y - cy) ** 2) / (2 * width**2)), np.exp(-((x - cx) ** 2) / (2 * width**2))
        total += rows[:, None] * columns
    return Image.fromarray(np.dstack([np.rint(np.clip(total, 0, 1) * 250).astype(np.uint8)] * 3))


def centroid(image: Image.Image, around: tuple[float, float], reach: tuple[float, float]) -> np.ndarray:
    """(x, y) of the centre of brightness within `reach` of a point."""
    low = [max(0, round(c - r)) for c, r in zip(around, reach, strict=True)]
    high = [min(side, round(c + r)) for side, c, r in zip(image.size, around, reach, strict=True)]
    part = np.asarray(image.convert("L").crop((*low, *high)), dtype=np.float64)
    x, y = (np.arange(a, b) + 0.5 for a, b in zip(low, high, strict=True))
    return np.array([(part.sum(0) * x).sum(), (part.sum(1) * y).sum()]) / part.sum()


def displacement(size: Size, scale: float, way: Callable[[Image.Image], Image.Image]) -> float:
    """The largest distance, in picture pixels and along one axis, that `way` moves any part of a picture.

    Args:
        scale: canvas pixels per picture pixel, which decides how fine the picture may be.
        way: takes an RGB picture of `size` to one of the same size.
    """
    width = blob_width(size, scale)
    points = corners(size, width)
    before = draw_blobs(size, points, width)
    after = way(before)
    assert after.size == size
    reach = (REACH * width, REACH * width)
    moved = [np.abs(centroid(before, p, reach) - centroid(after, p, reach)).max() for p in points]
    if size[0] * size[1] <= 100_000:  # a Fourier transform of the whole picture
        shift = phase_cross_correlation(
            np.asarray(before.convert("F")), np.asarray(after.convert("F")), upsample_factor=50, normalization=None
        )[0]
        moved.append(np.abs(shift).max())
    return float(max(moved))
