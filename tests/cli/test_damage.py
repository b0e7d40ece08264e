"""Damaged sessions, tables and lines, and files that are no picture: a sentence, and nothing is harmed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from inkontext.session import read_manifest
from tests.cli.conftest import Cli
from tests.session.painter import Painter, painter


def _set(*path_and_value: Any) -> Callable[[dict[str, Any]], Any]:
    """Put a value at a place of a manifest."""

    def change(body: Any) -> Any:
        *path, last, value = path_and_value
        place = body
        for step in path:
            place = place[step]
        place[last] = value
        return body

    return change


NONSENSE = {
    "text": (lambda body: "{ oops", "is not a session's manifest"),
    "empty": (lambda body: "", "is not a session's manifest"),
    "missing parent": (_set("turns", 1, "parent", 7), "turn 1 has the parent 7, which does not come before it"),
    "no parent": (_set("turns", 1, "parent", None), "turn 1 has no parent"),
    "prompt": (_set("turns", 1, "how", "prompt", 5), "turns.1.how.prompt"),
    "strength": (_set("turns", 1, "how", "strength", 7.0), "turns.1.how.strength"),
    "cue": (_set("turns", 1, "how", "cues", [{"kind": "box", "points": [[0, 0], [7, 7]]}]), "outside the picture"),
    "not a number": (_set("turns", 1, "drift", "untouched_share", float("nan")), "turns.1.drift.untouched_share"),
    "reference": (_set("turns", 1, "references", 1), "turn 1 has lost its file"),
}


@pytest.mark.parametrize("case", NONSENSE)
def test_a_manifest_edited_into_nonsense(
    case: str, cli: Cli, here: Path, painted: Painter, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli("session", "edit", "s", "one")
    change, words = NONSENSE[case]
    path = here / "s/session.json"
    good = path.read_bytes()
    changed = change(json.loads(good))
    path.write_text(changed if isinstance(changed, str) else json.dumps(changed))
    bad = path.read_bytes()
    monkeypatch.setattr("inkontext.cli.options.load", lambda *model: pytest.fail("the model was loaded"))
    for verb in (("session", "undo", "s"), ("session", "edit", "s", "x"), ("session", "replay", "s", "t"),
                 ("chat", "first.png", "--session", "s")):  # fmt: skip
        done = cli(*verb)
        assert done.code == 2 and words in done.complaint and path.read_bytes() == bad
    assert not (here / "t").exists()
    path.write_bytes(good)
    monkeypatch.setattr("inkontext.cli.options.load", lambda *model: painted)
    assert "turn 2" in cli("session", "edit", "s", "two").out


def test_a_session_of_another_model(cli: Cli, here: Path, painted: Painter, monkeypatch: pytest.MonkeyPatch) -> None:
    cli("session", "edit", "s", "one")
    before = (here / "s/session.json").read_bytes()
    monkeypatch.setattr("inkontext.cli.options.load", lambda *model: painter("other"))
    for verb in (
        ("session", "edit", "s", "x"),
        ("session", "merge", "s", "2"),
        ("chat", "first.png", "--session", "s"),
    ):
        done = cli(*verb)
        assert done.code == 2 and "was made with model 'painter' (painter, " in done.complaint
        assert "or replay it with this one into a new folder" in done.complaint
        assert (here / "s/session.json").read_bytes() == before
    assert cli("session", "replay", "s", "t").code == 0 and read_manifest(here / "t").model.fingerprint == "other"


@pytest.mark.parametrize("name", ["notes.txt", "fake.png", "empty.png", "no.png", "s"])
def test_what_is_no_picture(name: str, cli: Cli, here: Path, painted: Painter, monkeypatch: pytest.MonkeyPatch) -> None:
    for text in ("notes.txt", "fake.png"):
        (here / text).write_text("hello")
    (here / "empty.png").touch()
    before = (here / "s/session.json").read_bytes()
    monkeypatch.setattr("inkontext.cli.options.load", lambda *model: pytest.fail("the model was loaded"))
    edit = ("session", "edit", "s", "x")
    for verb in (("session", "new", "n", name), ("chat", name), ("session", "replay", "s", "n", "--picture", name),
                 (*edit, "--ref", name), (*edit, "--mask", name)):  # fmt: skip
        done = cli(*verb)
        assert done.code == 2 and f"'{name}'" in done.complaint
    assert (here / "s/session.json").read_bytes() == before and not (here / "n").exists()


@pytest.mark.parametrize(
    ("verb", "told"),
    [
        (("branch", "s", "\udcff"), "is no branch name"), (("goto", "s", "\udcff"), "there is no branch"),
        (("edit", "s", "\udcff"), "not valid Unicode"),
        (("merge", "s", "2", "--prompt", "\udcff"), "not valid Unicode"),
        (("merge", "s", "2", "--prompt", " "), "the prompt is empty"),
        (("undo", "notes.txt"), "there is no session in"),
    ],
)  # fmt: skip
def test_words_that_are_none(verb: tuple[str, ...], told: str, cli: Cli, here: Path, painted: Painter) -> None:
    (here / "notes.txt").write_text("hello")
    for words in ("one", "two"):
        cli("session", "edit", "s", words)
    before = (here / "s/session.json").read_bytes()
    done = cli("session", *verb)
    assert done.code == 2 and told in done.complaint
    assert (here / "s/session.json").read_bytes() == before


def test_a_manifest_and_a_card_that_an_editor_marked(
    cli: Cli, here: Path, debug_folder: Path, painted: Painter
) -> None:
    path = here / "s/session.json"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert cli("session", "edit", "s", "one").code == 0
    shutil.copytree(debug_folder, here / "model")
    card = here / "model/inkontext.json"
    card.write_bytes(b"\xef\xbb\xbf" + card.read_bytes())
    assert cli("inspect", "model").code == 0


TABLES = {
    ("data", "check", "set.csv"): "bad row: set.csv:2 (has 3 cells, and the first line 2",
    ("data", "report", "set.csv"): "bad row: set.csv:2 (has 3 cells",
    ("data", "tokenizer", "t.json", "--corpus", "set.tsv"): "line 2 of corpus 'set.tsv' has 1 cell",
    ("eval", "t2i", "--prompts", "set.csv", "--out", "run"): "line 2 of 'set.csv' has 3 cells",
    ("eval", "preference", "plan", "study", "a=p", "b=p", "--data", "set.jsonl"): "a byte in line 1, 0xe9",
    ("eval", "identity", "--pairs", "set.jsonl", "--out", "run"): "a byte in line 1, 0xe9",
    ("eval", "kontextbench", "--data", "bench", "--out", "run"): "a byte in line 1, 0xe9",
}


@pytest.mark.parametrize("command", TABLES, ids=" ".join)
def test_a_table_that_is_wrong_ends_in_a_sentence(command: tuple[str, ...], cli: Cli, here: Path) -> None:
    (here / "set.csv").write_text("image,prompt\na.png,red, please\n")
    (here / "set.tsv").write_text("a\tb\nc\n")
    (here / "bench").mkdir()
    (here / "p").mkdir()
    Image.new("RGB", (8, 8)).save(here / "p/0000.png")
    for place in ("set.jsonl", "bench/metadata.jsonl"):
        (here / place).write_bytes(b'{"instruction": "caf\xe9"}\n')
    done = cli(*command)
    assert done.code == 2 and TABLES[command] in done.complaint
    assert not (here / "run").exists() and not (here / "t.json").exists()
