"""Drawing on a supersampled canvas, in coordinates of one's own.

A `Pen` maps local units to canvas pixels: px = origin + v * scale. Everything is rounded to whole
pixels before Pillow sees it, so that equal scenes give equal pixels wherever they are drawn.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

from PIL import Image, ImageDraw

from inkontext.data.world.palette import RGB, lit

Point = tuple[float, float]


@lru_cache(maxsize=1024)
def turn(degrees: int) -> Point:
    """(cos, sin), rounded so that the last bits of a platform's mathematics do not matter."""
    a = math.radians(degrees)
    return (round(math.cos(a), 6), round(math.sin(a), 6))


@lru_cache(maxsize=512)
def arc_points(cx: float, cy: float, rx: float, ry: float, start: int, end: int, step: int) -> list[Point]:
    """Points on an ellipse from `start` to `end` degrees, clockwise from the right as y grows down."""
    angles = range(start, end + (1 if end >= start else -1), step if end >= start else -step)
    return [(cx + rx * c, cy + ry * s) for c, s in map(turn, angles)]


class Pen:
    """Draws filled figures; colours go through the scene's light."""

    __slots__ = ("draw", "image", "k", "light", "ox", "oy")

    def __init__(self, image: Image.Image, light: str, ox: float = 0.0, oy: float = 0.0, k: float = 0.0) -> None:
        self.image = image
        self.draw = ImageDraw.Draw(image)
        self.light = light
        self.ox, self.oy, self.k = ox, oy, k or image.width / 1000

    def at(self, x: float, y: float, scale: float) -> Pen:
        """A pen whose origin is (x, y) and whose unit is `scale` of this pen's units."""
        pen = object.__new__(Pen)
        pen.image, pen.draw, pen.light = self.image, self.draw, self.light
        pen.ox, pen.oy, pen.k = self.ox + x * self.k, self.oy + y * self.k, scale * self.k
        return pen

    def px(self, x: float, y: float) -> tuple[int, int]:
        """Whole canvas pixels of a local point."""
        return (int(self.ox + x * self.k + 0.5), int(self.oy + y * self.k + 0.5))

    def pixels(self, points: Sequence[Point]) -> list[tuple[int, int]]:
        ox, oy, k = self.ox + 0.5, self.oy + 0.5, self.k
        return [(int(ox + x * k), int(oy + y * k)) for x, y in points]

    def polygon(self, points: Sequence[Point], colour: RGB) -> None:
        self.draw.polygon(self.pixels(points), lit(colour, self.light))

    def dot(self, x: float, y: float, rx: float, ry: float, colour: RGB) -> None:
        """A filled ellipse around (x, y)."""
        self.draw.ellipse((*self.px(x - rx, y - ry), *self.px(x + rx, y + ry)), lit(colour, self.light))

    def box(self, x0: float, y0: float, x1: float, y1: float, colour: RGB, radius: float = 0) -> None:
        """A filled rectangle, its corners rounded by `radius`."""
        corners = (*self.px(x0, y0), *self.px(x1, y1))
        if radius * self.k < 1:
            self.draw.rectangle(corners, lit(colour, self.light))
        else:
            self.draw.rounded_rectangle(corners, int(radius * self.k), lit(colour, self.light))

    def line(self, points: Sequence[Point], colour: RGB, width: float) -> None:
        """A stroke with round ends and joints, never thinner than two canvas pixels."""
        wide = max(2, int(width * self.k + 0.5))
        ink, at = lit(colour, self.light), self.pixels(points)
        self.draw.line(at, ink, wide)
        if wide > 3:
            r = (wide - 1) // 2
            for x, y in at:
                self.draw.ellipse((x - r, y - r, x + r, y + r), ink)

    def stamp(self, mask: Image.Image, x: int, y: int, colour: RGB) -> None:
        """Paint `colour` through `mask`, its corner at canvas pixel (x, y)."""
        self.image.paste(lit(colour, self.light), (x, y), mask)
