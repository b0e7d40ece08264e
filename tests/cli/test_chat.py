"""`inkontext chat`: the conversation without a terminal, and piped as a script runs it."""

from __future__ import annotations

import io
import signal
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from inkontext.cli.chat import _Meter
from inkontext.errors import OptionError
from inkontext.pipeline import Pipeline
from inkontext.result import Progress
from inkontext.safety.provenance import read_metadata
from inkontext.session import Session, read_manifest
from inkontext.session.chat import HELP, Chat, Message
from inkontext.session.tree import tree_text
from tests.cli.conftest import Cli, names
from tests.session.painter import Painter, start


@pytest.fixture
def talk(tmp_path: Path):
    with Session.new(tmp_path / "s", start(), Painter()) as session:  # pyright: ignore[reportArgumentType]
        yield Chat(session)


def _said(talk: Chat, line: str, *, error: bool = False) -> Message:
    message = talk.say(line)
    assert message is not None and message.error is error, message
    return message


def _calls(talk: Chat) -> list[dict[str, Any]]:
    made = talk.session.pipeline
    assert isinstance(made, Painter)
    return made.calls


# ------------------------------------------------------------------ every command


def test_an_instruction_is_a_turn_on_disk(talk: Chat) -> None:
    message = _said(talk, "  make it night \n")
    assert message.text.startswith("turn 1 on main: ")
    assert message.picture == talk.session.folder / "turns/0001/picture.png"
    turn = read_manifest(talk.session.folder).turns[1]
    assert turn.how is not None and (turn.how.prompt, turn.how.seed, turn.how.keep) == ("make it night", 1, True)
    assert talk.say("  \n") is None


def test_undo_redo_goto_and_branch(talk: Chat) -> None:
    _said(talk, "one")
    _said(talk, "two")
    assert "turn 1 on main" in _said(talk, "/undo").text
    assert "turn 2 on main" in _said(talk, "/redo").text
    assert "turn 1 on main" in _said(talk, "/goto 1").text
    assert "turn 1 on dusk" in _said(talk, "/branch dusk").text
    assert "turn 3 on dusk" in _said(talk, "three").text
    assert "turn 0 on dawn" in _said(talk, "/branch dawn 0").text
    assert "turn 2 on main" in _said(talk, "/goto main").text
    manifest = read_manifest(talk.session.folder)
    assert manifest.branches == {"main": 2, "dusk": 3, "dawn": 0} and manifest.turns[3].parent == 1


def test_the_tree(talk: Chat) -> None:
    for line in ("one", "two", "/goto 1", "/branch b", "three", "four", "/goto 0"):
        _said(talk, line)
    lines = _said(talk, "/tree").text.splitlines()
    assert [line.partition("  (")[0] for line in lines] == [
        "0 first picture *", "1 one", "+-- 2 two", "+-- 3 three", "    4 four",
    ]  # fmt: skip
    assert lines[0].endswith("*") and lines[2].endswith("[main]") and lines[4].endswith("[b]")


def test_a_long_tree_is_no_deep_one(talk: Chat) -> None:
    for number in range(30):
        _said(talk, f"turn {number}")
    assert all(line[0].isdigit() for line in tree_text(talk.session.manifest).splitlines())


def test_seed(talk: Chat) -> None:
    assert _said(talk, "/seed").text == "seed: the turn's number"
    assert _said(talk, "/seed 7").text == "seed: 7"
    _said(talk, "one")
    _said(talk, "two")
    assert [call["seed"] for call in _calls(talk)] == [7, 7]
    _said(talk, "/seed random")
    for _ in range(4):
        _said(talk, "again")
    seeds = [call["seed"] for call in _calls(talk)[2:]]
    assert len(set(seeds)) == 4
    hows = [turn.how for turn in read_manifest(talk.session.folder).turns[3:]]
    assert [how.seed for how in hows if how is not None] == seeds


def test_steps(talk: Chat) -> None:
    assert _said(talk, "/steps").text == "steps: the model's own"
    _said(talk, "one")
    assert _said(talk, "/steps 3").text == "steps: 3"
    _said(talk, "two")
    assert [call["steps"] for call in _calls(talk)] == [None, 3]


def test_anchor_and_keep_reach_the_edit(talk: Chat) -> None:
    talk = Chat(talk.session, seed=5, steps=2, anchor=True, keep=False)
    _said(talk, "one")
    how = talk.session.current.how
    assert how is not None and (how.seed, how.steps, how.anchor, how.keep) == (5, 2, True, False)


def test_compare(talk: Chat) -> None:
    _said(talk, "one")
    _said(talk, "two")
    for line, before in (("/compare", 1), ("/compare 0", 0)):
        message = _said(talk, line)
        assert message.picture is not None and str(message.picture) in message.text
        both = np.asarray(Image.open(message.picture))
        assert (both[:, :32] == np.asarray(talk.session.picture(before))).all()
        assert (both[:, -32:] == np.asarray(talk.session.picture(2))).all()
        assert (both[:, 32:-32] == 255).all() and both.shape == (32, 68, 3)


