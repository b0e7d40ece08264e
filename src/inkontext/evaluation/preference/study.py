"""A blind pairwise study: what it asks, what it shows, and the file that keeps the key to it.

study.json   the key: which system made which picture, and which trials are attention checks; not for voters
index.html   the page that is voted on; knows neither
pictures/    all pictures under anonymous names, without metadata
votes.sqlite the votes, imported or sent by the served page, see `database`
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal

from inkontext.errors import DataError, OptionError

Side = Literal["left", "right"]
Choice = Literal["left", "right", "tie"]
CHOICES: Final[tuple[Choice, ...]] = ("left", "right", "tie")
STUDY: Final = "study.json"
VERSION: Final = 1


@dataclass(frozen=True)
class Prompt:
    """What the systems were asked. `references` are the pictures that were given with it."""

    key: str
    instruction: str | None = None
    references: tuple[Path, ...] = ()
    category: str = ""

    @property
    def asks_for_words(self) -> bool:
        """Whether text belongs into the picture: the category says so, or something is quoted."""
        return "text" in self.category.lower() or any(q in (self.instruction or "") for q in '"“”«»„')


@dataclass(frozen=True)
class Dimension:
    """One question, and the prompts it makes sense for."""

    question: str
    applies: Callable[[Prompt], bool]


# The five that section 4 of the paper tells apart in place of one general preference: prompt following, aesthetics,
# realism and typography (text-to-image), and the consistency of characters and objects (editing). The words are ours.
DIMENSIONS: Final[dict[str, Dimension]] = {
    "instruction": Dimension("Which picture does better what was asked?", lambda p: p.instruction is not None),
    "consistency": Dimension(
        "Which picture better keeps what the request leaves alone: the person, the things, the place, the style?",
        lambda p: bool(p.references),
    ),
    "aesthetics": Dimension("Which picture is more pleasing to look at?", lambda p: True),
    "realism": Dimension("Which picture looks more real?", lambda p: not p.references),
    "typography": Dimension("In which picture are the words better spelt and set?", lambda p: p.asks_for_words),
}


@dataclass(frozen=True)
class Trial:
    """Two pictures side by side, and what is asked of them.

    Attributes:
        left, right: the systems. A check shows one system's picture twice, once spoilt.
        answer: for a check, the side of the picture that is not spoilt; else None.
        block: trials are shown block by block; a block has a check, and compares all pairs about equally often.
        pictures: of the left and of the right, relative to the study's folder; so are `references`.
    """

    id: str
    key: str
    left: str
    right: str
    answer: Side | None
    block: int
    dimensions: tuple[str, ...]
    pictures: tuple[str, str]
    references: tuple[str, ...]
    instruction: str | None
    category: str

    def shown(self) -> dict[str, Any]:
        """All that a voter's page may know of it: neither the systems nor the key, nor whether it is a check."""
        return {
            "id": self.id,
            "instruction": self.instruction,
            "references": self.references,
            "left": self.pictures[0],
            "right": self.pictures[1],
            "dimensions": self.dimensions,
        }


@dataclass(frozen=True)
class Study:
    """A study as `study.json` holds it.

    Attributes:
        raters: who may vote; None for anybody.
        left_out: keys that are not shown, with the system that has no picture of it.
    """

    id: str
    seed: int
    systems: tuple[str, ...]
    questions: dict[str, str]
    trials: tuple[Trial, ...]
    raters: tuple[str, ...] | None
    left_out: dict[str, str]

    def trial(self, name: str) -> Trial | None:
        """The trial of this id."""
        return next((t for t in self.trials if t.id == name), None)

    @property
    def compared(self) -> tuple[Trial, ...]:
        """The trials that are no checks."""
        return tuple(t for t in self.trials if t.answer is None)

    def as_dict(self) -> dict[str, Any]:
        """What goes into `study.json`."""
        return {"version": VERSION, **asdict(self)}


def choose_dimensions(names: str | None) -> dict[str, Dimension]:
    """The named ones of `DIMENSIONS`, with commas; all where None. Raises OptionError for unknown names."""
    if names is None:
        return DIMENSIONS
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    for name in wanted:
        if name not in DIMENSIONS:
            raise OptionError(f"there is no dimension '{name}'; choose among {', '.join(DIMENSIONS)}")
    if not wanted or len(set(wanted)) < len(wanted):
        raise OptionError(f"name each dimension once, among {', '.join(DIMENSIONS)}")
    return {name: DIMENSIONS[name] for name in wanted}


def read_study(folder: Path) -> Study:
    """The study in a folder. Raises DataError where there is none or it is damaged."""
    path = folder / STUDY
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"'{path}' cannot be read; name a folder that `eval preference plan` has written") from error
    if not isinstance(body, dict) or body.pop("version", None) != VERSION:
        raise DataError(f"'{path}' is of another version of this program; plan the study again")
    try:
        trials = tuple(_trial(row) for row in body.pop("trials"))
        systems, raters = tuple(body.pop("systems")), body.pop("raters")
        study = Study(systems=systems, trials=trials, raters=None if raters is None else tuple(raters), **body)
    except (TypeError, KeyError, AttributeError) as error:
        raise DataError(f"'{path}' is damaged; plan the study again") from error
    return study


def _trial(row: dict[str, Any]) -> Trial:
    values: dict[str, Any] = row | {name: tuple(row[name]) for name in ("dimensions", "references", "pictures")}
    return Trial(**values)
