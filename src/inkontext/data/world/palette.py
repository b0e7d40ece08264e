"""Named colours, the words people use for them, and how light changes them."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from inkontext.cues.cue import INKS

RGB = tuple[int, int, int]

COLOURS: Final[dict[str, RGB]] = {
    "red": INKS["red"],
    "orange": INKS["orange"],
    "yellow": INKS["yellow"],
    "lime": (164, 216, 58),
    "green": INKS["green"],
    "teal": (30, 152, 150),
    "light blue": (128, 200, 246),
    "blue": INKS["blue"],
    "navy": (24, 42, 104),
    "purple": INKS["purple"],
    "pink": INKS["pink"],
    "brown": (134, 84, 48),
    "black": INKS["black"],
    "grey": (146, 150, 156),
    "white": INKS["white"],
}

COLOUR_WORDS: Final[dict[str, tuple[str, ...]]] = {
    "lime": ("lime", "lime green", "light green"),
    "teal": ("teal", "turquoise"),
    "light blue": ("light blue", "sky blue"),
    "navy": ("navy", "navy blue", "dark blue"),
    "purple": ("purple", "violet"),
    "grey": ("grey", "gray"),
}

PALE: Final[frozenset[str]] = frozenset({"white", "yellow", "lime", "light blue", "pink", "grey"})

# Neighbours that a viewer may take for each other side by side or through a style pass.
ALIKE: Final[tuple[frozenset[str], ...]] = (
    frozenset({"navy", "black"}),
    frozenset({"navy", "blue"}),
    frozenset({"lime", "yellow"}),
    frozenset({"orange", "red"}),
    frozenset({"orange", "yellow"}),
    frozenset({"orange", "brown"}),
    frozenset({"red", "brown"}),
    frozenset({"teal", "green"}),
    frozenset({"teal", "blue"}),
    frozenset({"lime", "green"}),
    frozenset({"grey", "light blue"}),
    frozenset({"white", "light blue"}),
    frozenset({"white", "grey"}),
    frozenset({"purple", "blue"}),
    frozenset({"brown", "black"}),
    frozenset({"navy", "purple"}),
    frozenset({"red", "pink"}),
)

LIGHTS: Final[tuple[str, ...]] = ("day", "dawn", "sunset", "night")

# Per channel v -> v * mul / 256 + add; pictures and colours go through the same line.
_TINTS: Final[dict[str, tuple[RGB, RGB]]] = {
    "day": ((256, 256, 256), (0, 0, 0)),
    "dawn": ((224, 204, 218), (30, 18, 30)),
    "sunset": ((236, 172, 124), (22, 4, 8)),
    "night": ((108, 116, 164), (4, 8, 28)),
}


def alike(a: str, b: str) -> bool:
    """Whether two named colours are the same or easily confused."""
    return a == b or frozenset((a, b)) in ALIKE


def luma(colour: str) -> int:
    """Brightness of a named colour, 0 to 255."""
    r, g, b = COLOURS[colour]
    return (r * 299 + g * 587 + b * 114) // 1000


def legible(ink: str, ground: str) -> bool:
    """Whether letters of one colour can be read on the other."""
    return abs(luma(ink) - luma(ground)) >= 75 and not alike(ink, ground)


def contrasting(colour: str) -> str:
    """The colour of stripes, dots and letters on `colour` when nobody names one."""
    return "black" if colour in PALE else "white"


def mix(a: RGB, b: RGB, percent: int) -> RGB:
    """`percent` of b in a."""
    keep = 100 - percent
    return (
        (a[0] * keep + b[0] * percent) // 100,
        (a[1] * keep + b[1] * percent) // 100,
        (a[2] * keep + b[2] * percent) // 100,
    )


def darker(colour: RGB, percent: int = 35) -> RGB:
    return mix(colour, (0, 0, 0), percent)


def lighter(colour: RGB, percent: int = 35) -> RGB:
    return mix(colour, (255, 255, 255), percent)


@lru_cache(maxsize=4096)
def lit(colour: RGB, light: str) -> RGB:
    """`colour` as it looks in that light."""
    if light == "day":
        return colour
    mul, add = _TINTS[light]
    r, g, b = (min(255, c * m // 256 + a) for c, m, a in zip(colour, mul, add, strict=True))
    return (r, g, b)


@lru_cache(maxsize=8)
def light_table(light: str) -> list[int]:
    """The same as `lit` as a table of 3 x 256 entries for `Image.point`."""
    mul, add = _TINTS[light]
    return [min(255, v * m // 256 + a) for m, a in zip(mul, add, strict=True) for v in range(256)]
