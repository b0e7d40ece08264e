"""`inkontext eval identity`: is it still the same? Cosine of embeddings between a picture and its edits.

The paper compares AuraFace's embeddings of the input and of each successive edit; it says neither which face counts
nor what happens without one. Here the largest face counts, and a picture without a face has no score.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import PIL
from PIL import Image

from inkontext import __version__
from inkontext.errors import OptionError, PictureError
from inkontext.evaluation import faces
from inkontext.evaluation.identity.data import Collection, Series
from inkontext.evaluation.keeping import kept
from inkontext.evaluation.score import Score
from inkontext.evaluation.statistics import DIGITS, figures
from inkontext.plugins import Plugin, told
from inkontext.safety.pictures import read_picture

Watch = Callable[[int, int], None]


@dataclass(frozen=True)
class Seen:
    """A picture's unit vector `[D]`, or None and why there is none; `is_blank`: because there is nothing to see."""

    vector: np.ndarray | None
    reason: str | None = None
    evidence: dict[str, Any] = field(default_factory=dict)
    is_blank: bool = False


class View(Protocol):
    """One way to turn a picture into a vector.

    Attributes:
        identity: all that its vectors depend on.
        may_see_nothing: whether a picture may have no vector; a second score, NAME_or_0, then counts an edit without
            one as 0, so that no edit leaves the mean by losing what is compared.
    """

    name: str
    identity: dict[str, Any]
    may_see_nothing: bool

    def available(self) -> str | None:
        """None where it can work, else why not."""
        ...

    def see(self, picture: Image.Image) -> Seen: ...


class Network(Protocol):
    """An image model: `evaluation/embeddings.py` has two."""

    identity: dict[str, Any]

    def embed(self, picture: Image.Image) -> np.ndarray: ...


class FaceView:
    """The largest face."""

    name, may_see_nothing = "face", True

    def __init__(self, embedder: faces.Embedder) -> None:
        self.embedder, self.identity = embedder, embedder.identity

    def available(self) -> str | None:
        return self.embedder.available()

    def see(self, picture: Image.Image) -> Seen:
        face = self.embedder.embed(picture)
        if face is None:
            return Seen(None, "no face", {"faces": 0}, is_blank=True)
        return Seen(face.vector, evidence={"faces": face.among})


class WholeView:
    """The whole picture through a network: for objects, drawn characters, animals."""

    may_see_nothing = False

    def __init__(self, name: str, network: Network) -> None:
        self.name, self.network, self.identity = name, network, network.identity

    def available(self) -> str | None:
        return None

    def see(self, picture: Image.Image) -> Seen:
        return Seen(self.network.embed(picture))


class FunctionView:
    """A function of the user's, picture -> vector of any length, or None where there is nothing to see."""

    name, may_see_nothing = "own", True

    def __init__(self, plugin: Plugin) -> None:
        self.function, self.identity = plugin.function, plugin.identity

    def available(self) -> str | None:
        return None

    def see(self, picture: Image.Image) -> Seen:
        try:
            given = self.function(picture)
            vector = None if given is None else np.asarray(given, dtype=np.float64).reshape(-1)
        except Exception as error:  # noqa: BLE001 - the user's code may fail in any way; the run goes on
            return Seen(None, f"the function failed ({type(error).__name__})", {"error": told(error)})
        if vector is None:
            return Seen(None, "the function saw nothing", is_blank=True)
        length = float(np.linalg.norm(vector))
        if not np.isfinite(length) or length == 0:
            return Seen(None, "the function's vector is zero or not finite")
        return Seen(vector / length)


def evaluate(collection: Collection, views: Sequence[View], watch: Watch | None = None) -> dict[str, Any]:
    """Compare the pictures of every series with its first.

    Returns: plain values: the views, what is wrong, figures by system and turn, and a row for every comparison.

    Raises:
        OptionError: no view can work.
    """
    unavailable = {view.name: view.available() for view in views}
    if all(unavailable.values()):
        why = "; ".join(filter(None, unavailable.values())) or "no embedder; --face-model, --dino or --clip FOLDER"
        raise OptionError(f"there is nothing to compare by: {why}")
    compare = _Comparison([view for view in views if not unavailable[view.name]])
    rows: list[dict[str, Any]] = []
    with kept("identity", lambda: rows):
        for done, series in enumerate(collection.series, 1):
            rows += compare.rows(series)
            if watch is not None:
                watch(done, len(collection.series))
        return {
            "benchmark": "identity",
            "embedders": {view.name: {"unavailable": unavailable[view.name], **view.identity} for view in views},
            "versions": {
                "inkontext": __version__, "python": platform.python_version(), "numpy": np.__version__,
                "pillow": PIL.__version__,
            },
            "problems": [asdict(problem) for problem in collection.problems] + _problems(rows),
            "systems": _summary(rows, compare.names),
            "rows": rows,
        }  # fmt: skip


