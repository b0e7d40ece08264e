"""A cue: what was drawn, in coordinates of the picture, read from JSON or from a line of text."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from inkontext.data.tables import decode_text
from inkontext.errors import CueError
from inkontext.numbers import as_real

Point = tuple[float, float]
KINDS: Final = ("ellipse", "box", "arrow", "cross", "scribble")
INKS: Final[dict[str, tuple[int, int, int]]] = {
    "red": (222, 45, 45),
    "blue": (44, 98, 220),
    "green": (46, 146, 72),
    "yellow": (252, 214, 48),
    "pink": (248, 142, 186),
    "orange": (246, 132, 28),
    "purple": (134, 66, 176),
    "black": (28, 28, 32),
    "white": (250, 250, 248),
}
_SLACK: Final = 1e-9  # x + w of a cue that ends at the border may round to a little above 1
_LEAST: Final = 0.01  # of a side; what is smaller cannot be seen
_MOST_POINTS: Final = 10_000
_FIELDS: Final = {"kind", "points", "colour", "width"}
_SPEC: Final = re.compile(r"\s*(?P<kind>[a-z]+)\s*:(?P<numbers>[^a-z]*?)(?P<px>px)?\s*(?:,\s*(?P<colour>[a-z]+)\s*)?")


@dataclass(frozen=True, slots=True)
class Cue:
    """One drawn cue. Coordinates are fractions of the picture's width and height, (0, 0) its top left corner.

    Attributes:
        kind: `ellipse`, `box`, `cross`: two opposite corners; `arrow`: from the first point to the second, where
            its head is; `scribble`: a line through all points.
        points: (x, y) pairs in [0, 1].
        colour: one of `INKS`; None is chosen to be seen on the picture (`settle`).
        width: of the line, a fraction of the square root of the picture's area; None is the width of training.

    Raises:
        CueError: an unknown kind or colour, a point outside the picture, or nothing that could be seen.
    """

    kind: str
    points: tuple[Point, ...]
    colour: str | None = None
    width: float | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise CueError(f"unknown cue {self.kind!r}; draw one of {', '.join(KINDS)}")
        if self.colour is not None and self.colour not in INKS:
            raise CueError(f"unknown cue colour {self.colour!r}; choose one of {', '.join(INKS)}")
        if self.width is not None:
            width = as_real(self.width)
            if width is None or not 0.002 <= width <= 0.2:
                raise CueError(f"a cue's width must be between 0.002 and 0.2 of the picture, not {self.width!r}")
            object.__setattr__(self, "width", width)
        object.__setattr__(self, "points", tuple(_inside(self.kind, point) for point in self.points))
        count = len(self.points)
        if (count != 2 and self.kind != "scribble") or not 2 <= count <= _MOST_POINTS:
            wanted = f"2 to {_MOST_POINTS}" if self.kind == "scribble" else "two"
            raise CueError(f"a cue of kind {self.kind} takes {wanted} points, not {count}")
        across, down = (max(v) - min(v) for v in zip(*self.points, strict=True))
        if (min if self.kind in ("ellipse", "box", "cross") else max)(across, down) < _LEAST:
            raise CueError(f"the {self.kind} is too small to be seen; make it at least {_LEAST:.0%} of the picture")

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON; what is None is left out."""
        body: dict[str, Any] = {"kind": self.kind, "points": [list(point) for point in self.points]}
        return body | {k: v for k, v in (("colour", self.colour), ("width", self.width)) if v is not None}

    @property
    def name(self) -> str:
        """What one would call it: `red ellipse`."""
        return f"{self.colour} {self.kind}" if self.colour else self.kind


def _inside(kind: str, point: Any) -> Point:
    pair = [as_real(v) for v in point] if isinstance(point, list | tuple) else []
    numbers = [v for v in pair if v is not None and math.isfinite(v)]
    if not len(pair) == len(numbers) == 2:
        raise CueError(f"a point of the {kind} is not a pair of numbers; write [x, y]")
    if not all(-_SLACK <= v <= 1 + _SLACK for v in numbers):
        raise CueError(
            f"the {kind} has a point at ({numbers[0]:g}, {numbers[1]:g}), outside the picture; coordinates are "
            "fractions of its width and height, from 0 to 1"
        )
    x, y = (min(max(v, 0.0), 1.0) for v in numbers)
    return x, y


