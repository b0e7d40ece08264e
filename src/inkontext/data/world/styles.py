"""Picture styles: passes over finished pixels, each local, quick and without chance.

Local means that a pixel depends on its neighbourhood only; two scenes that differ in one place give
pictures that differ around that place, so edits stay confined also under a style.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Final

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from inkontext.data.world.dice import Dice
from inkontext.data.world.palette import RGB


def apply_style(picture: Image.Image, style: str) -> Image.Image:
    """The picture in that style."""
    return STYLES[style](picture)


def _flat(picture: Image.Image) -> Image.Image:
    return picture


@lru_cache(maxsize=16)
def _grain(side: int, strength: int) -> Image.Image:
    """Paper: mode L around 255, darker where the tooth of the paper is."""
    raw = np.random.PCG64(np.random.SeedSequence([3, side])).random_raw(side * side)
    noise = Image.fromarray((raw >> np.uint64(56)).astype(np.uint8).reshape(side, side))
    soft = np.asarray(noise.filter(ImageFilter.BoxBlur(max(1, side // 64))), dtype=np.int32)
    return Image.fromarray((255 - np.abs(soft - 128) * strength // 64).clip(0, 255).astype(np.uint8))


def _shifted(picture: Image.Image, dx: int, dy: int) -> Image.Image:
    """The picture moved by whole pixels; what comes in at the border is what was there."""
    moved = picture.copy()
    moved.paste(picture, (dx, dy))
    return moved


def _edges(picture: Image.Image) -> Image.Image:
    """How much the most different channel changes around each pixel, mode L."""
    reach = max(1, picture.width // 128)
    around = [
        ImageChops.difference(picture, _shifted(picture, dx, dy))
        for dx, dy in ((reach, 0), (-reach, 0), (0, reach), (0, -reach))
    ]
    change = around[0]
    for other in around[1:]:
        change = ImageChops.lighter(change, other)
    r, g, b = change.split()
    return ImageChops.lighter(ImageChops.lighter(r, g), b)


def _steps(low: int, high: int) -> list[int]:
    """A table that is 0 up to `low`, 255 from `high` on."""
    return [max(0, min(255, (v - low) * 255 // (high - low))) for v in range(256)]


def _blocks(picture: Image.Image, across: int) -> tuple[Image.Image, int]:
    """The picture as coarse cells, and the side of a cell in pixels."""
    cell = max(2, picture.width // across)
    small = picture.reduce(cell)
    return small.resize((small.width * cell, small.height * cell), Image.Resampling.NEAREST).crop(
        (0, 0, *picture.size)
    ), cell


def _ink(picture: Image.Image) -> Image.Image:
    flat = picture.point([min(255, (v + 25) // 51 * 51) for v in range(256)] * 3)
    flat.paste((12, 12, 16), (0, 0), _edges(picture).point(_steps(64, 150)))
    return flat


def _pixel_art(picture: Image.Image) -> Image.Image:
    cells, _ = _blocks(picture, 36)
    return cells.point([min(255, (v + 25) // 51 * 51) for v in range(256)] * 3)


def _watercolour(picture: Image.Image) -> Image.Image:
    wash = picture.filter(ImageFilter.BoxBlur(max(1, picture.width // 120)))
    wash = wash.point([v * 166 // 256 + 90 for v in range(256)] * 3)
    # Pigment gathers where a wash ends.
    rim = _edges(wash).point(_steps(6, 90)).point([v * 120 // 256 for v in range(256)])
    wash.paste((88, 80, 104), (0, 0), rim)
    return _on_paper(wash, 26)


def _on_paper(picture: Image.Image, strength: int) -> Image.Image:
    grain = _grain(picture.width, strength)
    return ImageChops.multiply(picture, Image.merge("RGB", (grain, grain, grain)))


@lru_cache(maxsize=16)
def _hatch(side: int, way: int) -> Image.Image:
    """Slanted pencil strokes, mode L: 255 where the pencil touches."""
    y, x = np.mgrid[0:side, 0:side]
    period = max(3, side // 32)
    return Image.fromarray((((x + way * y) % period) < (period + 1) // 2).astype(np.uint8) * 255)


def _pencil(picture: Image.Image) -> Image.Image:
    grey = picture.convert("L")
    paper = Image.new("L", picture.size, 248)
    for way, threshold in ((1, 150), (-1, 95)):
        shade = ImageChops.multiply(grey.point([110 if v < threshold else 0 for v in range(256)]),
                                    _hatch(picture.width, way))  # fmt: skip
        paper = ImageChops.subtract(paper, shade)
    paper = ImageChops.subtract(paper, _edges(picture).point([v * 215 // 255 for v in _steps(18, 110)]))
    paper = ImageChops.multiply(paper, _grain(picture.width, 14))
    return Image.merge("RGB", (paper, paper, paper))


# Saturation doubled, rows for `Image.convert` with a matrix.
_SATURATED: Final = (1.7, -0.59, -0.11, 0.0, -0.3, 1.41, -0.11, 0.0, -0.3, -0.59, 1.89, 0.0)


def _neon(picture: Image.Image) -> Image.Image:
    line = _edges(picture).point(_steps(24, 120))
    vivid = picture.convert("RGB", _SATURATED).point([min(255, 40 + v) for v in range(256)] * 3)
    glow = ImageChops.multiply(vivid, Image.merge("RGB", (line, line, line)))
    halo = glow.filter(ImageFilter.BoxBlur(max(1, picture.width // 40)))
    dark = picture.point([v * 34 // 256 + a for a in (8, 4, 22) for v in range(256)])
    return ImageChops.add(ImageChops.add(dark, halo), glow)


def _poster(picture: Image.Image) -> Image.Image:
    """Three flat levels a channel, printed with a halftone in the middle one."""
    low = [0 if v < 84 else 128 if v < 170 else 255 for v in range(256)]
    return picture.point([min(255, v * 230 // 256 + 25) for v in low] * 3)


@lru_cache(maxsize=16)
def _cell_mask(side: int, cell: int, round_cells: bool) -> Image.Image:
    """255 inside the cells of a grid, 0 in the gaps between them; antialiased."""
    tile = Image.new("L", (cell * 4, cell * 4))
    draw = ImageDraw.Draw(tile)
    if round_cells:
        draw.ellipse((0, 0, cell * 4 - 1, cell * 4 - 1), 255)
    else:
        draw.rectangle((0, 0, cell * 4 - 1 - max(3, cell // 2), cell * 4 - 1 - max(3, cell // 2)), 255)
    tile = tile.reduce(4)
    mask = Image.new("L", (side, side))
    for y in range(0, side, cell):
        for x in range(0, side, cell):
            mask.paste(tile, (x, y))
    return mask


def _gridded(picture: Image.Image, across: int, ground: RGB, round_cells: bool) -> Image.Image:
    cells, cell = _blocks(picture, across)
    base = Image.new("RGB", picture.size, ground)
    base.paste(cells, (0, 0), _cell_mask(picture.width, cell, round_cells))
    return base


def _mosaic(picture: Image.Image) -> Image.Image:
    return _gridded(picture, 30, (44, 40, 46), False)


def _pointillist(picture: Image.Image) -> Image.Image:
    return _gridded(picture, 40, (250, 244, 230), True)


def _toned(dark: RGB, pale: RGB) -> Callable[[Image.Image], Image.Image]:
    table = [a + (b - a) * v // 255 for a, b in zip(dark, pale, strict=True) for v in range(256)]

    def tone(picture: Image.Image) -> Image.Image:
        grey = picture.convert("L")
        return Image.merge("RGB", (grey, grey, grey)).point(table)

    return tone


def _chalk(picture: Image.Image) -> Image.Image:
    """Chalk of the picture's own colours on a green board."""
    side = picture.width
    rubbed = ImageChops.multiply(_hatch(side, -1), picture.convert("L").point(_steps(60, 420)))
    touch = ImageChops.lighter(_edges(picture).point(_steps(20, 90)), rubbed)
    touch = ImageChops.multiply(touch, _dust(side))
    board = Image.new("RGB", picture.size, (38, 66, 56))
    board.paste(picture.point([v * 150 // 256 + 105 for v in range(256)] * 3), (0, 0), touch)
    return board


@lru_cache(maxsize=8)
def _dust(side: int) -> Image.Image:
    """Where chalk holds on a rough board, mode L."""
    raw = np.random.PCG64(np.random.SeedSequence([9, side])).random_raw(side * side)
    noise = (raw >> np.uint64(56)).astype(np.uint8).reshape(side, side)
    return Image.fromarray(np.where(noise < 52, 130, 255).astype(np.uint8))


def _blueprint(picture: Image.Image) -> Image.Image:
    paper = Image.new("RGB", picture.size, (24, 66, 142))
    step = max(4, picture.width // 12)
    draw = ImageDraw.Draw(paper)
    for at in range(0, picture.width, step):
        draw.line((at, 0, at, picture.height), (44, 88, 164))
        draw.line((0, at, picture.width, at), (44, 88, 164))
    paper.paste((236, 244, 255), (0, 0), _edges(picture).point(_steps(22, 90)))
    return paper


def _impasto(picture: Image.Image) -> Image.Image:
    """Oil paint: short slanted strokes, each of one colour, lit along their edges."""
    side = picture.width
    n = max(1, side // 48)
    # An opening and a closing along the brush: specks shorter than a stroke vanish.
    low = ImageChops.darker(picture, _shifted(picture, 2 * n, -n))
    high = ImageChops.lighter(low, _shifted(low, -2 * n, n))
    strokes = ImageChops.darker(ImageChops.lighter(high, _shifted(high, n, n)), _shifted(high, -n, n))
    light, shade = _ridges(side)
    return ImageChops.subtract(ImageChops.add(strokes, light), shade)


@lru_cache(maxsize=8)
def _ridges(side: int) -> tuple[Image.Image, Image.Image]:
    """Relief of the brush: light and shadow, RGB."""
    dice, big = Dice(13, side), side * 2
    light, shade = Image.new("L", (big, big)), Image.new("L", (big, big))
    ink, dark = ImageDraw.Draw(light), ImageDraw.Draw(shade)
    for _ in range(1100):
        x, y, n = dice.below(big), dice.below(big), big // 22
        ink.line((x, y, x + n, y - n // 2), 44, max(1, big // 128))
        dark.line((x, y + big // 100, x + n, y + big // 100 - n // 2), 44, max(1, big // 128))
    grey = light.reduce(2), shade.reduce(2)
    return Image.merge("RGB", (grey[0],) * 3), Image.merge("RGB", (grey[1],) * 3)


STYLES: Final[dict[str, Callable[[Image.Image], Image.Image]]] = {
    "flat": _flat,
    "ink": _ink,
    "pixel art": _pixel_art,
    "watercolour": _watercolour,
    "pencil": _pencil,
    "neon": _neon,
    "poster": _poster,
    "mosaic": _mosaic,
    "pointillist": _pointillist,
    "sepia": _toned((38, 22, 10), (255, 236, 196)),
    "duotone": _toned((70, 14, 120), (176, 255, 214)),
    "chalk": _chalk,
    "blueprint": _blueprint,
    "oil": _impasto,
}

# Styles under which colours can still be told apart, fit for local edits.
COLOUR_SAFE: Final[tuple[str, ...]] = ("ink", "pixel art", "watercolour", "mosaic", "pointillist", "oil")
# Styles whose cells are too large for letters.
COARSE: Final[tuple[str, ...]] = ("pixel art", "mosaic", "pointillist")
