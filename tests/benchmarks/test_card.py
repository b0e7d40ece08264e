"""The card of a shipped model claims no command but those that ran."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from benchmarks.card import STAGES, card, command_of, history, kept_numbers, ranges

from inkontext.training.config import load_config, resolved
from inkontext.training.history import begin, runs_of
from inkontext.weights.source import SHIPPED

CONFIG = Path(__file__).parents[2] / "configs/debug/kontext.toml"


def finished(folder: Path, began: float, *commands: tuple[int, str | None, tuple[str, ...]], recorded: bool) -> None:
    """A run's folder as its commands leave it: (first step, command, overrides)."""
    folder.mkdir(parents=True)
    for step, command, overrides in commands:
        config = load_config(CONFIG, [f"run_dir={folder}", *overrides])
        if recorded:
            begin(folder, config, command, step)
        (folder / "config.json").write_text(resolved(config))
    lines = [{"step": 1, "time": began}, {"step": 24, "time": began + 360, "validation/loss": 0.25}]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


@pytest.fixture
def shipped(tmp_path: Path) -> Path:
    """`tiny`'s folder without its weights."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    for name in ("README.md", "history.json", "inkontext.json"):
        shutil.copy(SHIPPED / "tiny" / name, folder)
    return folder


def test_the_card_prints_the_commands_that_ran(tmp_path: Path, shipped: Path) -> None:
    old = len(runs_of(shipped))
    parts = [
        (0, "inkontext train configs/tiny/kontext.toml seed=10", ("seed=10",)),
        (8, "inkontext train configs/tiny/kontext.toml seed=10", ("seed=10",)),
        (16, "inkontext train configs/tiny/kontext.toml seed=10 batch=4", ("seed=10", "batch=4")),
    ]
    finished(tmp_path / "runs/kontext", 2e9, *parts, recorded=True)
    runs = history(shipped, tmp_path / "runs", STAGES["tiny"])
    assert len(runs) == old + 1 and runs == runs_of(shipped)
    text = card(shipped, runs, kept_numbers(shipped / "README.md"))
    assert f"Run {old + 1}, from step 0, 8:\n\n```bash\n{parts[0][1]}\n```" in text
    assert f"Run {old + 1}, from step 16:\n\n```bash\n{parts[2][1]}\n```" in text
    assert "| 24 | 4 | 160 | 10 | 0.1 | adamw | loss 0.250 |" in text  # 16 steps of 8 rows, 8 of 4
    untold = next(n for n, run in enumerate(runs) if "commands" in run)  # the first runs were before there were records
    assert f"Runs 1 to {untold}: the command was not recorded; the configuration was what the table says" in text
    assert history(shipped, tmp_path / "runs", STAGES["tiny"]) == runs  # once, however often it is told


def test_a_run_of_before_has_its_configuration_and_no_command(tmp_path: Path, shipped: Path) -> None:
    finished(tmp_path / "runs/kontext", 2e9, (0, None, ("batch=4", "seed=3")), recorded=False)
    first = json.loads((tmp_path / "runs/kontext/config.json").read_text()) | {"batch": 2}
    (tmp_path / "runs/kontext/config-until-000010.json").write_text(json.dumps(first))
    *_, run = history(shipped, tmp_path / "runs", STAGES["tiny"])
    assert [(part["from_step"], part["command"]) for part in run["commands"]] == [(0, None), (10, None)]
    assert [part["configuration"]["batch"] for part in run["commands"]] == [2, 4]
    assert run["rows"] == f"{10 * 2 + 14 * 4}"
    told = command_of(run["commands"][1])
    assert told.startswith(" the command was not recorded; the configuration was, beside the defaults of inkontext ")
    assert '"seed": 3' in told and "inkontext train" not in told and str(tmp_path) not in told


@pytest.mark.parametrize("name", STAGES)
def test_the_shipped_cards_are_what_their_history_makes(name: str) -> None:
    folder = SHIPPED / name
    text = (folder / "README.md").read_text(encoding="utf-8")
    assert card(folder, runs_of(folder), kept_numbers(folder / "README.md")) == text
    assert "One command a stage" not in text
    for run in runs_of(folder):
        assert all(part["command"] is None or part["command"] in text for part in run.get("commands", []))


def test_numbers_of_runs_in_words() -> None:
    assert ranges([1, 2, 3, 5, 7, 8]) == "1 to 3, 5, 7 to 8"
