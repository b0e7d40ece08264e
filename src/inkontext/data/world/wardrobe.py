"""Hats, glasses and scarves, in a figure's own units."""

from __future__ import annotations

from inkontext.data.world.palette import COLOURS, RGB, darker, lighter
from inkontext.data.world.pen import Pen, arc_points
from inkontext.data.world.scene import Wear

_DARK: RGB = (30, 28, 34)


def draw_hat(pen: Pen, hat: Wear, top: float) -> None:
    """A hat that rests on the head, whose top is at `top`."""
    colour = COLOURS[hat.colour]
    rim, y = darker(colour, 45), top + 14
    match hat.kind:
        case "top hat":
            pen.box(-58, y - 14, 58, y + 4, rim, 6)
            pen.box(-36, y - 76, 36, y - 4, rim, 5)
            pen.box(-31, y - 71, 31, y - 8, colour, 3)
            pen.box(-31, y - 30, 31, y - 16, lighter(colour, 55))
        case "cap":
            pen.polygon(arc_points(0, y, 47, 48, 180, 360, 15), rim)
            pen.polygon(arc_points(0, y - 4, 41, 39, 180, 360, 15), colour)
            pen.box(2, y - 10, 76, y + 3, rim, 6)
            pen.box(6, y - 7, 71, y - 1, colour, 3)
        case "party hat":
            pen.polygon([(-40, y + 2), (40, y + 2), (0, y - 80)], rim)
            pen.polygon([(-31, y - 3), (31, y - 3), (0, y - 66)], colour)
            for x, dy in ((-14, 12), (12, 18), (-1, 34)):
                pen.dot(x, y - dy, 6, 6, lighter(colour, 65))
            pen.dot(0, y - 78, 12, 12, lighter(colour, 65))
        case "crown":
            spikes = [(-48, y - 58), (-24, y - 30), (0, y - 66), (24, y - 30), (48, y - 58)]
            pen.polygon([(-46, y + 4), *spikes, (46, y + 4)], rim)
            pen.polygon([(-39, y - 2), (-40, y - 40), (-22, y - 18), (0, y - 50),
                         (22, y - 18), (40, y - 40), (39, y - 2)], colour)  # fmt: skip
            for x, dy in ((-48, 58), (0, 66), (48, 58)):
                pen.dot(x, y - dy, 9, 9, rim)
        case _:
            pen.polygon(arc_points(0, y, 52, 56, 180, 360, 15), rim)
            pen.polygon(arc_points(0, y - 4, 46, 47, 180, 360, 15), colour)
            pen.box(-56, y - 16, 56, y + 5, rim, 9)
            pen.box(-52, y - 12, 52, y + 1, lighter(colour, 45), 6)
            pen.dot(0, y - 58, 15, 15, lighter(colour, 45))


def draw_glasses(pen: Pen, glasses: Wear, y: float) -> None:
    """Glasses at the height of the eyes."""
    colour = COLOURS[glasses.colour]
    pen.line([(-58, y - 4), (58, y - 4)], colour, 7)
    for x in (-25, 25):
        if glasses.kind == "sunglasses":
            pen.polygon([(x - 25, y - 15), (x + 25, y - 15), (x + 19, y + 16), (x - 19, y + 16)], colour)
            pen.polygon([(x - 18, y - 10), (x + 18, y - 10), (x + 14, y + 11), (x - 14, y + 11)], _DARK)
            pen.line([(x - 8, y + 4), (x + 2, y - 6)], (150, 160, 180), 5)
        elif glasses.kind == "square glasses":
            corners = [
                (x - 22, y - 20),
                (x + 22, y - 20),
                (x + 22, y + 19),
                (x - 22, y + 19),
                (x - 22, y - 20),
            ]
            pen.line(corners, colour, 9)
        else:
            pen.line(arc_points(x, y, 23, 23, 0, 360, 15), colour, 9)


def draw_scarf(pen: Pen, colour: RGB, rx: int, build: str) -> None:
    """A scarf below the face with one end hanging."""
    rim, half = darker(colour, 40), rx - (4 if build != "tall" else 0)
    pen.polygon([(16, 40), (44, 40), (50, 84), (24, 86)], rim)
    pen.polygon([(21, 44), (39, 44), (44, 78), (28, 80)], colour)
    pen.box(-half - 5, 29, half + 5, 56, rim, 12)
    pen.box(-half, 34, half, 51, colour, 8)
    for x in range(-half + 14, half - 6, 26):
        pen.line([(x, 36), (x + 6, 49)], lighter(colour, 50), 6)
