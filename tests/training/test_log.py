"""What a run tells tensorboard, wandb, and whoever reads its output."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image

from inkontext.errors import ConfigError
from inkontext.training.log import Log


def test_lines_take_the_place_of_the_bar_where_nobody_looks(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with Log(tmp_path, 10, 4, None, {}) as log:
        for step in (5, 6):
            log.advance(step)
            log.numbers(step, {"loss": 1 / step, "lr": 1e-3})
        log.picture(6, "grid", Image.new("RGB", (4, 4)))
    told = capfd.readouterr().err.splitlines()
    assert [line.partition(" to go")[0].rpartition(",")[0] for line in told] == [
        "step 5/10, loss 0.2000", "step 6/10, loss 0.1667",
    ]  # fmt: skip
    assert Image.open(tmp_path / "samples/grid-000006.png").size == (4, 4)
    assert [json.loads(line)["step"] for line in (tmp_path / "metrics.jsonl").read_text().splitlines()] == [5, 6]


def test_tensorboard_shows_each_step_once(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    for start, steps in ((0, (1, 2, 3)), (1, (2, 3, 4))):  # the second goes on from a checkpoint at step 1
        with Log(tmp_path, 4, start, None, {}) as log:
            for step in steps:
                log.numbers(step, {"loss": step + start / 10})
    board = EventAccumulator(str(tmp_path / "tensorboard"))
    board.Reload()
    assert [(e.step, round(e.value, 4)) for e in board.Scalars("loss")] == [(1, 1.0), (2, 2.1), (3, 3.1), (4, 4.1)]


class Wandb(SimpleNamespace):
    """Remembers what it was asked."""

    def __init__(self) -> None:
        super().__init__(started=[], logged=[], log=lambda values, step: self.logged.append((step, values)))
        self.finish = lambda: None

    def init(self, **options: Any) -> Wandb:
        self.started.append(options)
        return self


def test_wandb_goes_on_with_the_run_of_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wandb = Wandb()
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    for folder in (tmp_path / "a/kontext", tmp_path / "b/kontext", tmp_path / "a/kontext"):
        folder.mkdir(parents=True, exist_ok=True)
        with Log(folder, 10, 0, "project", {"steps": 10}) as log:
            log.numbers(1, {"loss": 2.0})
    first, other, again = (options["id"] for options in wandb.started)
    assert first == again != other
    assert {(o["project"], o["resume"], o["config"]["steps"]) for o in wandb.started} == {("project", "allow", 10)}
    assert wandb.logged == [(1, {"loss": 2.0})] * 3


def test_wandb_that_is_absent_is_named_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(ConfigError, match="pip install wandb"):
        Log(tmp_path, 10, 0, "project", {})
    assert not list(tmp_path.iterdir())
