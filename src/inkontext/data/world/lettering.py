"""Words drawn by our own hand, so that no system font changes a pixel.

A letter is a skeleton of strokes (`glyphs.py`) and a font is a way to draw it: how wide and how flat
the nib, how slanted, with feet or without, hollow or solid, round or angular. The stroke is all
points nearer to the skeleton than the nib's radius, computed once per letter, font and height.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Final

import numpy as np
from PIL import Image

from inkontext.data.world.glyphs import BASELINE, CAP, SKELETONS

Stroke = list[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Font:
    """How a skeleton becomes ink; lengths in grid units, a capital is 9 high.

    weight: radius of the nib. flat: how much thinner the nib is upwards than across (1 is round).
    slant: units to the right per unit up. feet: half length of the serifs. hollow: thickness of the
    rim when only the rim is inked. dash: gap between dots along the stroke. wide: horizontal stretch.
    """

    weight: float
    flat: float = 1.0
    slant: float = 0.0
    feet: float = 0.0
    hollow: float = 0.0
    dash: float = 0.0
    wide: float = 1.0
    smooth: bool = True
    square: bool = False
    gap: float = 2.0


FONTS: Final[dict[str, Font]] = {
    "plain": Font(0.62),
    "bold": Font(1.2, wide=1.12, gap=3.0),
    "italic": Font(0.6, slant=0.34),
    "serif": Font(0.78, flat=0.42, feet=1.25, wide=1.05, gap=3.4),
    "outlined": Font(1.45, hollow=0.5, wide=1.25, gap=3.6),
    "blocky": Font(1.05, smooth=False, square=True, wide=1.05, gap=2.7),
    "dotted": Font(0.72, dash=2.1, wide=1.2, gap=2.4),
}


def _chaikin(points: Stroke, closed: bool) -> Stroke:
    """Cut the corners twice; the ends of an open stroke stay."""
    for _ in range(2):
        pairs = list(zip(points, points[1:] + points[:1] if closed else points[1:], strict=False))
        cut = [q for (ax, ay), (bx, by) in pairs
               for q in ((ax * 0.75 + bx * 0.25, ay * 0.75 + by * 0.25),
                         (ax * 0.25 + bx * 0.75, ay * 0.25 + by * 0.75))]  # fmt: skip
        points = cut if closed else [points[0], *cut, points[-1]]
    return points


def _strokes(char: str, smooth: bool) -> Iterator[Stroke]:
    for code in SKELETONS[char].split():
        body = code[1:]
        points: Stroke = [(float(int(body[i], 16)), float(int(body[i + 1], 16))) for i in range(0, len(body), 2)]
        closed = code[0] == "o"
        if code[0] != "-" and smooth:
            points = _chaikin(points, closed)
        elif code[0] != "-":
            points = _bevel(points, closed)
        yield [*points, points[0]] if closed else points


def _bevel(points: Stroke, closed: bool) -> Stroke:
    """One straight cut of a unit at each corner: the angular relative of the round letter."""
    out: Stroke = []
    for i, (x, y) in enumerate(points):
        if not closed and i in (0, len(points) - 1):
            out.append((x, y))
            continue
        for nx, ny in (points[i - 1], points[(i + 1) % len(points)]):
            reach = max(abs(nx - x), abs(ny - y), 1.0)
            out.append((x + (nx - x) / reach, y + (ny - y) / reach))
    return out


def _feet(strokes: list[Stroke], half: float) -> list[Stroke]:
    """Short bars across the free ends of straight strokes that stand on a line of writing."""
    bars: list[Stroke] = []
    for stroke in strokes:
        for (x, y), (_, inner) in (
            (stroke[0], stroke[1 % len(stroke)]),
            (stroke[-1], stroke[-2 % len(stroke)]),
        ):
            if len(stroke) <= 5 and abs(inner - y) >= 2 and y in (0, 3, 9, 12):
                bars.append([(x - half, y), (x + half, y)])
    return bars


@lru_cache(maxsize=1024)
def _segments(char: str, font_name: str) -> tuple[np.ndarray, float]:
    """Line pieces `[N, 4]` (x0, y0, x1, y1; y up from the descender) and the advance, in units."""
    font = FONTS[font_name]
    strokes = list(_strokes(char, font.smooth))
    width = max(x for s in strokes for x, _ in s) - min(x for s in strokes for x, _ in s)
    if font.feet:
        strokes += _feet(strokes, font.feet)
    if font.dash:
        strokes = [[p] for s in strokes for p in _walk(s, font.dash)]
    pieces = [(*a, *b) for s in strokes for a, b in zip(s, s[1:] or s, strict=False)]
    seg = np.array(pieces, dtype=np.float64)
    seg[:, 0::2] = seg[:, 0::2] * font.wide + font.slant * (seg[:, 1::2] - BASELINE)
    return seg, width * font.wide + font.gap


def _walk(stroke: Stroke, step: float) -> Iterator[tuple[float, float]]:
    """Points along the stroke about `step` apart, its ends included."""
    lengths = [((bx - ax) ** 2 + (by - ay) ** 2) ** 0.5
               for (ax, ay), (bx, by) in pairwise(stroke)]  # fmt: skip
    total = sum(lengths)
    count = max(1, round(total / step))
    for i in range(count + 1):
        left, k = total * i / count, 0
        while k < len(lengths) - 1 and left > lengths[k]:
            left, k = left - lengths[k], k + 1
        part = left / lengths[k] if lengths and lengths[k] else 0.0
        (ax, ay), (bx, by) = stroke[k], stroke[min(k + 1, len(stroke) - 1)]
        yield (ax + (bx - ax) * part, ay + (by - ay) * part)


@lru_cache(maxsize=4096)
def _glyph(char: str, font_name: str, cap: int) -> Image.Image:
    """Ink coverage of one letter, mode L, `cap` pixels from baseline to top; two units of room around."""
    font, unit = FONTS[font_name], cap / CAP
    seg = _segments(char, font_name)[0].astype(np.float32)
    across = int((float(seg[:, 0::2].max()) + 4) * unit) + 1
    ys, xs = np.mgrid[0 : int(16 * unit) + 1, 0:across].astype(np.float32)
    px, py = (xs + 0.5) / unit - 2, (14 - (ys + 0.5) / unit) / font.flat
    ax, ay, bx, by = (seg[:, i, None, None] for i in range(4))
    ay, by = ay / font.flat, by / font.flat
    dx, dy, qx, qy = bx - ax, by - ay, px - ax, py - ay
    along = np.clip((qx * dx + qy * dy) / np.maximum(dx * dx + dy * dy, 1e-6), 0, 1)
    ex, ey = qx - along * dx, qy - along * dy
    far = np.maximum(np.abs(ex), np.abs(ey)).min(axis=0) if font.square else np.sqrt((ex * ex + ey * ey).min(axis=0))
    edge = font.weight - far
    if font.hollow:
        edge = np.minimum(edge, font.hollow - edge)
    return Image.fromarray(np.clip(128 + edge * unit * 200, 0, 255).astype(np.uint8))


@lru_cache(maxsize=8192)
def text_width(text: str, font: str) -> int:
    """Width of one line in thousandths of the capital's height."""
    units = sum(_segments(c, font)[1] if c != " " else 5.0 for c in text) - FONTS[font].gap
    return int(units * 1000 / CAP)


@lru_cache(maxsize=512)
def line_mask(text: str, font: str, cap: int) -> Image.Image:
    """One line as ink coverage, two units of room on every side of the letters, descender included."""
    unit = cap / CAP
    width = int((text_width(text, font) * CAP / 1000 + 4 + 9 * abs(FONTS[font].slant)) * unit) + 2
    mask = Image.new("L", (width, int(16 * unit) + 1))
    x = 0.0
    for char in text:
        if char == " ":
            x += 5.0
            continue
        glyph = _glyph(char, font, cap)
        mask.paste(255, (int(x * unit), 0), glyph)
        x += _segments(char, font)[1]
    return mask
