"""Passes over finished pixels: light on photographs, weather, and adjustments of the whole picture."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from PIL import Image, ImageDraw, ImageFilter, ImageOps

from inkontext.data.world.dice import Dice
from inkontext.data.world.palette import light_table

WEATHERS: Final[tuple[str, ...]] = ("clear", "rain", "snow", "fog")
ADJUSTS: Final[tuple[str, ...]] = (
    "none", "brighter", "darker", "warmer", "colder", "black and white", "blurred", "mirrored",
    "faded", "inverted", "vivid", "upside down",
)  # fmt: skip


def lit_picture(picture: Image.Image, light: str) -> Image.Image:
    """A photograph or sticker in that light; the alpha channel, if any, stays."""
    if light == "day":
        return picture
    table = light_table(light)
    return picture.point(table + list(range(256)) if picture.mode == "RGBA" else table)


@lru_cache(maxsize=32)
def _fall(weather: str, side: int) -> Image.Image:
    """Coverage of rain, snow or fog, mode L; drawn at twice the size and reduced."""
    big, dice = side * 2, Dice(5, len(weather))
    mask = Image.new("L", (big, big), 26 if weather != "fog" else 0)
    draw = ImageDraw.Draw(mask)
    if weather == "rain":
        for _ in range(90):
            x, y = dice.below(big * 11 // 10), dice.below(big)
            length = big * (40 + dice.below(40)) // 1000
            draw.line((x, y, x - length * 35 // 100, y + length), 190, max(2, big * 9 // 1000))
    elif weather == "snow":
        for _ in range(110):
            x, y = dice.below(big), dice.below(big)
            r = max(1, big * (6 + dice.below(9)) // 1000)
            draw.ellipse((x - r, y - r, x + r, y + r), 245)
    else:
        for row in range(big):
            bank = 118 + 86 * row // big + 16 * ((row * 9 // big) % 2)
            draw.line((0, row, big, row), bank)
        mask = mask.filter(ImageFilter.BoxBlur(big // 22))
    return mask.reduce(2)


_AIR: Final = {"rain": (198, 214, 236), "snow": (252, 253, 255), "fog": (226, 230, 234)}
_DULL: Final = {
    "rain": [v * m // 256 for m in (186, 198, 220) for v in range(256)],
    "snow": [v * m // 256 + a for m, a in ((216, 32), (222, 34), (226, 38)) for v in range(256)],
}


def apply_weather(picture: Image.Image, weather: str) -> Image.Image:
    """Rain, snow or fog over the whole picture."""
    if weather == "clear":
        return picture
    picture = picture.point(_DULL[weather]) if weather in _DULL else picture.copy()
    picture.paste(_AIR[weather], (0, 0), _fall(weather, picture.width))
    return picture


def _table(*lines: tuple[int, int]) -> list[int]:
    """One line v * mul / 256 + add a channel, clipped."""
    return [max(0, min(255, v * m // 256 + a)) for m, a in lines for v in range(256)]


_TABLES: Final = {
    "brighter": _table(*[(282, 44)] * 3),
    "darker": _table(*[(138, 0)] * 3),
    "warmer": _table((268, 26), (250, 8), (188, 0)),
    "colder": _table((184, 0), (242, 8), (272, 30)),
    "faded": _table(*[(128, 104)] * 3),
    "inverted": [255 - v for _ in range(3) for v in range(256)],
}
# Saturation times 1.7 at equal brightness, three rows for `Image.convert`.
_VIVID: Final = (
    1.4907, -0.4109, -0.0798, 0.0,
    -0.2093, 1.2891, -0.0798, 0.0,
    -0.2093, -0.4109, 1.6202, 0.0,
)  # fmt: skip


def apply_adjust(picture: Image.Image, adjust: str) -> Image.Image:
    """One adjustment of the whole picture."""
    if adjust == "none":
        return picture
    if adjust in _TABLES:
        return picture.point(_TABLES[adjust])
    match adjust:
        case "black and white":
            return picture.convert("L").convert("RGB")
        case "blurred":
            radius = max(1, picture.width // 42)
            return picture.filter(ImageFilter.BoxBlur(radius)).filter(ImageFilter.BoxBlur(radius))
        case "mirrored":
            return ImageOps.mirror(picture)
        case "upside down":
            return ImageOps.flip(picture)
        case "vivid":
            return picture.convert("RGB", _VIVID)
        case _:
            raise AssertionError(adjust)
