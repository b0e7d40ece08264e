"""Drawing a character: tail, limbs, ears, body, face, and what it wears.

The pen's origin is the middle of the figure and 100 units are its `size`: ears reach to about -105,
feet to 104, arms to 88 on either side.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from inkontext.data.world.palette import COLOURS, RGB, darker, lighter, mix
from inkontext.data.world.pen import Pen, arc_points
from inkontext.data.world.scene import Figure, Identity
from inkontext.data.world.wardrobe import draw_glasses, draw_hat, draw_scarf

DARK: Final[RGB] = (34, 30, 38)
WHITE: Final[RGB] = (252, 252, 250)
_BEAK: Final[RGB] = (246, 160, 40)
_MIDDLE: Final = 8  # where the body's middle is, below the figure's
_EYES_AT: Final = 0.55  # of the way from the top of the head to the body's middle
_EXTENT: Final[dict[str, tuple[int, int]]] = {
    "round": (60, 58),
    "tall": (47, 66),
    "square": (54, 57),
    "pear": (58, 62),
}


def draw_figure(pen: Pen, figure: Figure) -> None:
    """The whole character."""
    local = pen.at(figure.x, figure.y, figure.size / 100)
    who = figure.who
    rx, ry = _EXTENT[who.build]
    skin, rim = COLOURS[who.colour], darker(COLOURS[who.colour], 45)
    if who.tail:
        local.line([(rx - 14, 44), (rx + 14, 54), (rx + 26, 34)], rim, 18)
        local.line([(rx - 14, 44), (rx + 14, 54), (rx + 26, 34)], skin, 11)
    if who.kind != "ghost":
        _legs(local, ry, skin, rim)
    _arms(local, figure, rx, skin, rim)
    _EARS[who.kind](local, who, ry, skin, rim)
    _body(local, who, rx, ry, skin, rim)
    _face(local, figure, ry)
    top = _MIDDLE - ry
    if figure.scarf.kind:
        draw_scarf(local, COLOURS[figure.scarf.colour], rx, who.build)
    if figure.glasses.kind:
        draw_glasses(local, figure.glasses, top + ry * _EYES_AT)
    if figure.hat.kind:
        draw_hat(local, figure.hat, top)


def _legs(pen: Pen, ry: int, skin: RGB, rim: RGB) -> None:
    for side in (-1, 1):
        pen.line([(side * 24, _MIDDLE + ry - 12), (side * 24, 90)], rim, 26)
        pen.dot(side * 30, 93, 22, 11, rim)
        pen.line([(side * 24, _MIDDLE + ry - 12), (side * 24, 88)], skin, 17)
        pen.dot(side * 30, 92, 18, 8, skin)


def _arms(pen: Pen, figure: Figure, rx: int, skin: RGB, rim: RGB) -> None:
    for side in (-1, 1):
        up = figure.pose == "up" or (figure.pose == "wave" and side == 1)
        hand = (side * 78, -38) if up else (side * 76, 48)
        arm = [(side * (rx - 10), 14), (side * 72, 8) if up else (side * 70, 24), hand]
        pen.line(arm, rim, 24)
        pen.dot(*hand, 14, 14, rim)
        pen.line(arm, skin, 15)
        pen.dot(*hand, 10, 10, skin)


def _body(pen: Pen, who: Identity, rx: int, ry: int, skin: RGB, rim: RGB) -> None:
    for grow, colour in ((5, rim), (0, skin)):
        _torso(pen, who, rx + grow, ry + grow, colour)
    mark = darker(skin, 30) if who.colour != "white" else (170, 172, 178)
    if who.marking == "spots":
        for x, y, r in ((-34, -8, 9), (36, 2, 10), (-38, 34, 8), (30, 40, 8), (4, -38, 8)):
            pen.dot(x * rx / 60, y + _MIDDLE - 4, r, r, mark)
    elif who.marking == "stripes":
        for y in (-6, 16, 38):
            for side in (-1, 1):
                pen.line([(side * (rx - 4), y + _MIDDLE), (side * (rx - 24), y + _MIDDLE + 3)], mark, 9)
    elif who.marking == "patch":
        pen.dot(rx * 0.38, _MIDDLE - ry * 0.38, 24, 25, mark)
    if who.belly:
        belly = mix(COLOURS[who.belly], WHITE, 25)
        if who.kind == "robot":
            pen.box(-24, 24, 24, 56, belly, 5)
            for x, ink in ((-12, (220, 60, 50)), (0, (60, 160, 80)), (12, (50, 100, 210))):
                pen.dot(x, 40, 5, 5, ink)
        else:
            pen.dot(0, _MIDDLE + ry * 0.56, rx * 0.58, ry * 0.36, belly)


def _torso(pen: Pen, who: Identity, rx: int, ry: int, colour: RGB) -> None:
    if who.kind == "ghost":
        bumps = [(rx - 2 * rx * i / 6, 88 + (ry - 60) * 0.5 - (12 if i % 2 else 0)) for i in range(7)]
        pen.polygon([*arc_points(0, _MIDDLE, rx, ry, 180, 360, 15), *bumps], colour)
    elif who.build == "square":
        pen.box(-rx, _MIDDLE - ry, rx, _MIDDLE + ry, colour, 10 if who.kind == "robot" else 24)
    elif who.build == "pear":
        pen.dot(0, _MIDDLE - ry + 46, rx - 14, 46, colour)
        pen.dot(0, _MIDDLE + ry - 42, rx, 42, colour)
        pen.box(-rx + 14, _MIDDLE - 16, rx - 14, _MIDDLE + 20, colour)
    else:
        pen.dot(0, _MIDDLE, rx, ry, colour)


def _eyes(pen: Pen, who: Identity, y: float) -> None:
    if who.kind == "frog":  # a frog's eyes sit on its ears
        centres, r = [(-30.0, y - 34), (30.0, y - 34)], 15
    elif who.eye_count == 1:
        centres, r = [(0.0, y)], 22
    elif who.eye_count == 3:
        centres, r = [(-31.0, y + 2), (0.0, y - 6), (31.0, y + 2)], 13
    else:
        centres, r = [(-23.0, y), (23.0, y)], 16
    for x, cy in centres:
        if who.eyes == "dots" and who.eye_count == 2:
            pen.dot(x, cy, r * 0.62, r * 0.72, DARK)
            pen.dot(x + 3, cy - 4, r * 0.22, r * 0.22, WHITE)
            continue
        pen.dot(x, cy, r + 3, r + 3, DARK)
        pen.dot(x, cy, r, r, WHITE)
        pen.dot(x, cy + 2, r * 0.52, r * 0.52, DARK)
        if who.eyes == "sleepy":
            lid = darker(COLOURS[who.colour], 22)
            pen.polygon(arc_points(x, cy, r + 3, r + 3, 180, 360, 15), lid)


def _face(pen: Pen, figure: Figure, ry: int) -> None:
    who, eye_y = figure.who, _MIDDLE - ry + ry * _EYES_AT
    mouth_y = eye_y + 32
    if who.kind == "bear":
        pen.dot(0, mouth_y - 2, 25, 19, lighter(COLOURS[who.colour], 50))
        pen.dot(0, mouth_y - 13, 9, 6, DARK)
    if who.kind == "bird":
        _eyes(pen, who, eye_y)
        gape = 9 if figure.mood == "surprised" else 0
        pen.polygon([(-17, mouth_y - 19), (17, mouth_y - 19), (0, mouth_y - 2)], _BEAK)
        if gape:
            pen.polygon([(-12, mouth_y + 6), (12, mouth_y + 6), (0, mouth_y - 8)], darker(_BEAK, 20))
        mouth_y += 9
    else:
        _eyes(pen, who, eye_y)
    if who.kind == "cat":
        for side in (-1, 1):
            for tilt in (-5, 5):
                pen.line([(side * 22, mouth_y - 4 + tilt / 2), (side * 52, mouth_y - 4 + tilt)], DARK, 4)
        pen.polygon([(-7, mouth_y - 14), (7, mouth_y - 14), (0, mouth_y - 6)], (232, 120, 140))
    _mouth(pen, figure, mouth_y)
    if figure.mood == "angry":
        for side in (-1, 1):
            pen.line([(side * 40, eye_y - 27), (side * 11, eye_y - 16)], DARK, 9)


def _mouth(pen: Pen, figure: Figure, y: float) -> None:
    kind, mood = figure.who.kind, figure.mood
    if mood == "surprised":
        pen.dot(0, y + 3, 10, 12, DARK)
    elif mood == "happy":
        if kind in ("monster", "alien", "frog", "ghost", "robot"):
            pen.polygon(arc_points(0, y - 5, 22, 20, 0, 180, 15), DARK)
            if kind == "monster":
                pen.polygon([(-14, y - 5), (-4, y - 5), (-9, y + 6)], WHITE)
                pen.polygon([(14, y - 5), (4, y - 5), (9, y + 6)], WHITE)
            else:
                pen.dot(0, y + 8, 10, 5, (226, 90, 100))
        else:
            pen.line(arc_points(0, y - 6, 18, 13, 20, 160, 20), DARK, 6)
    elif mood == "sad":
        pen.line(arc_points(0, y + 13, 18, 14, 200, 340, 20), DARK, 7)
        pen.dot(33, y - 14, 5, 8, (96, 170, 240))
    else:
        pen.line([(-17, y + 7), (-6, y + 1), (6, y + 7), (17, y + 1)], DARK, 7)
    if kind == "bunny" and mood != "surprised":
        pen.box(-7, y + 6, 7, y + 17, WHITE, 2)


def _horns(pen: Pen, who: Identity, ry: int, skin: RGB, rim: RGB) -> None:
    top = _MIDDLE - ry
    bone: RGB = (246, 234, 204)
    for side in (-1, 1):
        if who.ears == 0:
            horn = [(side * 20, top + 10), (side * 46, top + 22), (side * 52, top - 38)]
        elif who.ears == 1:
            horn = [(side * 14, top + 6), (side * 40, top + 16), (side * 74, top - 18)]
        else:
            horn = [(side * 8, top + 8), (side * 30, top + 10), (side * 22, top - 42)]
        pen.polygon(horn, bone)
        pen.line([*horn, horn[0]], darker(bone, 45), 5)


def _antennae(pen: Pen, who: Identity, ry: int, skin: RGB, rim: RGB) -> None:
    top = _MIDDLE - ry
    feet = ((0, 0),) if who.ears == 0 or (who.kind == "robot" and who.ears == 1) else ((-22, -34), (22, 34))
    bulb: RGB = (236, 64, 60) if who.kind == "robot" else (252, 214, 60)
    for x, tip in feet:
        pen.line([(x, top + 12), (tip, top - 32)], rim, 9)
        pen.dot(tip, top - 36, 13, 13, rim)
        pen.dot(tip, top - 36, 9, 9, bulb)
    if who.kind == "robot":
        for side in (-1, 1):
            pen.box(side * 62 - 7, _MIDDLE - 34, side * 62 + 7, _MIDDLE - 8, rim, 3)


def _pointed(pen: Pen, who: Identity, ry: int, skin: RGB, rim: RGB) -> None:
    top, high = _MIDDLE - ry, (-34, -26, -40)[who.ears]
    for side in (-1, 1):
        ear = [(side * 10, top + 12), (side * 52, top + 36), (side * 46, top + high)]
        pen.polygon(ear, skin)
        pen.line([*ear, ear[0]], rim, 7)
        inner = [(side * 24, top + 12), (side * 44, top + 22), (side * 42, top + high + 20)]
        pen.polygon(inner, (240, 158, 176))


def _round_ears(pen: Pen, who: Identity, ry: int, skin: RGB, rim: RGB) -> None:
    top, r = _MIDDLE - ry, (20, 25, 22)[who.ears]
    for side in (-1, 1):
        pen.dot(side * 42, top + 8, r + 4, r + 4, rim)
        pen.dot(side * 42, top + 8, r, r, skin)
        pen.dot(side * 42, top + 8, r * 0.55, r * 0.55, darker(skin, 22))


def _long_ears(pen: Pen, who: Identity, ry: int, skin: RGB, rim: RGB) -> None:
    top = _MIDDLE - ry
    for side in (-1, 1):
        lean = (4, 22, 4 if side < 0 else 34)[who.ears]
        ends = [(side * 20, top + 12), (side * (20 + lean), top - 38)]
        pen.line(ends, rim, 30)
        pen.line(ends, skin, 22)
        pen.line(ends, (246, 176, 192), 9)


def _frog_eyes(pen: Pen, who: Identity, ry: int, skin: RGB, rim: RGB) -> None:
    y = _MIDDLE - ry + ry * _EYES_AT - 34
    for side in (-1, 1):
        pen.dot(side * 30, y, 26, 26, rim)
        pen.dot(side * 30, y, 22, 22, skin)


def _crest(pen: Pen, who: Identity, ry: int, skin: RGB, rim: RGB) -> None:
    top = _MIDDLE - ry
    for x in (-16, 0, 16)[: who.ears + 1]:
        pen.line([(x * 0.5, top + 8), (x, top - 30)], rim, 15)
        pen.line([(x * 0.5, top + 8), (x, top - 30)], lighter(skin, 30), 8)


def _bare(pen: Pen, who: Identity, ry: int, skin: RGB, rim: RGB) -> None:
    """A ghost has no ears; one in three has a curl."""
    if who.ears:
        top = _MIDDLE - ry
        pen.line([(0, top + 6), (8, top - 16), ((22, -14)[who.ears - 1], top - 24)], rim, 13)
        pen.line([(0, top + 6), (8, top - 16), ((22, -14)[who.ears - 1], top - 24)], skin, 6)


_EARS: Final[dict[str, Callable[[Pen, Identity, int, RGB, RGB], None]]] = {
    "monster": _horns,
    "robot": _antennae,
    "alien": _antennae,
    "cat": _pointed,
    "bear": _round_ears,
    "bunny": _long_ears,
    "frog": _frog_eyes,
    "bird": _crest,
    "ghost": _bare,
}
