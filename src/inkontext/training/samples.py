"""A grid of pictures for the eye."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

GAP = 2


def grid(rows: Sequence[Sequence[np.ndarray | None]], columns: int = 2) -> Image.Image:
    """Rows of uint8 pictures (None leaves a gap), `columns` rows side by side, in cells of the largest size."""
    shown = [picture for row in rows for picture in row if picture is not None]
    height, width = (max(p.shape[axis] for p in shown) + GAP for axis in (0, 1))
    long = max(len(row) for row in rows)
    lines = -(-len(rows) // columns)
    page = Image.new("RGB", (columns * (long * width + 4 * GAP), lines * height), "white")
    for i, row in enumerate(rows):
        left, top = (i // lines) * (long * width + 4 * GAP), (i % lines) * height
        for j, picture in enumerate(row):
            if picture is not None:
                page.paste(Image.fromarray(picture), (left + j * width, top))
    return page
