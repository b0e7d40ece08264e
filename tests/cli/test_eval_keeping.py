"""Whatever fails after the measuring of an evaluation takes nothing along: one sentence, and where all of it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from inkontext.errors import StorageError
from inkontext.evaluation.keeping import kept
from inkontext.evaluation.preference.study import read_study
from tests.cli.conftest import Cli
from tests.evaluation.kontextbench.fixture import small_bench

OWN = """
def colour(picture):
    return [*picture.resize((1, 1)).getpixel((0, 0))]
def bright(picture, prompt):
    return 0.5
"""
RUNS: dict[str, tuple[Any, ...]] = {
    "world": ("--baseline", "copy", "--limit", 5, "--size", 32),
    "kontextbench": ("--data", "bench", "--outputs", "outputs", "--metrics", "whole_psnr"),
    "t2i": ("--prompts", "own.csv", "--outputs", "outputs", "--judge", "realism=own.py:bright"),
    "identity": ("0.png", "1.png", "--embedder", "own.py:colour"),
    "drift": ("-m", "MODEL", "--turns", 1, "--limit", 1, "--size", 64, "--steps", 1),
    "alignment": ("0.png", "1.png"),
    "autoencoder": ("-m", "MODEL", "--data", "outputs", "--size", 32),
    "latency": ("-m", "MODEL", "--no-diffusers", "--sizes", 48, "--references", 0, "--steps", 1, "--repeats", 1),
    "preference": ("rate", "study", "--resamples", 100),
}
SUMS = {  # what sums up, by evaluation; an alignment has nothing to sum up
    "world": "world.run.body_of", "kontextbench": "kontextbench.run.body_of", "t2i": "t2i.run.body_of",
    "identity": "identity.run._summary", "drift": "drift.run.body_of", "autoencoder": "autoencoder.run.body_of",
    "latency": "latency.run._summary", "preference": "preference.rate.judge_raters",
}  # fmt: skip
REPORTS = {name: f"{name}.report.report_of" for name in RUNS} | {
    "latency": "latency.report.latency_report", "preference": "preference.report.preference_report",
}  # fmt: skip
LEDGERS = ("world", "kontextbench", "t2i", "drift", "autoencoder")


def fails(*_: Any, **__: Any) -> Any:
    return 1 / 0


@pytest.fixture
def ready(cli: Cli, here: Path, request: pytest.FixtureRequest, debug_folder: Path) -> tuple[Any, ...]:
    """The command of an evaluation of a few pictures, and what it works on."""
    name = request.node.callspec.params["name"]
    (here / "own.py").write_text(OWN)
    (here / "own.csv").write_text("Prompt,Category\na red cat,Animals\na dog,Animals\n")
    (here / "outputs").mkdir()
    for n in range(2):
        pixels = np.random.default_rng(n).integers(0, 256, (48, 64, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(here / f"{n}.png")
        Image.fromarray(pixels).save(here / f"outputs/{n:04d}.png")
    if name == "kontextbench":
        small_bench(here / "bench")
    if name == "preference":
        cli("eval", "preference", "plan", "study", "--systems", "a=outputs", "b=outputs", "--checks", 0)
        study = read_study(here / "study")
        lines = [f"{study.id},ann,{t.id},{d},left" for t in study.trials for d in t.dimensions]
        (here / "v.csv").write_text("\n".join(["study,rater,trial,dimension,choice", *lines]))
        assert cli("eval", "preference", "import", "study", "v.csv").code == 0
    return ("eval", name, *(debug_folder if word == "MODEL" else word for word in RUNS[name]))


@pytest.mark.parametrize("name", REPORTS)
def test_a_report_that_cannot_be_made(
    name: str, ready: tuple[Any, ...], cli: Cli, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cli(*ready, "--json", "whole.json").code == 0
    monkeypatch.setattr(f"inkontext.evaluation.{REPORTS[name]}", fails)
    outcome = cli(*ready, "--json", "a.json")
    assert outcome.code == 3
    assert f"eval {name} could not be finished (ZeroDivisionError: division by zero)" in outcome.complaint
    assert "kept in 'a.json'" in outcome.complaint and "fails" in (here / "a.json.failure.txt").read_text()
    assert json.loads((here / "a.json").read_text()).keys() == json.loads((here / "whole.json").read_text()).keys()
    assert f"kept in '{name}-measured.json'" in cli(*ready).complaint
    body = json.loads((here / f"{name}-measured.json").read_text())
    assert body["measured"].keys() == json.loads((here / "whole.json").read_text()).keys()


@pytest.mark.parametrize("name", SUMS)
def test_figures_that_cannot_be_summed_up(
    name: str, ready: tuple[Any, ...], cli: Cli, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(f"inkontext.evaluation.{SUMS[name]}", fails)
        outcome = cli(*ready)
        assert outcome.code == 3 and f"eval {name} could not be finished" in outcome.complaint
        if name == "preference":
            assert "kept in 'study'" in outcome.complaint and (here / "study/failure.txt").is_file()
            return
        measured = json.loads((here / f"{name}-measured.json").read_text())["measured"]
        assert measured
        if name not in LEDGERS:
            return
        assert "kept in 'run'" in cli(*ready, "--out", "run").complaint
        rows = [json.loads(line) for line in (here / "run/results.jsonl").read_text().split("\n") if line]
        assert [row["key"] for row in rows] == [row["key"] for row in measured]
    assert cli(*ready, "--out", "run", "--json", "a.json").code == 0  # goes on, and nothing is made again
    assert [row["key"] for row in json.loads((here / "a.json").read_text())["rows"]] == [row["key"] for row in rows]


def test_a_disk_that_refuses_and_nothing_measured(here: Path) -> None:
    with (
        pytest.raises(StorageError, match=r"full; what was measured is kept in 'x-measured\.json'"),
        kept("x", lambda: 7),
    ):
        raise StorageError("full")
    assert json.loads((here / "x-measured.json").read_text()) == {"failure": "", "measured": 7}
    with pytest.raises(ZeroDivisionError), kept("y", list):
        fails()
    with pytest.raises(StorageError, match=r"^full$"), kept("z", lambda: 7, here):
        raise StorageError("full")
    assert [p.name for p in here.iterdir()] == ["x-measured.json"]
