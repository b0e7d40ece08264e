"""`inkontext session` and `inkontext eval drift`, as a script runs them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from inkontext.session import Session, read_manifest
from tests.cli.conftest import Cli


def test_a_session_from_a_script(cli: Cli, here: Path, photo: Image.Image, debug_folder: Path) -> None:
    photo.save(here / "a.png")
    model = ("--model", str(debug_folder))
    assert cli("session", "new", "s", "a.png", *model).code == 0
    told = cli("session", "edit", "s", "Make it blue", "--steps", "1", *model)
    assert told.code == 0 and "turn 1 on main: s/turns/0001/picture.png" in told.out
    assert cli("session", "edit", "s", "Make it red", "--steps", "1", "--anchor", "--no-keep", *model).code == 0
    assert "turn 1" in cli("session", "undo", "s").out
    assert "turn 2" in cli("session", "redo", "s").out
    assert "turn 3" in cli("session", "merge", "s", "2", *model).out
    assert "on other" in cli("session", "branch", "s", "other", "--at", "1").out
    assert "turn 3 on main" in cli("session", "goto", "s", "main").out
    assert cli("session", "export", "s", "out.png", "--turn", "2").code == 0 and (here / "out.png").is_file()
    shown = cli("session", "show", "s", "--json", "tree.json")
    assert "first picture" in shown.out and "[other]" in shown.out and "Make it blue. Make it red." in shown.out
    assert json.loads((here / "tree.json").read_text())["current"] == 3
    assert cli("session", "replay", "s", "t", *model).code == 0
    assert (here / "t/turns/0001/picture.png").is_file()
    manifest = read_manifest(here / "t")
    assert [turn.id for turn in manifest.turns] == [0, 1]
    with Session.open(here / "s") as held:
        assert "is open elsewhere" in cli("session", "undo", "s").complaint
        assert cli("session", "show", "s").code == 0
        assert held.current.id == 3


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("show", "s"), "there is no session"),
        (("undo", "s"), "there is no session"),
        (("edit", "s", "Make it blue"), "there is no session"),
        (("new", "s", "no.png"), "does not exist"),
    ],
)
def test_mistakes_make_nothing(words: tuple[str, ...], told: str, cli: Cli, here: Path) -> None:
    outcome = cli("session", *words)
    assert outcome.code == 2 and told in outcome.complaint and not (here / "s").exists()


def test_eval_drift(cli: Cli, here: Path, debug_folder: Path) -> None:
    outcome = cli("eval", "drift", "--model", str(debug_folder), "--turns", "2", "--limit", "1", "--size", "64",
                  "--steps", "1", "--json", "d.json")  # fmt: skip
    assert outcome.code == 0 and "untouched_psnr" in outcome.out
    body = json.loads((here / "d.json").read_text())
    for name in ("untouched_psnr", "identity"):
        assert {arm: len(values) for arm, values in body[name].items()} == {"ours": 2, "naive": 2}
    assert "--turns is 0" in cli("eval", "drift", "--turns", "0").complaint
    assert "--arms is 'x'" in cli("eval", "drift", "--arms", "x").complaint
