"""Other seeds until the words are right: every try stays, the best is where the session stands."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from inkontext.errors import Cancelled, OptionError
from inkontext.reading import Reader
from inkontext.safety.provenance import read_metadata
from inkontext.session import Session, read_manifest
from inkontext.session.tries import edit_until_right
from tests.session.painter import painter, start


class Scripted(Reader):
    """Reads what it is told to, a picture a time."""

    def __init__(self, *lines: str) -> None:
        super().__init__()
        self.lines = iter(lines)

    def read(self, picture: Image.Image) -> list[str]:
        assert picture.mode == "RGB"
        return [next(self.lines)]


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    with Session.new(tmp_path / "s", start(), painter()) as made:
        made.edit("begin")
        yield made


def test_the_first_that_is_right_ends_the_search(session: Session) -> None:
    tried = edit_until_right(session, "write 'OPEN'", ["OPEN"], 5, seed=7, reader=Scripted("OPEM", "Open", "never"))
    assert [seed for seed, _ in tried.reports] == [7, 8] and tried.seed == 8
    assert session.current == tried.result and session.current.id == 3
    assert [(t.parent, t.how and t.how.seed, t.text and t.text.right) for t in session.manifest.turns[2:]] == [
        (1, 7, False), (1, 8, True),
    ]  # fmt: skip
    record = read_metadata(session.picture_file())
    assert record is not None and record["text_check"]["read"] == ["Open"]
    assert read_manifest(session.folder) == session.manifest


def test_where_none_is_right_the_branch_stands_at_the_nearest(session: Session) -> None:
    session.branch("sign")
    tried = edit_until_right(session, "write 'OPEN'", ["OPEN"], 2, reader=Scripted("x", "OPEM", "y"))
    assert tried.seed == 3 and session.current.id == 3
    manifest = read_manifest(session.folder)
    assert (manifest.current, manifest.branch, manifest.branches) == (3, "sign", {"main": 1, "sign": 3})
    assert [t.parent for t in manifest.turns] == [None, 0, 1, 1, 1]
    session.undo()
    assert session.current.id == 1
    session.redo()
    session.edit("go on")
    assert session.current.parent == 3


def test_what_ends_the_search_keeps_the_finished_tries(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    edits = iter([session.pipeline.edit])  # pyright: ignore[reportOptionalMemberAccess]

    def edit(*given: object, **more: object) -> object:
        made = next(edits, None)
        if made is None:
            raise Cancelled("cancelled")
        return made(*given, **more)

    monkeypatch.setattr(session.pipeline, "edit", edit)
    with pytest.raises(Cancelled):
        edit_until_right(session, "write 'OPEN'", ["OPEN"], 3, reader=Scripted("x", "y"))
    assert session.current.id == 2 and read_manifest(session.folder).current == 2
    assert session.current.text is not None and not session.current.text.right


class Broken(Reader):
    """An engine that fails."""

    def __init__(self, *outcomes: Any) -> None:
        super().__init__()
        self.outcomes = iter(outcomes)

    def read(self, picture: Image.Image) -> list[str]:
        outcome = next(self.outcomes)
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome


@pytest.mark.parametrize(
    ("outcome", "told"),
    [
        (RuntimeError("no\nsession"), "text recognition failed (RuntimeError: no session)"),
        (MemoryError(), "text recognition failed (MemoryError)"),
        (SystemExit(3), "text recognition failed (SystemExit: 3)"),
        ([None], "text recognition failed (TypeError"), (None, "text recognition failed (TypeError"),
    ],
)  # fmt: skip
def test_an_engine_that_fails_loses_no_turn_and_ends_the_search(outcome: Any, told: str, session: Session) -> None:
    tried = edit_until_right(session, "write 'OPEN'", ["OPEN"], 3, seed=7, reader=Broken(outcome))
    turn = session.current
    assert len(session.manifest.turns) == 3 and turn == tried.result and turn.text is not None
    assert turn.text.unread.startswith(told) and not turn.text.right and turn.text.words == ("OPEN",)
    assert tried.sentence() == f"seed 7: the words could not be looked for: {turn.text.unread}"
    record = read_metadata(session.picture_file())
    assert record is not None and record["text_check"]["unread"] == turn.text.unread
    assert read_manifest(session.folder) == session.manifest
    assert session.edit("go on").parent == turn.id


def test_an_engine_that_fails_later_leaves_the_session_at_the_nearest(session: Session) -> None:
    reader = Broken(["OPEM"], RuntimeError("gone"))
    tried = edit_until_right(session, "write 'OPEN'", ["OPEN"], 5, seed=7, reader=reader)
    assert (tried.seed, session.current.id, len(session.manifest.turns)) == (7, 2, 4)
    assert tried.sentence().endswith("; then text recognition failed (RuntimeError: gone), which ended the search")


def test_words_that_cannot_be_looked_for_cost_no_edit(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    before = (session.folder / "session.json").read_bytes()
    with pytest.raises(OptionError, match="no words to look for"):
        session.edit("write '!'", words=[" "])
    monkeypatch.setattr(Reader, "available", staticmethod(lambda: "it is not installed"))
    with pytest.raises(OptionError, match="cannot be read back; it is not installed"):
        session.edit("write 'A'", words=["A"])
    assert (session.folder / "session.json").read_bytes() == before
