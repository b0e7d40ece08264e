"""What every system is asked to do, the same for all."""

from __future__ import annotations

import io
from typing import Final

import numpy as np
from PIL import Image

EDIT: Final = "make the sky red"
MAKE: Final = "a red house under a blue sky"


def input_picture(size: int, number: int) -> Image.Image:
    """A smooth square picture, another one for each number."""
    y, x = np.mgrid[0:size, 0:size] / size
    bands = [0.5 + 0.5 * np.sin(6 * x + number), y, 0.5 + 0.5 * np.cos(9 * x * y + number)]
    return Image.fromarray((np.dstack(bands) * 255).astype(np.uint8))


def input_png(size: int, number: int) -> bytes:
    """The same as the bytes of a PNG file."""
    buffer = io.BytesIO()
    input_picture(size, number).save(buffer, "PNG")
    return buffer.getvalue()
