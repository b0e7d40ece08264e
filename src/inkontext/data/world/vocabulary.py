"""How things of the world are called: nouns, adjectives, places, and their synonyms."""

from __future__ import annotations

from typing import Final

from inkontext.data.world.dice import Dice
from inkontext.data.world.palette import COLOUR_WORDS

NOUNS: Final[dict[str, tuple[str, ...]]] = {
    "circle": ("circle", "disc"),
    "oval": ("oval", "ellipse"),
    "diamond": ("diamond", "rhombus"),
    "crescent": ("crescent", "crescent moon"),
    "cross": ("cross", "plus sign"),
    "bolt": ("lightning bolt", "bolt"),
    "bunny": ("bunny", "rabbit"),
    "frog": ("frog",),
    "sign": ("sign", "signpost"),
    "bubble": ("speech bubble",),
    "plate": ("plate", "name plate"),
    "letters": ("lettering",),
}

CLASSES: Final[dict[str, tuple[str, ...]]] = {
    "shape": ("shape",),
    "creature": ("creature", "character"),
    "writing": ("text", "writing"),
    "board": ("board", "panel"),
    "sticker": ("sticker",),
}

PATTERN_WORDS: Final[dict[str, tuple[str, ...]]] = {
    "plain": ("plain", "solid"),
    "striped": ("striped",),
    "dotted": ("dotted", "spotted", "polka-dot"),
    "checkered": ("checkered", "chequered"),
    "zigzag": ("zigzag", "wavy"),
    "gradient": ("shaded", "gradient"),
}

PATTERN_NOUNS: Final[dict[str, tuple[str, ...]]] = {
    "striped": ("stripes",),
    "dotted": ("dots", "polka dots"),
    "checkered": ("checks", "squares"),
    "zigzag": ("zigzags", "waves"),
}

COLUMNS: Final = (210, 500, 790)
ROWS: Final = (220, 500, 780)

PLACE_PHRASES: Final[dict[tuple[int, int], tuple[str, ...]]] = {
    (0, 0): ("in the top left corner", "in the top left", "in the upper left"),
    (1, 0): ("at the top", "at the top in the middle"),
    (2, 0): ("in the top right corner", "in the top right", "in the upper right"),
    (0, 1): ("on the left", "on the left side"),
    (1, 1): ("in the middle", "in the center", "in the centre"),
    (2, 1): ("on the right", "on the right side"),
    (0, 2): ("in the bottom left corner", "in the bottom left", "in the lower left"),
    (1, 2): ("at the bottom", "at the bottom in the middle"),
    (2, 2): ("in the bottom right corner", "in the bottom right", "in the lower right"),
}

PLACE_WORDS: Final[dict[str, tuple[str, ...]]] = {
    "hills": ("green hills", "a hilly meadow"),
    "sea": ("a beach by the sea", "a sandy beach"),
    "desert": ("a desert", "a sandy desert"),
    "forest": ("a forest", "the woods"),
    "city": ("a city street", "a city"),
    "room": ("a room", "a living room"),
    "mountains": ("the mountains", "snowy mountains"),
    "space": ("outer space", "space"),
}

LIGHT_WORDS: Final[dict[str, tuple[str, ...]]] = {
    "day": ("in daylight", "by day", "during the day"),
    "dawn": ("at dawn", "early in the morning"),
    "sunset": ("at sunset", "in the evening light"),
    "night": ("at night", "in the dark of night"),
}

WEATHER_WORDS: Final[dict[str, tuple[str, ...]]] = {
    "rain": ("in the rain", "on a rainy day"),
    "snow": ("in the snow", "while it snows"),
    "fog": ("in the fog", "in thick mist"),
}

STYLE_WORDS: Final[dict[str, tuple[str, ...]]] = {
    "flat": ("a flat vector drawing", "a clean flat illustration"),
    "ink": ("a comic with black ink outlines", "an inked comic book picture"),
    "pixel art": ("pixel art", "an 8-bit video game picture"),
    "watercolour": ("a watercolor painting", "a soft watercolour"),
    "pencil": ("a pencil sketch", "a pencil drawing"),
    "neon": ("neon lights", "a glowing neon sign"),
    "poster": ("a pop art poster", "a screen printed poster"),
    "mosaic": ("a mosaic", "a mosaic of small tiles"),
    "pointillist": ("a pointillist painting", "a picture made of dots"),
    "sepia": ("an old sepia photograph", "a sepia print"),
    "duotone": ("a purple and mint duotone", "a two-tone purple and mint print"),
    "chalk": ("a chalk drawing on a blackboard", "chalk on a green board"),
    "blueprint": ("a blueprint", "a white on blue technical drawing"),
    "oil": ("an oil painting", "thick oil paint"),
}

FONT_WORDS: Final[dict[str, tuple[str, ...]]] = {
    "plain": ("plain", "simple sans-serif"),
    "bold": ("bold", "thick bold"),
    "italic": ("italic", "slanted"),
    "serif": ("serif", "bookish serif"),
    "outlined": ("outlined", "hollow outline"),
    "blocky": ("blocky", "angular block"),
    "dotted": ("dotted", "light bulb"),
}

MOOD_WORDS: Final[dict[str, tuple[str, ...]]] = {
    "happy": ("happy", "cheerful"),
    "sad": ("sad", "unhappy"),
    "surprised": ("surprised", "astonished"),
    "angry": ("angry", "furious"),
}

POSE_WORDS: Final[dict[str, tuple[str, ...]]] = {
    "down": ("with its arms down", "with lowered arms"),
    "up": ("with both arms up", "raising both arms"),
    "wave": ("waving", "waving with one hand"),
}

NUMBERS: Final = ("no", "one", "two", "three", "four", "five", "six")


def colour_word(colour: str, dice: Dice) -> str:
    """One of the words for that colour, its own name most often."""
    others = COLOUR_WORDS.get(colour)
    return dice.pick(others) if others and dice.chance(40) else colour


def noun(name: str, dice: Dice) -> str:
    """One of the nouns for that form, kind or board."""
    others = NOUNS.get(name)
    return dice.pick(others) if others and dice.chance(40) else others[0] if others else name


def plural(word: str) -> str:
    return word + ("es" if word.endswith(("s", "x", "ch", "sh")) else "s")


def a(phrase: str) -> str:
    """The phrase with its indefinite article."""
    return ("an " if phrase[0] in "aeiou" else "a ") + phrase


def cell_of(x: int, y: int) -> tuple[int, int]:
    """The ninth of the picture where a point lies, as (column, row)."""
    return ((x >= 380) + (x > 620), (y >= 380) + (y > 620))


def place_phrase(x: int, y: int, dice: Dice) -> str:
    return dice.pick(PLACE_PHRASES[cell_of(x, y)])
