"""What was drawn on the page's picture: brush strokes become a mask, shapes become cues."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any, Final

from PIL import Image, ImageDraw

from inkontext.cues import Cue, from_json, parse_cue
from inkontext.data.tables import text_lines
from inkontext.errors import MaskError

_MOST_POINTS: Final = 200_000
_NOT_UNDERSTOOD: Final = "what was drawn cannot be read; clear the marks and draw them again"


@dataclass(frozen=True)
class Marks:
    """`mask` is mode L of the picture's size, 255 where it may change; None where nothing was brushed."""

    mask: Image.Image | None
    cues: tuple[Cue, ...]


def read_marks(drawn: str, written: str, size: tuple[int, int]) -> Marks:
    """Marks on a picture.

    Args:
        drawn: JSON of the page, `{"strokes": [{"erase": false, "width": 0.1, "points": [[x, y], ...]}], "cues":
            [...]}`; coordinates are fractions of the picture, a stroke's width is one of its width.
        written: further cues in words, a line each, as `parse_cue` reads them.
        size: (width, height) of the picture.

    Raises:
        CueError: a cue that is not understood or lies outside the picture.
        MaskError: strokes that are none, or of which nothing is left.
    """
    try:
        body = json.loads(drawn) if drawn.strip() else {}
    except (ValueError, RecursionError) as error:
        raise MaskError(_NOT_UNDERSTOOD) from error
    if not isinstance(body, dict) or not all(isinstance(body.get(k, []), list) for k in ("strokes", "cues")):
        raise MaskError(_NOT_UNDERSTOOD)
    cues = from_json(json.dumps(body["cues"])) if body.get("cues") else ()
    lines = [line for line in text_lines(written) if line.strip()]
    cues += tuple(parse_cue(line, size) for line in lines)
    strokes = body.get("strokes", [])
    return Marks(_painted(strokes, size) if strokes else None, cues)


def _painted(strokes: list[Any], size: tuple[int, int]) -> Image.Image:
    mask = Image.new("L", size)
    pen = ImageDraw.Draw(mask)
    left = _MOST_POINTS
    for stroke in strokes:
        points, wide, erase = _stroke(stroke)
        left -= len(points)
        if left < 0:
            raise MaskError("the mask has too many strokes; clear it and paint with a larger brush")
        ink = 0 if erase else 255
        at = [(x * size[0], y * size[1]) for x, y in points]
        radius = max(0.5, wide * size[0] / 2)
        if len(at) > 1:
            pen.line(at, ink, max(1, round(2 * radius)))
        for x, y in at:
            pen.ellipse((x - radius, y - radius, x + radius, y + radius), ink)
    if mask.getbbox() is None:
        raise MaskError("nothing is left of the mask; paint what may change, or clear it")
    return mask


def _stroke(row: Any) -> tuple[list[tuple[float, float]], float, bool]:
    """Points, width and whether it erases. The page draws over the picture's edge, but not far from it."""
    if not isinstance(row, dict) or not isinstance(row.get("points"), list) or not _number(row.get("width"), 0, 1):
        raise MaskError(_NOT_UNDERSTOOD)
    points = row["points"]
    if not points or not all(isinstance(p, list) and len(p) == 2 and all(_number(v, -1, 2) for v in p) for p in points):
        raise MaskError(_NOT_UNDERSTOOD)
    return [(float(x), float(y)) for x, y in points], float(row["width"]), bool(row.get("erase"))


def _number(value: Any, least: float, most: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) \
        and least <= value <= most  # fmt: skip
