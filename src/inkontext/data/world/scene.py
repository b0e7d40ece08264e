"""The scene graph: everything that is in a picture, as plain frozen values.

Lengths are thousandths of the picture's side, measured from the top left corner; a scene knows
nothing of pixels. An edit is a function from scene to scene; `render.py` turns either into pixels.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from inkontext.data.world.lettering import text_width

PATTERNS: Final[tuple[str, ...]] = ("plain", "striped", "dotted", "checkered", "zigzag", "gradient")
HATS: Final[tuple[str, ...]] = ("top hat", "cap", "party hat", "crown", "beanie")
GLASSES: Final[tuple[str, ...]] = ("round glasses", "square glasses", "sunglasses")
MOODS: Final[tuple[str, ...]] = ("happy", "sad", "surprised", "angry")
POSES: Final[tuple[str, ...]] = ("down", "up", "wave")
BOARDS: Final[tuple[str, ...]] = ("letters", "sign", "banner", "plate", "bubble")
Box = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Paint:
    """A colour, or a pattern of two."""

    colour: str
    pattern: str = "plain"
    second: str = "white"


@dataclass(frozen=True, slots=True)
class Identity:
    """What makes a character this one and no other."""

    kind: str
    build: str
    colour: str
    belly: str
    marking: str
    eyes: str
    eye_count: int
    ears: int
    tail: bool


@dataclass(frozen=True, slots=True)
class Wear:
    """An accessory and its colour; an empty kind is none."""

    kind: str = ""
    colour: str = ""


@dataclass(frozen=True, slots=True)
class Shape:
    """A flat form; `size` is its half height."""

    id: int
    x: int
    y: int
    size: int
    form: str
    paint: Paint
    outline: str = ""


@dataclass(frozen=True, slots=True)
class Figure:
    """A character; `size` is half the height of its body with legs and ears."""

    id: int
    x: int
    y: int
    size: int
    who: Identity
    hat: Wear = Wear()
    glasses: Wear = Wear()
    scarf: Wear = Wear()
    mood: str = "happy"
    pose: str = "down"


@dataclass(frozen=True, slots=True)
class Sign:
    """Words on a board or without one; `size` is half the height of a capital letter.

    wide: half the width the board leaves for text, so that a new word need not change the board.
    meant: the right spelling, where the text is misspelt.
    """

    id: int
    x: int
    y: int
    size: int
    text: str
    font: str
    ink: str
    board: str
    colour: str
    wide: int = 0
    meant: str = ""


@dataclass(frozen=True, slots=True)
class Sticker:
    """A named picture from outside (an emoji, an avatar); `size` is half its side."""

    id: int
    x: int
    y: int
    size: int
    name: str


Thing = Shape | Figure | Sign | Sticker


@dataclass(frozen=True, slots=True)
class Background:
    """What is behind: plain, gradient, pattern, a place, or a photograph from outside.

    `variant` chooses among a place's layouts; for a photograph it is the crop.
    """

    kind: str
    colour: str = ""
    second: str = ""
    variant: int = 0
    photo: str = ""


@dataclass(frozen=True, slots=True)
class Cue:
    """A marker drawn over the finished picture: ellipse, box, arrow or cross."""

    kind: str
    colour: str
    box: Box


@dataclass(frozen=True, slots=True)
class Scene:
    """A whole picture; things are drawn in order."""

    background: Background
    things: tuple[Thing, ...] = ()
    light: str = "day"
    weather: str = "clear"
    style: str = "flat"
    adjust: str = "none"
    cues: tuple[Cue, ...] = ()

    def thing(self, id: int) -> Thing:
        """The thing of that number."""
        return next(t for t in self.things if t.id == id)

    def swap(self, new: Thing) -> Scene:
        """The scene with `new` in the place of the thing of the same number."""
        return replace(self, things=tuple(new if t.id == new.id else t for t in self.things))

    def without(self, *ids: int) -> Scene:
        return replace(self, things=tuple(t for t in self.things if t.id not in ids))

    def plus(self, *new: Thing) -> Scene:
        return replace(self, things=self.things + new)

    def next_id(self) -> int:
        return 1 + max((t.id for t in self.things), default=0)


def half_extent(thing: Thing) -> Box:
    """How far the thing reaches left, up, right and down of its (x, y)."""
    s = thing.size
    match thing:
        case Shape():
            edge = s * 116 // 100 if thing.outline else s * 104 // 100
            return (edge, edge, edge, edge)
        case Figure():
            top = s * 134 // 100 if thing.hat.kind else s * 108 // 100
            return (s * 88 // 100, top, s * 88 // 100, s * 104 // 100)
        case Sign():
            return _sign_extent(thing)
        case Sticker():
            return (s, s, s, s)


def text_half_width(sign: Sign) -> int:
    """Half the width of the longest line, or of the room kept for it."""
    longest = max(text_width(line, sign.font) for line in sign.text.split("\n"))
    return max(longest * sign.size // 1000, sign.wide, sign.size * 2)


def _sign_extent(sign: Sign) -> Box:
    lines = sign.text.split("\n")
    half = text_half_width(sign)
    tall = sign.size * (13 * len(lines) - 3) // 10
    if sign.board == "letters":
        return (half + 12, tall + 12, half + 12, tall + 12)
    across, up = half + sign.size * 8 // 10, tall + sign.size * 6 // 10
    if sign.board == "banner":
        across += sign.size * 9 // 10
    down = {"sign": up + sign.size * 16 // 10, "bubble": up + sign.size}.get(sign.board, up)
    return (across + 8, up + 8, across + 8, down + 8)


def box_of(thing: Thing) -> Box:
    """Left, top, right, bottom of everything the thing draws."""
    left, up, right, down = half_extent(thing)
    return (thing.x - left, thing.y - up, thing.x + right, thing.y + down)


def overlap(a: Box, b: Box, gap: int = 0) -> bool:
    """Whether two boxes come nearer than `gap`."""
    return a[0] < b[2] + gap and b[0] < a[2] + gap and a[1] < b[3] + gap and b[1] < a[3] + gap


def inside(box: Box, margin: int = 10) -> bool:
    """Whether the box lies in the picture."""
    return box[0] >= margin and box[1] >= margin and box[2] <= 1000 - margin and box[3] <= 1000 - margin


def is_free(scene: Scene, box: Box, *ignore: int, gap: int = 20) -> bool:
    """Whether `box` lies in the picture and touches none of its things, those ignored apart."""
    return inside(box) and not any(overlap(box, box_of(t), gap) for t in scene.things if t.id not in ignore)