def test_comparing_transparent_pictures(tmp_path: Path) -> None:
    picture = start()
    picture.putalpha(Image.linear_gradient("L").resize(picture.size))
    with Session.new(tmp_path / "t", picture, Painter()) as session:  # pyright: ignore[reportArgumentType]
        talk = Chat(session)
        _said(talk, "one")
        path = _said(talk, "/compare").picture
        assert path is not None
        both = Image.open(path)
        assert both.mode == "RGBA" and both.crop((0, 0, 32, 32)).tobytes() == picture.tobytes()


@pytest.mark.parametrize("written", ["out.png", "'a b.png'", "new folder/x.png"])
def test_save(written: str, talk: Chat, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    _said(talk, "one")
    told = _said(talk, f"/save {written}").text
    path = Path(written.strip("'"))
    assert told == f"saved turn 1: {path}"
    assert Image.open(path).tobytes() == talk.session.picture(1).tobytes()
    record = read_metadata(path)
    assert record is not None and record["turns"][1]["how"]["prompt"] == "one"


def test_help_names_every_command(talk: Chat) -> None:
    told = _said(talk, "/help").text
    assert told == HELP and all(f"/{name}" in told for name in talk._commands)


def test_quit(talk: Chat) -> None:
    assert not talk.ended
    _said(talk, "/quit")
    assert talk.ended


# ------------------------------------------------------------------ what goes wrong


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("/undo", "nothing to undo"), ("/redo", "nothing to redo"), ("/frob", "no command '/frob'"),
        ("/", "no command '/'"), ("/goto", "/goto takes"), ("/goto 9", "no turn 9"), ("/goto x", "no branch 'x'"),
        ("/branch", "/branch takes"), ("/branch 3", "no branch name"), ("/branch main", "already"),
        ("/branch a b c", "/branch takes"), ("/seed -1", "2^63 - 1 or 'random'"), ("/seed 9223372036854775808", "2^63"),
        ("/seed x", "whole number"), ("/steps 0", "from 1 to 1000"), ("/steps many", "from 1 to 1000"),
        ("/compare", "nothing before the first picture"), ("/compare 5", "no turn 5"), ("/save", "takes a file's name"),
        ("/save https://x.org/a.png", "'https://x.org/a.png' is a web address"),
        ("/save x", "end its name in"), ("/save x.gif", "end its name in"),
        ("/save " + 300 * "x" + ".png", "cannot write"),
        ("/save a\0b.png", "cannot write"), ("/tree 3", "takes nothing"), ("/quit now", "takes nothing"),
    ],
)  # fmt: skip
def test_a_bad_line_is_told_in_a_sentence(line: str, told: str, talk: Chat) -> None:
    before = (talk.session.folder / "session.json").read_bytes()
    message = _said(talk, line, error=True)
    assert told in message.text and "\n" not in message.text
    assert (talk.session.folder / "session.json").read_bytes() == before and not talk.ended
    assert "turn 1" in _said(talk, "go on").text


def test_a_folder_is_no_file(talk: Chat, tmp_path: Path) -> None:
    (tmp_path / "d.png").mkdir()
    assert "is a folder" in _said(talk, f"/save {tmp_path / 'd.png'}", error=True).text


