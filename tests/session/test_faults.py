"""A process that dies, or a disk that refuses, at any write leaves a session that opens with all finished turns."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from inkontext.errors import SessionError, StorageError
from inkontext.session import Session
from tests.session.painter import painter, start


class Died(BaseException):
    """What a killed process does: nothing after this line runs, not even the handlers of errors."""


def _break(monkeypatch: pytest.MonkeyPatch, name: str, at: int, error: BaseException) -> list[int]:
    """Have the `at`th call of os.`name` fail from now on."""
    calls = [0]
    real = getattr(os, name)

    def broken(*args: Any, **more: Any) -> Any:
        calls[0] += 1
        if calls[0] >= at:
            raise error
        return real(*args, **more)

    monkeypatch.setattr(os, name, broken)
    return calls


# A turn is picture, latents and change, each one fsync and one replace; three folders synced; then the manifest.
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), Died()], ids=["full", "died"])
@pytest.mark.parametrize(("name", "at"), [*(("replace", n) for n in range(1, 5)), *(("fsync", n) for n in range(1, 8))])
def test_every_write_point(
    name: str, at: int, error: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = Session.new(tmp_path / "s", start(), painter())
    session.edit("one")
    before = session.manifest
    pictures = [session.picture(n).tobytes() for n in range(2)]
    with monkeypatch.context() as patch:
        calls = _break(patch, name, at, error)
        with pytest.raises((StorageError, Died)):
            session.edit("two")
        assert calls[0] >= at
    assert session.manifest == before
    session.close()
    with Session.open(tmp_path / "s", painter()) as again:
        assert again.manifest == before
        assert [again.picture(n).tobytes() for n in range(2)] == pictures
        assert again.edit("two").id == 2  # what was half-written is no obstacle


def test_the_write_points_are_all_of_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Session.new(tmp_path / "s", start(), painter()) as session:
        replaced = _break(monkeypatch, "replace", 10**9, OSError())
        synced = _break(monkeypatch, "fsync", 10**9, OSError())
        session.edit("one")
    assert (replaced[0], synced[0]) == (4, 7)


@pytest.mark.parametrize("at", range(1, 4))
def test_a_session_that_was_never_begun_can_be(at: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        _break(patch, "replace", at, Died())
        with pytest.raises(Died):
            Session.new(tmp_path / "s", start(), painter())
    with pytest.raises(SessionError, match="there is no session"):
        Session.open(tmp_path / "s")
    Session.new(tmp_path / "s", start(), painter()).close()
    Session.open(tmp_path / "s").close()


_CHILD = """
import sys
from inkontext.session import Session
from tests.session.painter import painter, start
session = Session.new(sys.argv[1], start(), painter())
while True:
    print(session.edit("paint").id, flush=True)
"""


def test_kill_minus_nine(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    with subprocess.Popen(
        [sys.executable, "-c", _CHILD, str(folder)], stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]
    ) as child:
        assert child.stdout is not None
        told = [int(child.stdout.readline()) for _ in range(5)]
        with pytest.raises(SessionError, match="open elsewhere"):
            Session.open(folder)
        time.sleep(0.013)  # somewhere in a write
        os.kill(child.pid, signal.SIGKILL)
        told += [int(line) for line in child.stdout.read().splitlines()]
    with Session.open(folder, painter()) as session:
        assert len(session.manifest.turns) in (told[-1] + 1, told[-1] + 2)  # the last may not have been told
        assert session.manifest.current == len(session.manifest.turns) - 1
        for turn in session.manifest.turns:
            assert session.picture(turn.id).size == (32, 32)
            assert session.latents(turn.id).shape == (1, 16, 4, 4)
        session.edit("go on")
