"""Making turns from the command line: what was found goes to stderr and, where asked, into a JSON file."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inkontext.cli import options as o

if TYPE_CHECKING:
    from inkontext.reading import Attempts
    from inkontext.session import Manifest, Session, Turn


@dataclass
class Report:
    """Of the turn that a session stands at after a step that made it.

    Attributes:
        tried: where several seeds may have been tried for the words.
    """

    session: Session
    tried: Attempts[Turn] | None = None
    started: float = field(default_factory=time.perf_counter)

    def tell(self) -> None:
        """Where the session stands, on stdout; the turn's choice, drift, cues and words on stderr."""
        from inkontext.cues import CueFinding
        from inkontext.session.tree import kept_unread, told_drift

        print(where(self.session), flush=True)
        turn, found = self.session.current, self._record.get("cue_check", {}).get("cues", [])
        lines = [f"candidates: {turn.best_of.sentence()}"] if turn.best_of else []
        lines += [told_drift(turn), *(f"cue: {CueFinding(**row).sentence()}" for row in found)]
        lines += [f"text: {self.tried.sentence()}{kept_unread(turn)}"] if self.tried else []
        for line in filter(None, lines):
            print(line, file=sys.stderr)

    def write(self, path: Path) -> None:
        """The turn's record, the seconds that it took with all tries, and the tries."""
        from inkontext.storage import write_json

        body = self.body()
        if self.tried is not None:
            turns = range(len(self.session.manifest.turns) - len(self.tried.reports), len(self.session.manifest.turns))
            told = self.tried.as_dict()
            body["text_check"] = told | {
                "tries": [{"turn": turn} | row for turn, row in zip(turns, told["tries"], strict=True)]
            }
        write_json(path, body)

    def body(self) -> dict[str, Any]:
        """The turn's record, its picture's file, and the seconds until now."""
        seconds = {"total": time.perf_counter() - self.started}
        return {"seconds": seconds, "picture": str(self.session.picture_file())} | self._record

    @cached_property
    def _record(self) -> dict[str, Any]:
        from inkontext.safety.provenance import read_metadata

        return read_metadata(self.session.picture_file()) or {}


@dataclass
class Remade:
    """Turns that are made again in the folder of a new session, each told when it is kept.

    Attributes:
        wanted: how many.
        turns: what was told of each, the first picture included.
    """

    folder: Path
    wanted: int
    turns: list[dict[str, Any]] = field(default_factory=list)
    started: float = field(default_factory=time.perf_counter)
    _last: float = field(default_factory=time.perf_counter)

    def __call__(self, session: Session) -> None:
        """For `Session.replay(each=...)`."""
        report = Report(session, started=self._last)
        report.tell()
        self.turns.append(report.body())
        self._last = time.perf_counter()

    @contextmanager
    def stoppable(self) -> Iterator[None]:
        """Raises Cancelled instead of an interrupt, saying which turns are finished."""
        from inkontext.errors import Cancelled

        try:
            yield
        except KeyboardInterrupt as error:
            raise Cancelled(f"interrupted; {self._kept()}") from error

    def _kept(self) -> str:
        from inkontext.session.store import MANIFEST, read_manifest

        if not (self.folder / MANIFEST).exists():
            return "nothing was made"
        made = len(read_manifest(self.folder).turns) - 1  # more than were told, if it came in between
        if made == 0:
            return f"no turn of {self.wanted} is finished, and the new session '{self.folder}' has its first picture"
        these = "turn 1" if made == 1 else f"turns 1 to {made}"
        return f"{these} of {self.wanted} {'is' if made == 1 else 'are'} finished and kept in '{self.folder}'"

    def write(self, path: Path) -> None:
        """All turns, and the seconds they took together."""
        from inkontext.storage import write_json

        total = {"total": time.perf_counter() - self.started}
        write_json(path, {"seconds": total, "session": str(self.folder), "turns": self.turns})


@contextmanager
def making(
    session: Session, model: o.ModelOptions, embedder: str | None, json: Path | None, sides: o.Sides
) -> Iterator[Report]:
    """Load the model that a turn is made with, when nothing else is found wrong; at the end the turn is told.

    sides: the resolutions that were asked for.

    Raises:
        Cancelled: instead of an interrupt, which loses no finished turn.
    """
    from inkontext.cli.likeness import load_embedder
    from inkontext.errors import Cancelled

    session.embedder = load_embedder(embedder, lambda: session.picture(0))
    session.use(o.load(*model, *sides_in(session.manifest, sides)))
    report = Report(session)
    try:
        yield report
    except KeyboardInterrupt as error:
        raise Cancelled("interrupted; every finished turn is kept") from error
    report.tell()
    if json is not None:
        report.write(json)


def sides_in(manifest: Manifest, sides: o.Sides) -> o.Sides:
    """Resolutions of a turn in a session, for which the model is loaded."""
    return sides[0] or manifest.resolution, sides[1] or manifest.context_resolution


def where(session: Session) -> str:
    """Where a session stands, and its picture's file."""
    return f"turn {session.current.id} on {session.manifest.branch}: {session.picture_file()}"
