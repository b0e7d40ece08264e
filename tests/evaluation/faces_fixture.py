"""A face model whose answers are known: an ONNX file by hand, and where its detector sees faces."""

from __future__ import annotations

import numpy as np
from skimage.transform import SimilarityTransform

TURNED = SimilarityTransform(scale=1.7, rotation=0.3, translation=(90, 20))


def smooth(width: int, height: int) -> np.ndarray:
    y, x = np.mgrid[0:height, 0:width] / 40
    bands = [np.sin(2 * x + y), np.cos(3 * y - x), np.sin(x * y / 4)]
    return (127.5 + 120 * np.dstack(bands)).astype(np.uint8)


def number(value: int) -> bytes:
    out = b""
    while value > 127:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])


def field(place: int, value: int | bytes) -> bytes:
    if isinstance(value, int):
        return number(place << 3) + number(value)
    return number(place << 3 | 2) + number(len(value)) + value


def mean_network() -> bytes:
    """An ONNX file by hand: the mean of each channel, `[1, 3, 112, 112]` to `[1, 3]`."""
    axes = field(1, b"axes") + field(8, 2) + field(8, 3) + field(20, 7)
    keep = field(1, b"keepdims") + field(3, 0) + field(20, 2)
    node = field(1, b"x") + field(2, b"y") + field(4, b"ReduceMean") + field(5, axes) + field(5, keep)

    def value(name: bytes, *shape: int) -> bytes:
        dimensions = b"".join(field(1, field(1, n)) for n in shape)
        return field(1, name) + field(2, field(1, field(1, 1) + field(2, dimensions)))

    inside = field(1, node) + field(2, b"g") + field(11, value(b"x", 1, 3, 112, 112)) + field(12, value(b"y", 1, 3))
    return field(1, 8) + field(7, inside) + field(8, field(1, b"") + field(2, 13))