class _Comparison:
    """Pictures through every view; a first picture that several systems share is seen once."""

    def __init__(self, views: Sequence[View]) -> None:
        self.views = views
        self.names = [name for v in views for name in (v.name, *[f"{v.name}_or_0"] * v.may_see_nothing)]
        self._first: dict[Path, dict[str, Seen] | str] = {}
        self._sizes: dict[Path, tuple[int, int]] = {}
        self._subjects: dict[Path, int] = {}

    def rows(self, series: Series) -> list[dict[str, Any]]:
        """A row a turn."""
        first, *later = series.pictures
        if first not in self._first:
            self._first[first] = self._see(first)
        return [self._row(series, turn, first, path) for turn, path in enumerate(later, 1)]

    def _row(self, series: Series, turn: int, first: Path, path: Path) -> dict[str, Any]:
        before, after = self._first[first], self._see(path)
        missing = f"before: {before}" if isinstance(before, str) else after if isinstance(after, str) else None
        if isinstance(before, str) or isinstance(after, str):
            scores = {view.name: Score(None, "no picture") for view in self.views}
        else:
            scores = {view.name: _cosine(before[view.name], after[view.name]) for view in self.views}
        for view in self.views:
            if view.may_see_nothing:
                scores[f"{view.name}_or_0"] = _or_zero(scores[view.name])
        size, own = self._sizes.get(first), self._sizes.get(path)
        return {
            "system": series.system,
            "key": series.key,
            "turn": turn,
            "subject": self._subjects.setdefault(first, len(self._subjects)),
            "picture": path.name,
            "missing": missing,
            "size": list(own) if own else None,
            "other_size_than": list(size) if size and own and size != own else None,
            "scores": {n: None if s.value is None else round(s.value, DIGITS) for n, s in scores.items()},
            "reasons": {n: s.reason for n, s in scores.items() if s.value is None},
            "judged": {v.name: j for v in self.views if v.may_see_nothing and (j := scores[v.name].judged) is not None},
            "evidence": {n: s.evidence for n, s in scores.items() if s.evidence},
        }

    def _see(self, path: Path) -> dict[str, Seen] | str:
        """What every view sees, or why the picture cannot be read."""
        try:
            picture = read_picture(path).rgb
        except PictureError as error:
            return str(error).replace(str(path), path.name)
        self._sizes[path] = picture.size
        return {view.name: view.see(picture) for view in self.views}


def _cosine(before: Seen, after: Seen) -> Score:
    evidence = {name: seen.evidence for name, seen in (("before", before), ("after", after)) if seen.evidence}
    if before.vector is None:
        return Score(None, f"{before.reason} in the first picture", evidence)
    if after.vector is None:
        return Score(None, f"{after.reason} in the edit", evidence, judged=0.0 if after.is_blank else None)
    if before.vector.shape != after.vector.shape:
        return Score(None, "the vectors differ in length", evidence)
    return Score(float(before.vector @ after.vector), evidence=evidence, judged=1.0)


def _or_zero(found: Score) -> Score:
    """The same with 0, as between strangers, where only the edit has nothing to compare."""
    return Score(0.0) if found.judged == 0 else Score(found.value, found.reason)


def _problems(rows: Sequence[dict[str, Any]]) -> list[dict[str, str]]:
    out = []
    for row in rows:
        name = f"{row['system']}/{row['key']}, turn {row['turn']}"
        if row["missing"]:
            out.append({"kind": "no picture", "name": name, "detail": row["missing"]})
        elif row["other_size_than"]:
            sizes = ["×".join(map(str, row[name])) for name in ("size", "other_size_than")]
            out.append({"kind": "another size than the first picture", "name": name, "detail": " not ".join(sizes)})
    return out


def _summary(rows: Sequence[dict[str, Any]], views: Sequence[str]) -> dict[str, Any]:
    """By system and turn: how many items there were, and each view's mean over those that have a score; its interval
    is over their first pictures, of which several items may share one."""
    out: dict[str, Any] = {}
    for system in dict.fromkeys(row["system"] for row in rows):
        own = [row for row in rows if row["system"] == system]
        turns = {}
        for turn in sorted({row["turn"] for row in own}):
            at = [row for row in own if row["turn"] == turn]
            scores = {
                name: figures([row["scores"][name] for row in at], [row["reasons"].get(name) for row in at], False,
                              [row["subject"] for row in at], [row["judged"].get(name) for row in at])
                for name in views
            }  # fmt: skip
            unread = sum(row["missing"] is not None for row in at)
            turns[str(turn)] = {"items": len(at), "no_picture": unread, "scores": scores}
        out[system] = {"items": len({row["key"] for row in own}), "turns": turns}
    return out
