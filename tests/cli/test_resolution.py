"""`--resolution` and `--context-resolution` on every verb that makes pictures: recorded, and refused early."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from inkontext.pipeline import Pipeline
from inkontext.safety.provenance import read_metadata
from inkontext.session import read_manifest
from tests.cli.conftest import Cli, names

BOTH = ("--resolution", "96", "--context-resolution", "48")
BENCH = ("eval", "world", "--limit", "1", "--tasks", "global")


def canvas(path: Path) -> int:
    """Pixels that the model worked at."""
    record = read_metadata(path)
    assert record is not None
    width, height = record["frame"]["canvas"]
    return width * height


def test_an_edit_and_making_it_again_from_its_record(
    cli: Cli, here: Path, picture: Path, debug_folder: Path, pipeline: Pipeline, photo: Image.Image
) -> None:
    done = cli(
        "edit", picture, "make it red", "-m", debug_folder, "--steps", 1, *BOTH, "-o", "a.png", "--json", "a.json"
    )
    assert done.code == 0, done.err
    made = Image.open(here / "a.png")
    assert made.size == photo.size and abs(canvas(here / "a.png") / 96**2 - 1) < 0.2
    said = cli("inspect", "a.png", "--json", "b.json")
    assert "resolution  96" in said.out and "context_resolution  48" in said.out
    record = json.loads((here / "b.json").read_text())
    again = pipeline.edit(
        photo, record["prompt"], seed=record["seed"], steps=record["steps"], resolution=record["resolution"],
        context_resolution=record["context_resolution"],
    )  # fmt: skip
    assert again.images[0].tobytes() == made.tobytes()


def test_a_picture_from_text(cli: Cli, here: Path, debug_folder: Path) -> None:
    asked = ("generate", "a cat", "-m", debug_folder, "--steps", 1)
    for more in (("--resolution", 48), ("--resolution", 96, "--size", "2:1"), ("--resolution", 96, "--size", "30x20")):
        assert cli(*asked, *more).code == 0
    sizes = [Image.open(here / f"generated{n}.png").size for n in ("", "-2", "-3")]
    assert sizes == [(48, 48), (128, 64), (30, 20)]
    assert canvas(here / "generated-3.png") == 112 * 64


def test_sessions_and_replays(cli: Cli, here: Path, picture: Path, debug_folder: Path) -> None:
    model = ("-m", debug_folder)
    assert cli("session", "new", "s", picture, *model, "--resolution", 48).code == 0
    for number, more in enumerate(((), BOTH), 1):
        assert cli("session", "edit", "s", "make it red", "--steps", 1, *more, *model).code == 0
        assert abs(canvas(here / f"s/turns/000{number}/picture.png") / (48, 96)[number - 1] ** 2 - 1) < 0.2
    assert cli("session", "merge", "s", 2, *model).code == 0
    last = read_manifest(here / "s").turns[-1].how
    assert last is not None and (last.resolution, last.context_resolution) == (96, 48)
    assert cli("session", "replay", "s", "same", *model).code == 0
    for turn in read_manifest(here / "same").turns:
        known = 0 if turn.id == 0 else 3
        theirs, ours = (here / f"{s}/turns/000{n}/picture.png" for s, n in (("s", known), ("same", turn.id)))
        assert Image.open(theirs).tobytes() == Image.open(ours).tobytes()
    assert cli("session", "replay", "s", "large", *model, "--resolution", 128).code == 0
    assert abs(canvas(here / "large/turns/0001/picture.png") / 128**2 - 1) < 0.2


def test_a_conversation(cli: Cli, here: Path, picture: Path, debug_folder: Path, monkeypatch: Any) -> None:
    for side in (48, 96):  # a new session, then the same gone on with
        monkeypatch.setattr("sys.stdin", io.StringIO("make it red\n"))
        talk = ("chat", picture, "--session", "s", "-m", debug_folder, "--steps", 1, "--resolution", side)
        assert cli(*talk).code == 0
    manifest = read_manifest(here / "s")
    hows = [turn.how for turn in manifest.turns[1:]]
    assert manifest.resolution == 48 and [how and how.resolution for how in hows] == [48, 96]


@pytest.mark.parametrize(
    "asked",
    [
        ("edit", "photo.png", "x"), ("generate", "x"), ("chat", "photo.png"), ("session", "new", "s", "photo.png"),
        ("session", "edit", "s", "x"), ("session", "replay", "s", "t"), ("ui", "--no-browser"), BENCH,
        ("eval", "t2i", "--prompts", "p.txt"), ("eval", "kontextbench", "--data", "d"), ("eval", "drift"), ("doctor",),
    ],
    ids=" ".join,
)  # fmt: skip
def test_one_that_cannot_be_is_refused_before_a_model_is_loaded(
    asked: tuple[str, ...], cli: Cli, picture: Path
) -> None:
    options = ["--resolution"] if asked[0] in ("generate", "doctor") or "t2i" in asked else [*BOTH[::2]]
    for option in options:
        for value in ("8", "0", "-512", "5000"):
            done = cli(*asked, option, value, *(() if asked[0] == "doctor" else ("-m", "/no/such/model")))
            name = option.removeprefix("--").replace("-", "_")
            assert done.code == 2
            assert done.complaint == f"{name} must be a whole number from 16 to 4096, not {value}"
        assert cli(*asked, option, "wide").code == 2


def test_benches_are_of_their_resolution(cli: Cli, here: Path, debug_folder: Path) -> None:
    asked = (*BENCH, "-m", debug_folder, "--steps", 1, "--out", "run")
    assert cli(*asked, *BOTH, "--json", "a.json").code == 0
    system = json.loads((here / "a.json").read_text())["system"]
    assert (system["resolution"], system["context_resolution"]) == (96, 48)
    refused = cli(*asked)
    assert refused.code == 2 and "resolution 96 there" in refused.complaint
    given = cli(*BENCH, "--baseline", "copy", "--resolution", 96)
    assert given.code == 2 and "belong to a model" in given.complaint


def test_what_is_loaded_is_what_memory_is_checked_for(
    cli: Cli, here: Path, picture: Path, debug_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INKONTEXT_MEMORY", "0.5")
    done = cli("edit", picture, "x", "-m", debug_folder, "--steps", 1, "--resolution", 2048)
    assert done.code == 3 and "GiB are free; work at --resolution 512, which needs" in done.complaint
    assert names(here) == ["photo.png"]


def test_doctor_says_what_a_resolution_needs(cli: Cli, here: Path) -> None:
    needs = {}
    for side in (None, 512, 2048):
        more = () if side is None else ("--resolution", side)
        done = cli("doctor", "--device", "cpu", "--json", "d.json", *more)
        assert ("the model's size" if side is None else f"{side} x {side}") in done.out
        rows = json.loads((here / "d.json").read_text())["models"]
        needs[side] = {row["name"]: row["needs_gib"] for row in rows if row["dtype"] == "bfloat16"}
    assert needs[512]["kontext-dev"] < needs[None]["kontext-dev"] < needs[2048]["kontext-dev"]
    assert needs[512]["tiny"] > needs[None]["tiny"]
