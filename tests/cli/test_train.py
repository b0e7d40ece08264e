"""A run from the command line: what is written of how it was asked for, and what it says where it cannot go on."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from inkontext.runtime import allocator
from tests.cli.conftest import Cli

CONFIG = Path(__file__).parents[2] / "configs/debug/t2i.toml"
SMALL = ("batch=2", "validate_every=1000", "sample_every=1000")


@pytest.fixture(autouse=True)
def _memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allocator, "keep_freed_memory", lambda: True)  # it is for the whole process


def read(path: str) -> Any:
    return json.loads(Path(path).read_text())


def test_every_command_is_in_the_history_of_the_model(cli: Cli, debug_folder: Path) -> None:
    first = ("train", CONFIG, "run_dir=a b", f'model.start="{debug_folder}"', "steps=3", *SMALL, "minutes=0.000001")
    then = ("train", CONFIG, "run_dir=a b", f'model.start="{debug_folder}"', "steps=3", "batch=4", "optimiser.lr=2e-4")
    for arguments in (first, then):
        assert cli(*arguments).code == 0
    commands = read("a b/commands.json")["commands"]
    assert [line["command"] for line in commands] == [shlex.join(["inkontext", *map(str, a)]) for a in (first, then)]
    assert [line["from_step"] for line in commands] == [0, 1]
    assert all(line["version"].startswith("inkontext ") for line in commands)
    configurations = [line["configuration"] for line in commands]
    assert [c["batch"] for c in configurations] == [2, 4]
    assert configurations[1]["optimiser"] == {"lr": 0.0002, "warmup": 2, "ema": 0.9}  # beside the defaults
    assert "seed" not in configurations[0] and configurations[0]["minutes"] == 0.000001

    (run,) = read("a b/model/history.json")["runs"]
    assert (run["stage"], run["steps"], run["rows"], run["seed"]) == ("t2i", "3", "10", 0)  # 1 x 2 and 2 x 4 rows
    loss = list(map(json.loads, Path("a b/metrics.jsonl").read_text().splitlines()))[-1]["validation/loss"]
    assert run["held out"] == f"loss {loss:.3f}"
    start = f"'model.start=\".../{debug_folder.name}\"'"
    assert run["commands"][1]["command"] == (
        f"inkontext train .../t2i.toml 'run_dir=a b' {start} steps=3 batch=4 optimiser.lr=2e-4"
    )
    assert run["commands"][1]["configuration"]["model"]["start"] == f".../{debug_folder.name}"


def test_a_model_has_the_history_of_those_it_was_made_from(cli: Cli, debug_folder: Path, here: Path) -> None:
    assert cli("train", CONFIG, "run_dir=first", f"model.start={debug_folder}", "steps=1", *SMALL).code == 0
    again = ("train", CONFIG, f"run_dir={here}/second", f"model.start={here}/first", "steps=1", "seed=4", *SMALL)
    assert cli(*again).code == 0
    runs = read("second/model/history.json")["runs"]
    assert runs[:1] == read("first/model/history.json")["runs"]
    assert [run["from"] for run in runs] == [f".../{debug_folder.name}", "first"]
    assert [run["seed"] for run in runs] == [0, 4]
    assert runs[1]["commands"][0]["command"].startswith("inkontext train .../t2i.toml run_dir=second model.start=first")
    text = Path("second/model/history.json").read_text()
    assert str(here) not in text and str(Path.home()) not in text and not re.search(r'["=] ?/', text)


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("optimiser.kind=muon", "cannot go on with optimiser.kind = muon (was adamw)"),
        ("steps=1", "is at step 2, past steps = 1"),
        ("stage=kontext", "holds a run of stage 't2i' with seed 0"),
    ],
)
def test_a_run_that_cannot_go_on_is_one_sentence(cli: Cli, debug_folder: Path, override: str, told: str) -> None:
    begin = ("train", CONFIG, "run_dir=run", f"model.start={debug_folder}", "steps=2", *SMALL)
    assert cli(*begin).code == 0
    done = cli(*begin, override)
    assert done.code == 2 and told in done.complaint


def test_without_git_there_is_no_traceback(cli: Cli, debug_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert cli("train", CONFIG, "run_dir=run", f"model.start={debug_folder}", "steps=1", *SMALL).code == 0
    assert "(no git)" in Path("run/version.txt").read_text()
