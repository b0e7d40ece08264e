"""Pictures of any sizes side by side on one sheet."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

_COLUMNS = 2


def sheet(rows: Sequence[Sequence[Image.Image | np.ndarray | None]], side: int) -> Image.Image:
    """Rows of pictures, each picture fitted into a white cell of `side` pixels; None leaves a cell empty.

    The rows stand in two columns, to be looked at on one screen.
    """
    width = max(len(row) for row in rows)
    height = -(-len(rows) // _COLUMNS)
    canvas = Image.new("RGB", (_COLUMNS * width * side, height * side), "white")
    for n, row in enumerate(rows):
        for i, picture in enumerate(row):
            if picture is not None:
                place = ((n // height * width + i) * side, n % height * side)
                canvas.paste(_fitted(picture, side), place)
    return canvas


def _fitted(picture: Image.Image | np.ndarray, side: int) -> Image.Image:
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    cell = Image.new("RGB", (side, side), "white")
    if max(image.size) != side:
        scale = side / max(image.size)
        image = image.resize((max(1, round(image.width * scale)), max(1, round(image.height * scale))))
    cell.paste(image, ((side - image.width) // 2, (side - image.height) // 2))
    return cell
