"""`inkontext session` and `inkontext eval drift`, as a script runs them."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from inkontext.cues import Cue
from inkontext.reading import Reader
from inkontext.safety.provenance import read_metadata
from inkontext.session import Session, read_manifest
from inkontext.session.drift import psnr
from tests.cli.conftest import Cli
from tests.session.painter import Painter, start


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


# --- what `edit` takes ------------------------------------------------------------------------------------


def _plugin(here: Path, body: str) -> str:
    (here / "own.py").write_text(f"import numpy as np\n\ndef see(picture):\n    {body}\n")
    return "own.py:see"


def test_an_embedders_cosine_stands_beside_the_psnr(cli: Cli, here: Path, painted: Painter) -> None:
    own = ("--embedder", _plugin(here, "return np.asarray(picture, float).mean((0, 1))"))
    assert cli("session", "new", "t", "first.png", *own).code == 0
    told = cli("session", "edit", "t", "Make it blue", "--no-keep", *own, "--json", "e.json")
    assert told.code == 0 and told.out == "turn 1 on main: t/turns/0001/picture.png\n"
    before, after = (np.asarray(Image.open(p), float) for p in ("first.png", here / "t/turns/0001/picture.png"))
    a, b = before.mean((0, 1)), after.mean((0, 1))
    drift = read_manifest(here / "t").turns[1].drift
    assert drift is not None and drift.cosine == pytest.approx(a @ b / np.sqrt((a @ a) * (b @ b)), abs=1e-6)
    untouched = np.asarray(Image.open(here / "t/turns/0001/change.png")) == 0
    assert drift.untouched_psnr == psnr(before.astype(np.uint8), after.astype(np.uint8), untouched)
    brief = f"untouched {untouched.mean():.0%}, {drift.untouched_psnr:.1f} dB, cosine {drift.cosine:.3f}"
    assert told.err == f"drift: {brief}\n" and f"1 Make it blue  ({brief})" in cli("session", "show", "t").out
    assert drift.embedder is not None and drift.embedder.startswith("own.py:see ")
    body = json.loads((here / "e.json").read_text())
    assert body["turn"]["drift"]["cosine"] == drift.cosine and body["picture"] == "t/turns/0001/picture.png"
    assert body["prompt"] == "Make it blue" and body["seconds"]["total"] > 0
    cli("session", "edit", "t", "Make it red", *own)
    assert "cosine" in cli("session", "merge", "t", "2", *own, "--json", "m.json").err
    assert json.loads((here / "m.json").read_text())["turn"]["drift"]["cosine"] is not None
    assert cli("session", "replay", "t", "u", *own).code == 0
    again = read_manifest(here / "u").turns[1].drift
    assert again is not None and again.cosine == read_manifest(here / "t").turns[3].drift.cosine  # pyright: ignore[reportOptionalMemberAccess]


BROKEN = {
    "raises": ("raise ValueError('no face')", "failed (ValueError: no face); correct it"),
    "none": ("return None", "saw nothing on the picture"),
    "words": ("return {'a': 1}", "gave no vector but a dict"),
    "zero": ("return np.zeros(3)", "empty, zero or not finite"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_embedder_is_found_on_the_first_picture(
    case: str, cli: Cli, here: Path, painted: Painter, monkeypatch: pytest.MonkeyPatch
) -> None:
    body, words = BROKEN[case]
    own = ("--embedder", _plugin(here, body))
    manifest = (here / "s/session.json").read_bytes()
    monkeypatch.setattr("inkontext.cli.options.load", lambda *model: pytest.fail("the model was loaded"))
    for verb in (("new", "t", "first.png"), ("edit", "s", "x"), ("merge", "s", "2"), ("replay", "s", "t")):
        done = cli("session", *verb, *own)
        assert done.code == 2 and words in done.complaint and "on the first picture" in done.complaint
    done = cli("chat", "first.png", *own)
    assert done.code == 2 and words in done.complaint
    assert (here / "s/session.json").read_bytes() == manifest
    assert sorted(p.name for p in here.iterdir() if p.suffix != ".py" and p.name != "__pycache__") == ["first.png", "s"]
    for verb in (("session", "edit", "s", "x"), ("ui", "--no-browser")):
        assert "has no function 'absent'" in cli(*verb, "--embedder", "own.py:absent").complaint


def test_an_embedder_that_fails_later_loses_no_turn(cli: Cli, here: Path, painted: Painter) -> None:
    first = start().tobytes()
    own = _plugin(here, f"return [1.0] if picture.tobytes() == {first!r} else [1.0, 2.0]")
    done = cli("session", "edit", "s", "x", "--embedder", own)
    assert done.code == 0 and done.out.startswith("turn 1 on main")
    assert "cosine unknown; turn 1 is kept, but the embedder's vectors are 1 and 2 long; make all" in done.err
    assert len(done.err.splitlines()) == 1
    assert "cosine unknown" in cli("session", "show", "s").out
    drift = read_manifest(here / "s").turns[1].drift
    assert drift is not None and drift.cosine is None and "1 and 2 long" in (drift.cosine_missing or "")


def test_chat_tells_the_cosine(cli: Cli, here: Path, painted: Painter, monkeypatch: pytest.MonkeyPatch) -> None:
    own = _plugin(here, "return np.asarray(picture, float).ravel()")
    monkeypatch.setattr("sys.stdin", io.StringIO("paint it\n/tree\n"))
    done = cli("chat", "first.png", "--session", "s", "--embedder", own)
    cosine = read_manifest(here / "s").turns[1].drift.cosine  # pyright: ignore[reportOptionalMemberAccess]
    lines = done.out.splitlines()
    assert lines[1:3] == ["turn 1 on main: s/turns/0001/picture.png", lines[2]] and cosine is not None
    assert lines[2].startswith("drift: untouched") and lines[2].endswith(f"cosine {cosine:.3f}")
    assert f"cosine {cosine:.3f})" in lines[4]


def test_cues_names_solver_and_size(cli: Cli, here: Path, photo: Image.Image, debug_folder: Path) -> None:
    photo.save(here / "a.png")
    photo.transpose(Image.Transpose.ROTATE_180).save(here / "h.png")
    model = ("--model", str(debug_folder), "--steps", "1")
    cli("session", "new", "s", "a.png", *model[:2])
    told = cli("session", "edit", "s", "Put @hat on it", "--ref", "hat=h.png", "--cue",
               "ellipse:24,16,48,32px,red", "--solver", "heun", *model)  # fmt: skip
    assert told.code == 0 and "cue: the red ellipse" in told.err and "drift: untouched" in told.err
    turn = read_manifest(here / "s").turns[1]
    assert turn.how is not None and turn.references == 1
    assert (turn.how.said, turn.how.position, turn.how.solver) == ("Put @hat on it", 1, "heun")
    assert turn.how.prompt == "Put the hat of the first picture on it in the second picture"
    assert turn.how.drawn == (Cue("ellipse", ((0.25, 0.25), (0.75, 0.75)), "red"),)
    record = read_metadata(here / "s/turns/0001/picture.png")
    assert record is not None and record["solver"] == "heun" and record["position"] == 1
    assert Image.open(here / "s/turns/0001/reference-1.png").tobytes() == Image.open(here / "h.png").tobytes()
    told = cli("session", "edit", "s", "Wider", "--size", "96x48", *model)
    assert told.code == 0 and told.err.splitlines()[-1] == "drift not measured: another size"
    assert Image.open(here / "s/turns/0002/picture.png").size == (96, 48)
    turn = read_manifest(here / "s").turns[2]
    assert (turn.drift, turn.drift_missing) == (None, "another size")
    assert "2 Wider  (drift not measured: another size)" in cli("session", "show", "s").out


def test_other_seeds_are_turns_and_the_nearest_is_current(
    cli: Cli, here: Path, painted: Painter, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = iter(["x", "OPEM", "y", "open", "KeyboardInterrupt"])

    def read(self: Reader, picture: Image.Image) -> list[str]:
        if (line := next(lines)) == "KeyboardInterrupt":
            raise KeyboardInterrupt
        return [line]

    monkeypatch.setattr(Reader, "read", read)
    monkeypatch.setattr(Reader, "available", staticmethod(lambda: None))
    words = ("session", "edit", "s", "Write 'OPEN'", "--check-text")
    done = cli(*words, "--retries", "2", "--json", "e.json")
    assert done.out == "turn 2 on main: s/turns/0002/picture.png\n" and "none of which showed every word" in done.err
    body = json.loads((here / "e.json").read_text())["text_check"]
    assert (body["kept"], body["right"]) == (2, False)
    assert [(t["turn"], t["seed"], t["read"]) for t in body["tries"]] == [
        (1, 1, ["x"]), (2, 2, ["OPEM"]), (3, 3, ["y"]),
    ]  # fmt: skip
    assert [t.parent for t in read_manifest(here / "s").turns] == [None, 0, 0, 0]
    assert 'text: seed 4: read as asked: "OPEN"' in cli(*words, "--retries", "2").err
    done = cli(*words)
    assert (done.code, done.complaint) == (130, "interrupted; every finished turn is kept")
    assert read_manifest(here / "s").current == 4


def test_an_engine_that_fails_loses_no_turn(
    cli: Cli, here: Path, painted: Painter, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Engine:
        def __call__(self, *given: object, **more: object) -> None:
            raise RuntimeError("no session")

    monkeypatch.setitem(sys.modules, "rapidocr_onnxruntime", SimpleNamespace(RapidOCR=Engine))
    monkeypatch.setattr("inkontext.reading.find_spec", lambda name: object())
    why = "the words could not be looked for: text recognition failed (RuntimeError: no session); turn 1 is kept"
    done = cli("session", "edit", "s", "Write 'OPEN'", "--check-text", "--retries", "3", "--json", "e.json")
    assert (done.code, done.out) == (0, "turn 1 on main: s/turns/0001/picture.png\n")
    assert done.err.splitlines()[-1] == f"text: seed 1: {why}"
    assert json.loads((here / "e.json").read_text())["text_check"]["tries"][0]["unread"].startswith("text recognition")
    assert len(read_manifest(here / "s").turns) == 2
    monkeypatch.setattr("sys.stdin", io.StringIO("write 'SHUT'\nplain\n"))
    done = cli("chat", "first.png", "--session", "s", "--check-text")
    assert done.code == 0 and done.err == "" and f"text: {why.replace('turn 1', 'turn 2')}" in done.out
    assert [turn.text and turn.text.words for turn in read_manifest(here / "s").turns[1:]] == [
        ("OPEN",), ("SHUT",), None,
    ]  # fmt: skip


def test_the_best_of_candidates_is_a_turn(cli: Cli, here: Path, painted: Painter) -> None:
    (here / "mine.py").write_text("def last(shown):\n    return [i for i, _ in enumerate(shown.pictures)]\n")
    choice = ("--candidates", "2", "--scorer", "mine.py:last")
    done = cli("session", "edit", "s", "Make it blue", "--seed", "4", *choice, "--json", "e.json")
    assert done.code == 0 and done.err.startswith("candidates: seed 5, the best of 2 by mine.py:last\ndrift: ")
    turn = json.loads((here / "e.json").read_text())["turn"]
    assert (turn["how"]["seed"], turn["how"]["solver"]) == (5, None)
    assert (turn["best_of"]["seeds"], turn["best_of"]["function"]) == ([4, 5], "mine.py:last")
    done = cli("session", "edit", "s", "Make it red", "--quality", "max")
    turn = read_manifest(here / "s").turns[2]
    assert done.code == 0 and turn.how is not None and turn.how.solver == "heun" and turn.best_of is not None
    assert turn.best_of.seeds == [2, 3, 4, 5] and turn.best_of.quality == "max" and turn.how.seed == turn.best_of.chosen
    (here / "mine.py").unlink()  # making the turns again needs no scorer
    assert cli("session", "replay", "s", "t").code == 0
    for number in ("0001", "0002"):
        pictures = [Image.open(here / name / "turns" / number / "picture.png").tobytes() for name in "st"]
        assert pictures[0] == pictures[1]


def test_words_are_really_read(cli: Cli, here: Path, debug_folder: Path) -> None:
    pytest.importorskip("rapidocr_onnxruntime")
    sign = Image.new("RGB", (256, 192), "white")
    ImageDraw.Draw(sign).text((30, 30), "OPEN", "black", ImageFont.load_default(60))
    sign.save(here / "a.png")
    corner = Image.new("L", sign.size)
    corner.paste(255, (200, 150, 250, 190))
    corner.save(here / "m.png")
    model = ("--model", str(debug_folder))
    cli("session", "new", "s", "a.png", *model)
    edit = ("session", "edit", "s", "--steps", "1", "--mask", "m.png", "--check-text", *model)
    right = cli(*edit, "It should say 'OPEN'", "--retries", "3")
    assert right.code == 0 and 'text: seed 1: read as asked: "OPEN"' in right.err
    assert 'did not read "SHUT"; read "OPEN"' in cli(*edit, "It should say 'SHUT'").err
    found = [turn.text for turn in read_manifest(here / "s").turns[1:]]
    assert [text and text.right for text in found] == [True, False]


MISTAKES = {
    "cue outside": (("x", "--cue", "box:0.5,0.5,0.6,0.6"), "outside the picture"),
    "cue file": (("x", "--cue", "no.json"), "cannot read the cues"),
    "unknown name": (("put @hat on it",), "add --ref hat=FILE"),
    "unused name": (("put it on", "--ref", "hat=first.png"), "say @hat there"),
    "no reference": (("x", "--ref", "no.png"), "does not exist"),
    "no mask": (("x", "--mask", "no.png"), "does not exist"),
    "no words": (("make it red", "--check-text"), "quotation marks"),
    "strength alone": (("x", "--strength", "0.5"), "acts through a mask"),
    "quality": (("x", "--quality", "best"), "unknown quality 'best'"),
    "too few candidates": (("x", "--candidates", "2"), "needs at least 3 candidates"),
    "scorer alone": (("x", "--scorer", "agreement"), "give their number (--candidates)"),
    "scorer": (("x", "--candidates", "3", "--scorer", "beauty"), "unknown scorer 'beauty'"),
    "retries alone": (("write 'A'", "--retries", "2"), "give --check-text as well"),
    "no prompt": (("",), "prompt is empty"),
    "json": (("x", "--json", "s"), "name a file"),
    "embedder": (("x", "--embedder", "own"), "names no function"),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_mistakes_are_found_before_the_model_is_loaded(
    case: str, cli: Cli, here: Path, painted: Painter, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments, words = MISTAKES[case]
    before = (here / "s/session.json").read_bytes()
    monkeypatch.setattr("inkontext.cli.options.load", lambda *model: pytest.fail("the model was loaded"))
    done = cli("session", "edit", "s", *arguments)
    assert done.code == 2 and words in done.complaint
    assert (here / "s/session.json").read_bytes() == before and len([*(here / "s/turns").iterdir()]) == 1


def test_eval_drift(cli: Cli, here: Path, debug_folder: Path) -> None:
    outcome = cli("eval", "drift", "--model", str(debug_folder), "--turns", "2", "--limit", "1", "--size", "64",
                  "--steps", "1", "--json", "d.json")  # fmt: skip
    assert outcome.code == 0 and "untouched_psnr" in outcome.out
    body = json.loads((here / "d.json").read_text())
    for name in ("untouched_psnr", "identity"):
        assert {arm: len(values) for arm, values in body[name].items()} == {"ours": 2, "naive": 2}
    assert "--turns is 0" in cli("eval", "drift", "--turns", "0").complaint
    assert "--arms is 'x'" in cli("eval", "drift", "--arms", "x").complaint
