"""Words on signs, banners, plates and speech bubbles."""

from __future__ import annotations

from inkontext.data.world.lettering import line_mask, text_width
from inkontext.data.world.palette import COLOURS, RGB, darker, lighter
from inkontext.data.world.pen import Pen
from inkontext.data.world.scene import Sign, text_half_width

_WOOD: RGB = (122, 84, 52)


def draw_sign(pen: Pen, sign: Sign) -> None:
    """The board, if any, and then the lines of text, centred."""
    lines = sign.text.split("\n")
    local = pen.at(sign.x, sign.y, sign.size / 100)
    wide = text_half_width(sign) * 100 / sign.size
    tall = 10 * (13 * len(lines) - 3)
    if sign.board != "letters":
        _board(local, sign, wide, tall)
    for row, line in enumerate(lines):
        top = -tall + 260 * row
        _line(local, line, sign.font, top, COLOURS[sign.ink])


def _line(pen: Pen, line: str, font: str, top: float, ink: RGB) -> None:
    """One line centred on the pen's origin, its capitals from `top` two hundred units down."""
    cap = max(5, int(200 * pen.k) // 3 * 3)  # few heights, so that the letters' cache is hit
    room = 2 * cap / 9
    x, y = pen.px(0, top + 100)
    left = x - text_width(line, font) * cap // 2000
    pen.stamp(line_mask(line, font, cap), int(left - room), int(y - cap / 2 - room), ink)


def _board(pen: Pen, sign: Sign, wide: float, tall: float) -> None:
    colour = COLOURS[sign.colour]
    rim = darker(colour, 45)
    w, h = wide + 78, tall + 58
    if sign.board == "sign":
        pen.box(-14, h - 6, 14, h + 98, _WOOD)
    if sign.board == "banner":
        for side in (-1, 1):
            tail = [(side * (w - 30), -h + 44), (side * (w + 84), -h + 44), (side * (w + 46), 22),
                    (side * (w + 84), h + 2), (side * (w - 30), h + 2)]  # fmt: skip
            pen.polygon(tail, rim)
        pen.box(-w, -h, w, h, colour)
        return
    if sign.board == "bubble":
        pen.polygon([(-58, h - 12), (-96, h + 98), (12, h - 12)], rim)
    radius = {"plate": 16, "bubble": min(h, 110)}.get(sign.board, 34)
    pen.box(-w, -h, w, h, rim, radius)
    pen.box(-w + 12, -h + 12, w - 12, h - 12, colour, max(radius - 12, 0))
    if sign.board == "bubble":
        pen.polygon([(-44, h - 20), (-78, h + 66), (-8, h - 20)], colour)
    if sign.board == "plate":
        for sx in (-1, 1):
            pen.dot(sx * (w - 28), 0, 10, 10, lighter(rim, 30))
