"""Flat shapes and the patterns that fill them."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import numpy as np
from PIL import Image, ImageChops, ImageDraw

from inkontext.data.world.palette import COLOURS, darker
from inkontext.data.world.pen import Pen, Point, arc_points, turn
from inkontext.data.world.scene import Paint, Shape


def _ring(radii: tuple[float, ...], count: int, start: int = -90) -> list[Point]:
    """`count` points around the origin whose radii take turns."""
    corners = [turn(start + 360 * i // count) for i in range(count)]
    return [(radii[i % len(radii)] * c, radii[i % len(radii)] * s) for i, (c, s) in enumerate(corners)]


def _heart() -> list[Point]:
    right = arc_points(46, -42, 46, 46, -180, 20, 20)
    left = [(-x, y) for x, y in reversed(right)]
    return [*right, (0, 92), *left]


def _flower() -> list[Point]:
    points: list[Point] = []
    for petal in range(6):
        c, s = turn(60 * petal - 90)
        points += arc_points(62 * c, 62 * s, 34, 34, 60 * petal - 180, 60 * petal, 30)
    return points


def _cloud() -> list[Point]:
    bumps = ((-52, 10, 40, 90, 240), (-14, -22, 46, 190, 320), (48, 4, 46, 270, 450))
    points = [p for cx, cy, r, a, b in bumps for p in arc_points(cx, cy, r, r, a, b, 15)]
    return [(x, y + 2) for x, y in points]


FORMS: Final[dict[str, list[Point]]] = {
    "circle": arc_points(0, 0, 96, 96, 0, 350, 10),
    "square": [(-84, -84), (84, -84), (84, 84), (-84, 84)],
    "triangle": [(0, -94), (98, 82), (-98, 82)],
    "star": _ring((100, 42), 10),
    "heart": _heart(),
    "hexagon": _ring((98,), 6, 0),
    "diamond": [(0, -100), (70, 0), (0, 100), (-70, 0)],
    "ring": arc_points(0, 0, 96, 96, 0, 360, 10) + arc_points(0, 0, 50, 50, 360, 0, 10),
    "crescent": arc_points(-10, 0, 96, 96, 60, 300, 10) + arc_points(34, 0, 84, 84, 280, 80, 10),
    "cross": [(-32, -94), (32, -94), (32, -32), (94, -32), (94, 32), (32, 32),
              (32, 94), (-32, 94), (-32, 32), (-94, 32), (-94, -32), (-32, -32)],
    "arrow": [(-96, -32), (6, -32), (6, -82), (98, 0), (6, 82), (6, 32), (-96, 32)],
    "oval": arc_points(0, 0, 98, 62, 0, 350, 10),
    "flower": _flower(),
    "cloud": _cloud(),
    "bolt": [(14, -100), (-58, 16), (-8, 16), (-20, 100), (60, -26), (10, -26), (40, -100)],
}  # fmt: skip


@lru_cache(maxsize=512)
def pattern_mask(pattern: str, side: int, repeats: int) -> Image.Image:
    """Where the second colour goes: mode L, `side` pixels square, `repeats` periods across."""
    y, x = np.mgrid[0:side, 0:side].astype(np.int32)
    period = max(4, side // repeats)
    half = period // 2
    match pattern:
        case "striped":
            on = (x + y) % period < period * 2 // 5
        case "checkered":
            on = (x // half + y // half) % 2 == 0
        case "zigzag":
            on = (y + np.abs(x % (2 * half) - half)) % period < period * 2 // 5
        case "dotted":
            u, v = x % period - half, (y + (x // period % 2) * half) % period - half
            on = u * u + v * v <= (period * period * 7) // 100
        case "gradient":
            return Image.fromarray((y * 190 // max(1, side - 1)).astype(np.uint8))
        case _:
            raise AssertionError(pattern)
    return Image.fromarray(on.astype(np.uint8) * 255)


def fill_pattern(pen: Pen, points: list[tuple[int, int]], paint: Paint, repeats: int) -> None:
    """Lay the pattern's second colour over the polygon `points` (canvas pixels), already filled."""
    xs, ys = [p[0] for p in points], [p[1] for p in points]
    left, top = min(xs), min(ys)
    side = max(max(xs) - left, max(ys) - top) + 1
    mask = Image.new("L", (side, side))
    ImageDraw.Draw(mask).polygon([(x - left, y - top) for x, y in points], 255)
    pen.stamp(
        ImageChops.multiply(mask, pattern_mask(paint.pattern, side, repeats)),
        left,
        top,
        COLOURS[paint.second],
    )


def draw_shape(pen: Pen, shape: Shape) -> None:
    """One shape with a thin darker rim, or the thick outline it asks for."""
    local = pen.at(shape.x, shape.y, shape.size / 100)
    points = local.pixels(FORMS[shape.form])
    colour = COLOURS[shape.paint.colour]
    rim, width = (COLOURS[shape.outline], 24.0) if shape.outline else (darker(colour), 8.0)
    _rim(local, points, rim, width, shape.form)
    local.polygon(FORMS[shape.form], colour)
    if shape.paint.pattern != "plain":
        fill_pattern(local, points, shape.paint, 4)


def _rim(pen: Pen, points: list[tuple[int, int]], colour: tuple[int, int, int], width: float, form: str) -> None:
    if form == "ring":  # its two circles are one polygon with a seam; stroke them apart
        pen.line(FORMS["circle"], colour, width)
        pen.line([(x * 50 / 96, y * 50 / 96) for x, y in [*FORMS["circle"], FORMS["circle"][0]]], colour, width)
        return
    closed = [*FORMS[form], FORMS[form][0]]
    pen.line(closed, colour, width)
