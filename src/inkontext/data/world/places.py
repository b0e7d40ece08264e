"""What is behind the things: plain colours, gradients, patterns and simple landscapes."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Final

import numpy as np
from PIL import Image

from inkontext.data.world.dice import Dice
from inkontext.data.world.palette import COLOURS, RGB, darker, lighter, lit, mix
from inkontext.data.world.pen import Pen, arc_points
from inkontext.data.world.scene import Background
from inkontext.data.world.shapes import pattern_mask

VARIANTS: Final = 6  # layouts of each place; 0 is the one that captions mean

_SKIES: Final[dict[str, tuple[RGB, RGB]]] = {
    "day": ((92, 172, 240), (206, 234, 250)),
    "dawn": ((150, 150, 214), (252, 206, 196)),
    "sunset": ((226, 96, 74), (252, 202, 100)),
    "night": ((10, 14, 48), (44, 54, 110)),
}


def vertical(image: Image.Image, top: RGB, bottom: RGB, y0: int, y1: int) -> None:
    """Fill the rows y0..y1 with a gradient."""
    rows = np.arange(y1 - y0, dtype=np.int32)[:, None]
    a, b = np.array(top, np.int32), np.array(bottom, np.int32)
    column = (a + (b - a) * rows // max(1, y1 - y0 - 1)).astype(np.uint8)[:, None, :]
    strip = Image.fromarray(column).resize((image.width, y1 - y0), Image.Resampling.NEAREST)
    image.paste(strip, (0, y0))


@lru_cache(maxsize=96)
def draw_background(background: Background, light: str, side: int) -> Image.Image:
    """The background as an RGB canvas `side` pixels square; callers copy before drawing."""
    image = Image.new("RGB", (side, side))
    pen = Pen(image, light)
    kind = background.kind
    if kind in PLACES:
        _sky(pen, light, Dice(7, background.variant))
        PLACES[kind](pen, Dice(11, background.variant))
        return image
    first = COLOURS[background.colour]
    pen.box(0, 0, 1000, 1000, first)
    if kind == "gradient":
        vertical(image, lit(first, light), lit(COLOURS[background.second], light), 0, side)
    elif kind != "plain":
        pen.stamp(pattern_mask(kind, side, 9), 0, 0, COLOURS[background.second])
    return image


def _sky(pen: Pen, light: str, dice: Dice) -> None:
    """Sky with what shines in it; its own colours, not those of the light that falls on the ground."""
    vertical(pen.image, *_SKIES[light], 0, pen.image.height * 7 // 10)
    bare = Pen(pen.image, "day")
    x = 150 + dice.below(700)
    if light == "night":
        for _ in range(34):
            sx, sy, r = dice.below(1000), dice.below(520), 3 + dice.below(4)
            bare.dot(sx, sy, r, r, (236, 238, 255))
        bare.dot(x, 150, 62, 62, (250, 244, 214))
        bare.dot(x + 26, 138, 52, 52, (16, 20, 56))
    elif light == "day":
        bare.dot(x, 140, 78, 78, (255, 240, 150))
        bare.dot(x, 140, 62, 62, (255, 222, 70))
    else:
        low = 420 if light == "sunset" else 380
        bare.dot(x, low, 96, 96, (255, 226, 150) if light == "sunset" else (255, 226, 214))
        bare.dot(x, low, 76, 76, (255, 190, 70) if light == "sunset" else (255, 246, 226))


def _clouds(pen: Pen, dice: Dice, count: int) -> None:
    for _ in range(count):
        x, y, s = dice.below(1000), 110 + dice.below(200), 34 + dice.below(22)
        for dx, dy, r in ((-1.4, 0.2, 0.8), (0, -0.2, 1.1), (1.3, 0.2, 0.85)):
            pen.dot(x + dx * s, y + dy * s, r * s * 1.3, r * s * 0.75, (244, 248, 252))


def _hills(pen: Pen, dice: Dice) -> None:
    _clouds(pen, dice, 3)
    for y, colour in ((640, (142, 196, 112)), (730, (108, 174, 88)), (850, (78, 150, 70))):
        for _ in range(2):
            x = dice.below(1000)
            pen.dot(x, y + 330, 620, 420, colour)
        pen.box(0, y + 110, 1000, 1000, colour)
    for _ in range(4):
        x, y = dice.below(1000), 650 + dice.below(70)
        pen.box(x - 7, y, x + 7, y + 50, (104, 74, 46))
        pen.dot(x, y - 18, 34, 42, (52, 120, 62))
    for _ in range(12):
        x, y = dice.below(1000), 860 + dice.below(130)
        pen.dot(x, y, 9, 9, dice.pick(((250, 236, 120), (250, 250, 250), (240, 130, 150))))


def _sea(pen: Pen, dice: Dice) -> None:
    _clouds(pen, dice, 3)
    pen.box(0, 520, 1000, 1000, (46, 136, 196))
    pen.box(0, 520, 1000, 560, (34, 112, 176))
    for row in range(4):
        y, shift = 590 + 62 * row, dice.below(120)
        for i in range(-1, 9):
            pen.line(arc_points(i * 130 + shift, y, 38, 16, 20, 160, 35), (126, 198, 232), 9)
    pen.polygon([(0, 860), (250, 830), (600, 870), (1000, 820), (1000, 1000), (0, 1000)], (240, 216, 158))
    x = 120 + dice.below(700)
    pen.polygon([(x - 60, 500), (x + 60, 500), (x + 40, 535), (x - 40, 535)], (150, 76, 50))
    pen.polygon([(x, 400), (x, 492), (x + 56, 492)], (250, 250, 250))


def _desert(pen: Pen, dice: Dice) -> None:
    pen.polygon([(100 + dice.below(200), 610), (330 + dice.below(60), 400), (620, 610)], (204, 152, 88))
    pen.dot(200 + dice.below(300), 940, 760, 380, (238, 200, 128))
    pen.dot(900 - dice.below(200), 980, 640, 350, (226, 182, 108))
    pen.box(0, 860, 1000, 1000, (238, 200, 128))
    for _ in range(3):
        x, y, s = dice.below(1000), 640 + dice.below(120), 0.7 + dice.below(4) / 10
        for part in (
            [(0, 0), (0, -150)],
            [(0, -50), (-44, -60), (-44, -104)],
            [(0, -74), (42, -84), (42, -124)],
        ):
            pen.line([(x + a * s, y + b * s) for a, b in part], (66, 134, 72), 28 * s)
    for _ in range(5):
        x, y = dice.below(1000), 860 + dice.below(120)
        pen.line(arc_points(x, y, 60, 14, 200, 340, 35), (214, 168, 96), 8)


def _forest(pen: Pen, dice: Dice) -> None:
    pen.box(0, 560, 1000, 1000, (96, 142, 72))
    for y, size, green in ((600, 0.8, (60, 116, 72)), (700, 1.1, (40, 98, 58))):
        for i in range(8):
            x = i * 140 + dice.below(80) - 30
            pen.box(x - 13 * size, y - 20, x + 13 * size, y + 40 * size, (96, 68, 44))
            for step in range(3):
                w, base = (112 - 26 * step) * size, y - 10 - 96 * step * size
                pen.polygon([(x - w, base), (x + w, base), (x, base - 150 * size)],
                            lighter(green, 7 * step))  # fmt: skip
    pen.dot(500, 1010, 700, 260, (122, 164, 84))
    for _ in range(4):
        x, y = dice.below(1000), 870 + dice.below(110)
        pen.box(x - 8, y - 20, x + 8, y + 8, (246, 238, 220))
        pen.polygon(arc_points(x, y - 18, 27, 27, 180, 360, 30), (206, 62, 52))


def _city(pen: Pen, dice: Dice) -> None:
    night = pen.light == "night"
    pen.box(0, 600, 1000, 800, (104, 112, 126))
    for depth, (base, shade) in enumerate(((700, 30), (780, 0))):
        x = -40
        while x < 1000:
            w, h = 90 + dice.below(80), 180 + dice.below(280) - 60 * depth
            wall = dice.pick(((170, 128, 120), (138, 150, 170), (190, 168, 132), (126, 134, 146)))
            pen.box(x, base - h, x + w, base, mix(wall, (170, 190, 220), shade))
            lamp = Pen(pen.image, "day" if night else pen.light)
            for wy in range(base - h + 28, base - 40, 60):
                for wx in range(x + 20, x + w - 26, 44):
                    pane = (250, 220, 120) if night and dice.chance(60) else (86, 106, 136)
                    (lamp if night and pane[0] == 250 else pen).box(wx, wy, wx + 20, wy + 30, pane)
            x += w + 8 + dice.below(20)
    pen.box(0, 780, 1000, 1000, (88, 92, 100))
    pen.box(0, 780, 1000, 808, (176, 176, 178))
    for x in range(40, 1000, 200):
        pen.box(x, 892, x + 110, 908, (240, 236, 220))


def _room(pen: Pen, dice: Dice) -> None:
    wall = dice.pick(((238, 220, 190), (206, 224, 214), (240, 208, 200), (214, 216, 236)))
    pen.box(0, 680, 1000, 1000, (108, 174, 88))
    pane = pen.image.width * 26 // 100
    view = pen.image.resize((pane, pane), Image.Resampling.BOX)
    pen.box(0, 0, 1000, 1000, wall)
    for x in range(0, 1000, 125):
        pen.box(x, 0, x + 8, 700, darker(wall, 6))
    pen.box(0, 700, 1000, 1000, (176, 124, 80))
    pen.box(0, 690, 1000, 722, (250, 246, 238))
    for y in (790, 880, 960):
        pen.box(0, y, 1000, y + 6, (150, 102, 64))
    x = 90 if dice.chance(50) else 640
    pen.box(x - 20, 130, x + 290, 440, (250, 246, 238))
    pen.image.paste(view, pen.px(x + 5, 155))
    pen.box(x + 129, 150, x + 141, 420, (250, 246, 238))
    pen.box(x + 5, 279, x + 265, 291, (250, 246, 238))
    pen.dot(500, 880, 330, 72, dice.pick(((190, 80, 80), (84, 120, 176), (110, 150, 100))))


def _mountains(pen: Pen, dice: Dice) -> None:
    for base, count, rock in ((660, 4, (150, 160, 184)), (720, 3, (108, 118, 146))):
        for i in range(count):
            x, h = i * 1000 // count + 120 + dice.below(120) - 60, 300 + dice.below(130)
            pen.polygon([(x - h * 0.8, base), (x, base - h), (x + h * 0.8, base)], rock)
            pen.polygon([(x - h * 0.26, base - h * 0.68), (x, base - h), (x + h * 0.26, base - h * 0.68),
                         (x + h * 0.1, base - h * 0.6), (x, base - h * 0.7),
                         (x - h * 0.12, base - h * 0.58)], (248, 250, 252))  # fmt: skip
    pen.box(0, 700, 1000, 1000, (122, 168, 96))
    pen.polygon([(0, 800), (1000, 760), (1000, 1000), (0, 1000)], (98, 148, 82))


def _space(pen: Pen, dice: Dice) -> None:
    bare = Pen(pen.image, "day")
    vertical(pen.image, (14, 10, 38), (46, 22, 78), 0, pen.image.height)
    for _ in range(60):
        x, y, r = dice.below(1000), dice.below(1000), 2 + dice.below(5)
        bare.dot(x, y, r, r, dice.pick(((255, 255, 255), (255, 236, 190), (196, 214, 255))))
    for y, r, colour in ((190, 86, (222, 128, 84)), (130, 46, (120, 190, 220))):
        x = 120 + dice.below(760)
        bare.dot(x, y, r, r, colour)
        bare.dot(x - r * 0.2, y - r * 0.2, r * 0.62, r * 0.62, lighter(colour, 22))
        if r > 60:
            bare.line(arc_points(x, y, 140, 30, 0, 180, 15), (240, 210, 160), 10)
    bare.dot(500, 1240, 900, 420, (120, 116, 140))
    for _ in range(6):
        x, y = dice.below(1000), 880 + dice.below(110)
        bare.dot(x, y, 36, 12, (98, 94, 118))


PLACES: Final[dict[str, Callable[[Pen, Dice], None]]] = {
    "hills": _hills,
    "sea": _sea,
    "desert": _desert,
    "forest": _forest,
    "city": _city,
    "room": _room,
    "mountains": _mountains,
    "space": _space,
}
