"""The tree of turns as plain values, and the steps through it. Nothing here touches a disk or a model.

A step is a function from manifest to manifest that only ever adds turns: undoing moves `current`, nothing else, so no
turn is ever lost.
"""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from inkontext.cues import Cue, from_json
from inkontext.errors import CueError, OptionError, SessionError
from inkontext.geometry import RESOLUTIONS
from inkontext.numbers import as_whole
from inkontext.reading import TextReport

FIRST_BRANCH = "main"
Name = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^\s/\\]+$")]
Number = Annotated[int, Field(ge=0)]
Side = Annotated[int, Field(ge=RESOLUTIONS[0], le=RESOLUTIONS[1])]
_STRICT = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Drift(BaseModel):
    """How far a turn is from the first picture where no turn on the way has changed anything.

    Attributes:
        untouched_share: of the picture's pixels, those.
        untouched_psnr: dB over them, 99 where they are the same bytes; None where none is left.
        made_psnr: the same of the picture as the model made it, before anything was put back.
        cosine: of an embedder's vectors of both whole pictures; None where none is configured, or it failed.
        cosine_missing: why it failed.
        embedder: its name.
    """

    model_config = _STRICT
    untouched_share: float
    untouched_psnr: float | None
    made_psnr: float | None
    cosine: float | None = None
    cosine_missing: str | None = None
    embedder: str | None = None


class Choice(BaseModel):
    """Which of several candidates a turn is, as `BestOf` records it; what tells the scorer from others stands beside.

    Attributes:
        candidates: how many were tried.
        scorer: who chose, as it was asked for.
        quality: the preset that this came from.
        seeds, scores: of every candidate; the greater a score the better.
        chosen: the seed that was kept.
    """

    model_config = ConfigDict(extra="allow", frozen=True, strict=True, allow_inf_nan=False)
    candidates: Number
    scorer: str
    quality: str | None = None
    seeds: list[Number]
    scores: list[float]
    chosen: Number

    @model_validator(mode="after")
    def _is_one_of_them(self) -> Self:
        if self.chosen not in self.seeds or not len(self.seeds) == len(self.scores) == self.candidates:
            raise ValueError(f"seed {self.chosen} is not chosen among {self.candidates} seeds with a score each")
        return self

    def sentence(self) -> str:
        """For people."""
        return f"seed {self.chosen}, the best of {self.candidates} by {self.scorer}"


