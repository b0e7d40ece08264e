"""`inkontext session replay`: what it tells, and what Ctrl-C leaves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from inkontext.session import Session, read_manifest
from tests.cli.conftest import Cli
from tests.session.painter import Painter


def test_replay_tells_every_turn_and_writes_json(cli: Cli, here: Path, painted: Painter) -> None:
    for words in ("one", "two"):
        cli("session", "edit", "s", words)
    done = cli("session", "replay", "s", "t", "--json", "r.json")
    assert done.out.splitlines() == [f"turn {n} on main: t/turns/000{n}/picture.png" for n in range(3)]
    drifts = [turn.drift for turn in read_manifest(here / "t").turns[1:]]
    assert done.err.splitlines() == [
        f"drift: untouched {d.untouched_share:.0%}, {d.untouched_psnr:.1f} dB" for d in drifts if d is not None
    ]  # fmt: skip
    body = json.loads((here / "r.json").read_text())
    assert body["session"] == "t" and body["seconds"]["total"] >= sum(t["seconds"]["total"] for t in body["turns"])
    assert [t["picture"] for t in body["turns"]] == [f"t/turns/000{n}/picture.png" for n in range(3)]
    assert [t["turn"]["drift"] for t in body["turns"][1:]] == [d.model_dump() for d in drifts if d is not None]
    assert "name a file" in cli("session", "replay", "s", "u", "--json", "s").complaint and not (here / "u").exists()


@pytest.mark.parametrize(
    ("calls", "told"),
    [
        (0, "no turn of 3 is finished, and the new session 't' has its first picture"),
        (1, "turn 1 of 3 is finished and kept in 't'"), (2, "turns 1 to 2 of 3 are finished and kept in 't'"),
    ],
)  # fmt: skip
def test_ctrl_c_says_which_turns_of_a_replay_are_kept(
    calls: int, told: str, cli: Cli, here: Path, painted: Painter, monkeypatch: pytest.MonkeyPatch
) -> None:
    for words in ("one", "two", "three"):
        cli("session", "edit", "s", words)
    edit, made = painted.edit, iter(range(calls))

    def interrupted(*given: Any, **more: Any) -> Any:
        if next(made, None) is None:
            raise KeyboardInterrupt
        return edit(*given, **more)

    monkeypatch.setattr(painted, "edit", interrupted)
    done = cli("session", "replay", "s", "t", "--json", "r.json")
    assert done.code == 130 and done.err.splitlines()[-1] == f"inkontext: interrupted; {told}"
    assert len(read_manifest(here / "t").turns) == calls + 1 and not (here / "r.json").exists()
    with Session.open(here / "t", painted) as kept:  # pyright: ignore[reportArgumentType]
        assert kept.current.id == calls


def test_ctrl_c_before_the_first_picture_of_a_replay(
    cli: Cli, here: Path, painted: Painter, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*given: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(painted, "encode", interrupted)
    done = cli("session", "replay", "s", "t")
    assert (done.code, done.complaint) == (130, "interrupted; nothing was made")


def test_where_a_replay_cannot_be_is_found_before_the_model_is_loaded(
    cli: Cli, here: Path, painted: Painter, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "full").mkdir()
    (here / "full/letter.txt").write_text("mine")
    monkeypatch.setattr("inkontext.cli.options.load", lambda *model: pytest.fail("the model was loaded"))
    for into, told in (("s", "there is a session in 's' already"), ("full", "the folder 'full' is not empty")):
        for verb in (("session", "replay", "s", into), ("session", "new", into, "first.png")):
            done = cli(*verb)
            assert done.code == 2 and told in done.complaint