def to_json(cues: Sequence[Cue]) -> str:
    """The cues as the text of a JSON file: `{"cues": [{"kind": ..., "points": [[x, y], ...]}]}`."""
    return json.dumps({"cues": [cue.as_dict() for cue in cues]})


def from_json(text: str) -> tuple[Cue, ...]:
    """The cues of such a text. Raises CueError for anything else."""
    try:
        body = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CueError(f"the cues are no JSON ({error}); write " + '{"cues": [...]}') from error
    rows = body.get("cues") if isinstance(body, dict) else body
    if not isinstance(rows, list) or not rows:
        raise CueError('the JSON holds no cues; write {"cues": [{"kind": "box", "points": [[x, y], [x, y]]}]}')
    return tuple(map(_from_dict, rows))


def _from_dict(row: Any) -> Cue:
    if not isinstance(row, dict) or not {"kind", "points"} <= set(row) or not isinstance(row["points"], list):
        raise CueError("a cue in the JSON has no kind, or no list of points")
    if unknown := sorted(set(row) - _FIELDS):
        raise CueError(f"a cue in the JSON has an unknown field {unknown[0]!r}; it takes {', '.join(sorted(_FIELDS))}")
    if not isinstance(row["kind"], str) or not isinstance(row.get("colour"), str | None):
        raise CueError("kind and colour of a cue in the JSON must be words")
    return Cue(row["kind"], tuple(row["points"]), row.get("colour"), row.get("width"))


def parse_cue(text: str, size: tuple[int, int]) -> Cue:
    """A cue written in a line.

    `ellipse:x,y,w,h`, `box:x,y,w,h`, `cross:x,y,w,h` (left, top, width, height), `arrow:x,y,x,y` (from, to),
    `scribble:x,y,x,y,...`; then perhaps `,red`. Numbers are fractions of the picture, or its pixels where `px`
    follows the last one.

    Args:
        size: (width, height) of the picture.

    Raises:
        CueError: the text is not understood, or the cue lies outside.
    """
    match = _SPEC.fullmatch(text)
    try:
        numbers = [float(n) for n in match["numbers"].rstrip().rstrip(",").split(",")] if match else []
    except ValueError:
        numbers = []
    if match is None or len(numbers) < 4 or len(numbers) % 2:
        raise CueError(
            f"the cue {text[:60]!r} is not understood; write ellipse:x,y,w,h, box:x,y,w,h, cross:x,y,w,h, "
            "arrow:x,y,x,y or scribble:x,y,x,y,... in fractions of the picture, perhaps with ,red after it"
        )
    if match["px"]:
        numbers = [n / size[i % 2] for i, n in enumerate(numbers)]
    pairs = list(zip(numbers[::2], numbers[1::2], strict=True))
    if match["kind"] in ("ellipse", "box", "cross") and len(pairs) == 2:
        (x, y), (w, h) = pairs
        pairs = [(x, y), (x + w, y + h)]
    return Cue(match["kind"], tuple(pairs), match["colour"])


def read_cues(sources: Sequence[str], size: tuple[int, int]) -> tuple[Cue, ...]:
    """Cues from lines (`parse_cue`) and JSON files, in order. Raises CueError."""
    found: list[Cue] = []
    for source in sources:
        if not source.lower().endswith(".json"):
            found.append(parse_cue(source, size))
            continue
        try:
            text = decode_text(Path(source).read_bytes())
        except OSError as error:
            raise CueError(f"cannot read the cues in '{source}' ({error.strerror}); give a JSON file") from error
        except ValueError as error:
            raise CueError(f"cannot read the cues in '{source}', as the file {error}; save it as UTF-8") from error
        found += from_json(text)
    return tuple(found)