class How(BaseModel):
    """All that makes a turn's picture out of its parent's, apart from files.

    Attributes:
        prompt: in the model's words.
        said: in the user's, where they are others (`@hat`).
        seed: of the noise; where there were candidates, that of the chosen one.
        strength: with a mask, below 1 starts from the parent partly noised.
        size: of the new picture, as in `Pipeline.edit`; None is the parent's.
        resolution, context_resolution: as in `Pipeline.edit`.
        cues: drawn on the parent for the model to see, as `Cue.as_dict`.
        position: how many of the references come before the picture that is changed.
    """

    model_config = _STRICT
    prompt: str
    said: str | None = None
    seed: Number = 0
    steps: int | None = None
    guidance: float | None = None
    negative: str | None = None
    true_cfg: float | None = None
    solver: str | None = None
    size: str | None = None
    resolution: Side | None = None
    context_resolution: Side | None = None
    strength: Annotated[float, Field(gt=0, le=1)] = 1.0
    cues: list[dict[str, Any]] = []
    position: Number = 0
    anchor: bool = False
    keep: bool = True

    @field_validator("cues")
    @classmethod
    def _can_be_drawn(cls, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        try:
            return [cue.as_dict() for cue in from_json(json.dumps(rows))] if rows else []
        except CueError as error:
            raise ValueError(str(error)) from error

    @property
    def drawn(self) -> tuple[Cue, ...]:
        """The cues."""
        return from_json(json.dumps(self.cues)) if self.cues else ()


class Turn(BaseModel):
    """One picture.

    Attributes:
        how: None for the first.
        merged: the turns that this one does in one edit.
        drift: None for the first, and where it cannot be measured.
        drift_missing: why it cannot.
        cues_gone: whether the ink of its cues is gone from it; None where there were none, or it cannot be told.
        text: what was read of the words asked for; None where nobody asked.
        best_of: which of several candidates it is; None where only one was made.
    """

    model_config = _STRICT
    id: Number
    parent: Number | None = None
    how: How | None = None
    mask: bool = False
    references: Number = 0
    merged: list[Number] = []
    drift: Drift | None = None
    drift_missing: str | None = None
    cues_gone: bool | None = None
    text: TextReport | None = None
    best_of: Choice | None = None


class Model(BaseModel):
    """Whose latents these are. `autoencoder` is the one that counts for reading them."""

    model_config = _STRICT
    name: str
    fingerprint: str
    autoencoder: str

    def is_same(self, other: Model) -> bool:
        """Whether they are the same weights, whatever they are called."""
        return (self.fingerprint, self.autoencoder) == (other.fingerprint, other.autoencoder)


class Manifest(BaseModel):
    """`session.json`.

    Attributes:
        resolution, context_resolution: those of its first picture, and of turns that name none.
        current: the turn that the next edit starts from.
        redo: turns that were undone, the next to be done again last.
        branch: the branch that the next turn moves along.
        branches: the turn where each stands.
        turns: all, by number; each one's parent comes before it.
    """

    model_config = _STRICT
    format: Literal["inkontext session"] = "inkontext session"
    version: Literal[1] = 1
    model: Model
    resolution: Side | None = None
    context_resolution: Side | None = None
    current: Number = 0
    redo: list[Number] = []
    branch: Name = FIRST_BRANCH
    branches: dict[Name, Number] = {FIRST_BRANCH: 0}
    turns: list[Turn]

    @model_validator(mode="after")
    def _is_a_tree(self) -> Self:
        for place, turn in enumerate(self.turns):
            if turn.id != place:
                raise ValueError(f"turn {turn.id} stands in place {place}")
            if (turn.parent is None) != (place == 0) or (turn.how is None) != (place == 0):
                raise ValueError(f"turn {place} has no parent" if place else "turn 0 is not a first picture")
            if turn.parent is not None and turn.parent >= place:
                raise ValueError(f"turn {place} has the parent {turn.parent}, which does not come before it")
        pointed = {"current": self.current, **{f"branch '{k}'": v for k, v in self.branches.items()}}
        pointed |= {"redo": max(self.redo, default=0)}
        for name, place in pointed.items():
            if place >= len(self.turns):
                raise ValueError(f"{name} points to turn {place}, which is not there")
        below = self.current
        for place in reversed(self.redo):
            if self.turns[place].parent != below:
                raise ValueError(f"redo has turn {place}, which does not follow turn {below}")
            below = place
        if self.branch not in self.branches:
            raise ValueError(f"the branch '{self.branch}' is not there")
        return self

    def path(self, to: int | None = None) -> list[Turn]:
        """The turns from the first to `to`, by default the current one."""
        turn = self.turns[self.current if to is None else to]
        out = [turn]
        while turn.parent is not None:
            turn = self.turns[turn.parent]
            out.append(turn)
        return out[::-1]

    def resolution_of(self, turn: int) -> int | None:
        """What a turn's latents are of; None is the model's own."""
        how = self.turns[turn].how
        return self.resolution if how is None else how.resolution

    def add(self, turn: Turn) -> Manifest:
        """With one more turn, which the branch moves to."""
        return self._with(
            turns=[*self.turns, turn], current=turn.id, redo=[], branches=self.branches | {self.branch: turn.id}
        )

    def undo(self) -> Manifest:
        parent = self.turns[self.current].parent
        if parent is None:
            raise SessionError("there is nothing to undo; this is the first picture")
        return self._with(current=parent, redo=[*self.redo, self.current])

    def redo_one(self) -> Manifest:
        if not self.redo:
            raise SessionError("there is nothing to redo; undo comes before it, and an edit in between ends it")
        return self._with(current=self.redo[-1], redo=self.redo[:-1])

    def goto(self, place: int | str) -> Manifest:
        """To a turn by number, or to a branch by name, which becomes the one that turns move along."""
        if isinstance(place, str) and place in self.branches:
            return self._with(current=self.branches[place], branch=place, redo=[])
        turn = self.number(place)
        return self._with(current=turn, redo=[] if turn != self.current else self.redo)

    def new_branch(self, name: str, at: int | str | None = None) -> Manifest:
        if name in self.branches:
            raise SessionError(f"there is a branch '{name}' already; go to it or choose another name")
        unwritable = set(name) & set("/\\") or any("\ud800" <= letter <= "\udfff" for letter in name)
        if name.isdigit() or not name or len(name) > 100 or unwritable or name.split() != [name]:
            raise SessionError(f"'{name}' is no branch name; choose a word that is not a number")
        place = self.current if at is None else self.number(at)
        return self._with(branches=self.branches | {name: place}, branch=name, current=place, redo=[])

    def settle_on(self, place: int) -> Manifest:
        """With the current turn and its branch at another turn of the same parent; the others stay in the tree."""
        place = self.number(place)
        if self.turns[place].parent != self.turns[self.current].parent:
            raise SessionError(f"turn {place} is no other way to turn {self.current}; use goto")
        return self._with(current=place, redo=[], branches=self.branches | {self.branch: place})

    def number(self, place: int | str) -> int:
        """A turn's number from itself, its digits, or a branch's name. Raises SessionError for any other."""
        if isinstance(place, str) and place in self.branches:
            return self.branches[place]
        if isinstance(place, str) and not (place.isascii() and place.isdigit()):
            raise SessionError(f"there is no branch '{place}'; there are {', '.join(self.branches)}")
        turn = int(place) if isinstance(place, str) else as_whole(place)
        if turn is None or not 0 <= turn < len(self.turns):
            raise SessionError(f"there is no turn {place}; there are 0 to {len(self.turns) - 1}")
        return turn

    def _with(self, **changes: Any) -> Manifest:
        """A changed copy, checked again: what is written can always be read."""
        return Manifest(**{name: getattr(self, name) for name in Manifest.model_fields} | changes)


def parse(text: str | bytes, name: str) -> Manifest:
    """Read a manifest. Raises SessionError, in one sentence, for anything that is not one."""
    try:
        return Manifest.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        why = first["msg"].removeprefix("Value error, ")
        told = f"{where}: {why}" if where else why
        raise SessionError(f"'{name}' is not a session's manifest ({told}); put a good copy back") from error


def read_how(**values: Any) -> How:
    """`How` from a caller's values. Raises OptionError."""
    try:
        return How(**values)
    except ValidationError as error:
        first = error.errors()[0]
        raise OptionError(f"{'.'.join(map(str, first['loc']))} is {first['input']!r}: {first['msg']}") from error


def as_json(manifest: Manifest) -> dict[str, Any]:
    """The manifest for a JSON file."""
    return json.loads(manifest.model_dump_json())
