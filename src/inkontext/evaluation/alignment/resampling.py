"""Pictures under similarities: moved, softened, halved.

Pictures are float32 `[H, W, 3]`. Points are complex numbers x + iy, in pixels from the picture's centre, y down;
pixel (i, j) has its centre at (j + ½, i + ½). A similarity is z -> a z + b.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from PIL import Image

_EDGE = 2  # pixels along the border whose colours are mixed with what lies outside


class Similarity(NamedTuple):
    """z -> a z + b about the picture's centre: |a| scales, -arg a turns counter-clockwise on the screen."""

    a: complex = 1 + 0j
    b: complex = 0j

    def after(self, first: Similarity) -> Similarity:
        """This one applied to what `first` gives."""
        return Similarity(self.a * first.a, self.a * first.b + self.b)


def warp(picture: np.ndarray, similarity: Similarity, centre: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    """The picture seen through a similarity: out(z) = picture(a z + b), by Keys' cubic convolution (1981), a = -1/2.

    Args:
        centre: (x, y) of the origin, in pixels from the picture's corner.

    Returns:
        `[H, W, 3]`, and where the whole stencil lay inside, bool `[H, W]`.
    """
    height, width, channels = picture.shape
    x, y = (np.arange(n) + 0.5 - c for n, c in zip((width, height), centre, strict=True))
    a, b = similarity
    across = a.real * x[None] - a.imag * y[:, None] + b.real + centre[0] - 0.5
    down = a.imag * x[None] + a.real * y[:, None] + b.imag + centre[1] - 0.5
    left, top = np.floor(across).astype(np.int32), np.floor(down).astype(np.int32)
    seen = (left >= 1) & (left < width - 2) & (top >= 1) & (top < height - 2)
    out = np.zeros_like(picture)
    columns, rows = _keys((across - left)[seen]), _keys((down - top)[seen])
    flat, corner = picture.reshape(-1, channels), (top * width + left)[seen]
    total = np.zeros((len(corner), channels), picture.dtype)
    for i, row in enumerate(rows):
        line = np.zeros_like(total)
        for j, column in enumerate(columns):
            line += column[:, None] * flat.take(corner + ((i - 1) * width + j - 1), 0)
        total += row[:, None] * line
    out[seen] = total
    return out, seen


def _keys(t: np.ndarray) -> list[np.ndarray]:
    """Weights of the four neighbours at distances 1 + t, t, 1 - t, 2 - t."""
    t = t.astype(np.float32)
    return [
        ((-0.5 * t + 1) * t - 0.5) * t,
        (1.5 * t - 2.5) * t * t + 1,
        ((-1.5 * t + 2) * t + 0.5) * t,
        (0.5 * t - 0.5) * t * t,
    ]


def inside(seen: np.ndarray) -> np.ndarray:
    """Without the picture's own border and a pixel around what is not seen."""
    out = np.zeros_like(seen)
    inner = (slice(_EDGE, -_EDGE),) * 2
    out[inner] = seen[inner]
    near = out.copy()
    for axis in (0, 1):
        for by in (-1, 1):
            near &= np.roll(seen, by, axis)
    return near


def soften(picture: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian blur, float32; the border's values go on outside."""
    reach = int(4 * sigma + 1)
    taps = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * sigma**2))
    taps = (taps / taps.sum()).astype(np.float32)
    for axis in (0, 1):
        padded = np.pad(picture, [(reach, reach) if axis == k else (0, 0) for k in range(3)], mode="edge")
        count = picture.shape[axis]
        out = np.zeros_like(picture, dtype=np.float32)
        for k, tap in enumerate(taps):
            out += tap * (padded[k : k + count] if axis == 0 else padded[:, k : k + count])
        picture = out
    return picture


def halve(picture: np.ndarray) -> np.ndarray:
    """Half the resolution, filter (1, 3, 3, 1)/8 along each axis; an odd last line is dropped."""
    for axis in (0, 1):
        picture = np.moveaxis(picture, axis, 0)
        count = picture.shape[0] // 2
        padded = np.pad(picture, ((1, 1), *((0, 0),) * (picture.ndim - 1)), mode="edge")
        a, b, c, d = (padded[k : k + 2 * count : 2] for k in range(4))
        picture = np.moveaxis((a + d + 3 * (b + c)) / 8, 0, axis)
    return np.ascontiguousarray(picture)


def reduced(picture: np.ndarray, factor: int) -> np.ndarray:
    """A uint8 picture averaged over squares of `factor` pixels, float32 in the same range."""
    image = Image.fromarray(picture)
    return np.asarray(image if factor == 1 else image.reduce(factor), dtype=np.float32)
