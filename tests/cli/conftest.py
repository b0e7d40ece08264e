"""Running the command line inside the test's process, in an empty folder, as the console script runs it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image

from inkontext.cli.main import main
from inkontext.session import Session
from tests.session.painter import Painter, painter, start


@dataclass(frozen=True)
class Outcome:
    """What a run left: exit code, standard output, standard error."""

    code: int
    out: str
    err: str

    @property
    def complaint(self) -> str:
        """The one sentence on stderr; a note about an untrained model may stand before it."""
        lines = [line for line in self.err.splitlines() if line.strip() and not line.startswith("note:")]
        assert len(lines) == 1, self.err
        assert lines[0].startswith("inkontext: ")
        assert "Traceback" not in self.err
        return lines[0].removeprefix("inkontext: ")


Cli = Callable[..., Outcome]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder, with nothing of the user's settings."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("INKONTEXT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "80")
    for name in ("INKONTEXT_MODEL", "INKONTEXT_MEMORY"):
        monkeypatch.delenv(name, raising=False)
    return folder


@pytest.fixture
def cli(here: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Cli:
    """Run `inkontext` with these arguments."""

    def run(*arguments: str | Path) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["inkontext", *map(str, arguments)])
        capfd.readouterr()
        with pytest.raises(SystemExit) as left:
            main()
        out, err = capfd.readouterr()
        return Outcome(int(left.value.code or 0), out, err)

    return run


@pytest.fixture
def picture(here: Path, photo: Image.Image) -> Path:
    photo.save(here / "photo.png")
    return Path("photo.png")


@pytest.fixture
def painted(here: Path, monkeypatch: pytest.MonkeyPatch) -> Painter:
    """The model that every verb loads; there is a session `s` of it, and `first.png`, which it began with."""
    made = painter()
    monkeypatch.setattr("inkontext.cli.options.load", lambda *model: made)
    start().save(here / "first.png")
    Session.new(here / "s", start(), made).close()
    assert isinstance(made, Painter)
    return made


def names(folder: Path) -> list[str]:
    """Everything in a folder, hidden files included."""
    return sorted(p.name for p in folder.iterdir())