@pytest.mark.parametrize(
    ("error", "told"),
    [(MemoryError(), "out of memory"), (RuntimeError("CUDA out of memory. Tried"), "out of memory"),
     (OptionError("no such\nthing"), "no such thing"), (KeyboardInterrupt(), "stopped")],
)  # fmt: skip
def test_an_edit_that_fails_changes_nothing(
    error: BaseException, told: str, talk: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    _said(talk, "one")

    def fail(*args: Any, **more: Any) -> Any:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(talk.session.pipeline, "edit", fail)
        assert told in _said(talk, "two", error=True).text
    assert talk.session.current.id == 1 and len(read_manifest(talk.session.folder).turns) == 2
    assert "turn 2" in _said(talk, "two").text


def test_a_mistake_of_the_program_is_not_hidden(talk: Chat, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: Any, **more: Any) -> Any:
        raise RuntimeError("shapes differ")

    monkeypatch.setattr(talk.session.pipeline, "edit", fail)
    with pytest.raises(RuntimeError, match="shapes differ"):
        talk.say("one")


def test_an_interrupt_after_the_turn_was_kept_keeps_it(talk: Chat, monkeypatch: pytest.MonkeyPatch) -> None:
    store = talk.session._store
    commit = store.commit

    def late(manifest: Any) -> None:
        commit(manifest)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(store, "commit", late)
        _said(talk, "one", error=True)
    assert talk.session.current.id == 1
    assert "turn 2" in _said(talk, "two").text


# ------------------------------------------------------------------ Ctrl-C


def _progress(step: int) -> Progress:
    return Progress(1, 1, step, 3, lambda: start())


def test_ctrl_c_cancels_at_the_next_step_and_a_second_at_once() -> None:
    meter, before = _Meter(), signal.getsignal(signal.SIGINT)
    with meter.listening():
        assert meter(_progress(1)) is True
        signal.raise_signal(signal.SIGINT)
        assert meter(_progress(2)) is False
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before
    with meter.listening():
        assert meter(_progress(1)) is True


def test_ctrl_c_cancels_the_edit_and_nothing_else(
    pipeline: Pipeline, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    meter, steps = _Meter(), []

    def pressing(progress: Progress) -> bool:
        steps.append(progress.step)
        if len(steps) == 4:  # the second step of the second edit
            signal.raise_signal(signal.SIGINT)
        return meter(progress)

    with Session.new(tmp_path / "s", start(), pipeline) as session:
        talk = Chat(session, steps=2, callback=pressing)
        for line, told in (("one", "turn 1"), ("two", "the edit was cancelled"), ("three", "turn 2")):
            with meter.listening():
                message = talk.say(line)
            assert message is not None and told in message.text
            assert len(read_manifest(session.folder).turns) == (3 if line == "three" else 2)
    assert steps == [1, 2, 1, 2, 1, 2]
    assert "Ctrl-C again" in capfd.readouterr().err


# ------------------------------------------------------------------ the command, piped


def _pipe(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data), encoding="utf-8"))


def test_a_piped_file_with_a_mark_and_bytes_that_are_no_text(
    cli: Cli, here: Path, picture: Path, debug_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = "\ufeff/seed\nmake it night\u2028now\n".encode() + "café\n".encode("cp1252") + b"a\0b\0\n"
    # What a pipe's encoding is on Windows; a file is UTF-8 wherever it is read.
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(lines), encoding="cp1252"))
    done = cli("chat", picture, "--steps", "1", "--model", debug_folder)
    assert done.code == 0 and "seed: the turn's number" in done.out
    turns = read_manifest(Path("photo-session")).turns
    assert [turn.how.prompt for turn in turns[1:] if turn.how] == ["make it night\u2028now"]
    assert done.err.count("inkontext: the line is not UTF-8 text and was left out; save the text as UTF-8") == 2


def test_piped(cli: Cli, here: Path, picture: Path, debug_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = b"/undo\nmake it night\n\nand dark\n/undo\n/nonsense\n/undo\n/compare 0\n/save x.png\n/undo"
    _pipe(monkeypatch, lines)
    done = cli("chat", picture, "--steps", "1", "--model", debug_folder)
    assert done.code == 0 and "\x1b" not in done.out and "> " not in done.out
    complaints = [line for line in done.err.splitlines() if line.startswith("inkontext: ")]
    assert len(complaints) == 3 and "nothing to undo" in complaints[0] and "/nonsense" in complaints[1]
    assert done.out.splitlines()[0] == "turn 0 on main: photo-session/turns/0000/picture.png"
    assert "saved turn 0: x.png" in done.out
    assert Image.open("x.png").convert("RGB").tobytes() == Image.open(picture).tobytes()
    assert [t.parent for t in read_manifest(Path("photo-session")).turns] == [None, 0, 1]
    assert names(here) == ["photo-session", "photo.png", "x.png"]

    # Again beside the first, and on with the first.
    _pipe(monkeypatch, b"/quit\nnever\n")
    assert "turn 0 on main: photo-session-2/" in cli("chat", picture, "--model", debug_folder).out
    _pipe(monkeypatch, b"/redo\n/goto 2\nthree\n")
    done = cli("chat", picture, "--session", "photo-session", "--steps", "1", "--model", debug_folder)
    assert "turn 3 on main: photo-session/turns/0003/picture.png" in done.out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("no.png",), "does not exist"), (("photo.png", "--seed", "-1"), "the seed"),
        (("photo.png", "--steps", "0"), "from 1 to 1000"), (("photo.png", "--session", "other"), "another picture"),
    ],
)  # fmt: skip
def test_mistakes_are_found_before_the_model_is_loaded(
    arguments: tuple[str, ...], told: str, cli: Cli, here: Path, picture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Session.new(here / "other", start(), Painter()).close()  # pyright: ignore[reportArgumentType]
    before = names(here)
    _pipe(monkeypatch, b"one\n")
    monkeypatch.setattr("inkontext.cli.options.load", lambda *model: pytest.fail("the model was loaded"))
    done = cli("chat", *arguments)
    assert done.code == 2 and told in done.complaint and names(here) == before
