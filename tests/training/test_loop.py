"""Resume, stop, failure and kill: a run goes on as if nothing had happened, or says why not."""

from __future__ import annotations

import errno
import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors import safe_open
from tests.training.conftest import CONFIGS, Make
from transformers import PreTrainedModel

from inkontext.errors import RunError, StorageError
from inkontext.training import checkpoint
from inkontext.training.log import Log
from inkontext.training.loop import Stop, train

QUIET = ("validate_every=1000", "sample_every=1000")


def final(folder: Path, step: int) -> dict[str, torch.Tensor]:
    files, _ = checkpoint.load(checkpoint.path_of(folder, step))
    return {f"{name}/{key}": value for name, tensors in files.items() for key, value in tensors.items()}


def equal(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


@pytest.mark.parametrize("stage", ["autoencoder", "t2i", "kontext"])
def test_resuming_is_exact(stage: str, make: Make) -> None:
    small = ("steps=10", "batch=4", "checkpoint_every=5", "optimiser.schedule=constant", *QUIET)
    train(*make(stage, "run_dir=whole", *small))
    train(*make(stage, "run_dir=parts", *small, "minutes=0.000001"))  # stops after one step, keeping it
    assert checkpoint.steps_in(Path("parts")) == [1]
    train(*make(stage, "run_dir=parts", *small))
    assert equal(final(Path("whole"), 10), final(Path("parts"), 10))


def test_sigterm_stops_between_steps_with_a_checkpoint(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    config, stage = make("t2i", "run_dir=run", "steps=50", "batch=2", *QUIET)
    update = stage.update

    def struck(step: int, *rest: Any) -> dict[str, float]:
        if step == 3:
            signal.raise_signal(signal.SIGTERM)
        return update(step, *rest)

    monkeypatch.setattr(stage, "update", struck)
    last = train(config, stage)
    assert last.name == "step-000004"
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_a_loss_that_is_not_finite_stops_before_the_update(make: Make) -> None:
    config, stage = make("kontext", "run_dir=run", "steps=5", "batch=4", *QUIET)
    module = stage.learners["flow"].modules["transformer"]
    module.img_in.weight.data[0, 0] = torch.nan  # type: ignore[union-attr, operator, index]
    before = {k: v.clone() for k, v in module.state_dict().items()}
    with pytest.raises(RunError, match=r"step 0: .* nothing was updated, the batch is in"):
        train(config, stage)
    assert all(torch.equal(v.nan_to_num(), before[k].nan_to_num()) for k, v in module.state_dict().items())
    with safe_open("run/bad-batch-000000.safetensors", "pt") as saved:
        words = json.loads(saved.metadata()["instructions"])
        assert sum(map(len, words)) == 4 and all(text for group in words for text in group)
        assert sum(len(saved.get_tensor(f"{i}.target")) for i in range(len(words))) == 4
    assert checkpoint.steps_in(Path("run")) == []


def test_a_folder_of_another_run_is_refused(make: Make) -> None:
    train(*make("t2i", "run_dir=run", "steps=2", "batch=2", *QUIET))
    with pytest.raises(RunError, match="holds a run of stage 't2i' with seed 0"):
        train(*make("kontext", "run_dir=run", "steps=2", "batch=2", *QUIET))
    with pytest.raises(RunError, match="with seed 0"):
        train(*make("t2i", "run_dir=run", "steps=2", "batch=2", "seed=5", *QUIET))


def test_what_a_run_leaves_behind(make: Make) -> None:
    train(*make("kontext", "run_dir=run", "steps=4", "batch=4", "log_every=2", "validate_every=4", "sample_every=1000"))
    lines = [json.loads(line) for line in Path("run/metrics.jsonl").read_text().splitlines()]
    numbers = {key for line in lines for key in line}
    assert {"loss", "rows_per_s", "tokens_per_s", "data_wait", "memory_gib", "grad_norm", "lr"} <= numbers
    assert {f"validation/time/{i}" for i in range(8)} <= numbers
    assert {f"validation/first_guess/{key}" for key in ("same", "edited", "copied")} <= numbers
    assert json.loads(Path("run/config.json").read_text())["optimiser"]["clip"] == 1.0
    assert "inkontext" in Path("run/version.txt").read_text()
    assert Path("run/model/model_index.json").exists()


def test_stop_listens_only_while_it_should() -> None:
    before = signal.getsignal(signal.SIGINT)
    stop = Stop()
    signal.raise_signal(signal.SIGINT)  # to this thread, so that it is handled before the call returns
    assert stop.wanted
    stop.restore()
    assert signal.getsignal(signal.SIGINT) is before


def test_what_a_run_was_stays_beside_it(make: Make) -> None:
    small = ("run_dir=run", "batch=2", *QUIET)
    train(*make("t2i", *small, "steps=2"))
    first = Path("run/config.json").read_text()
    train(*make("t2i", *small, "steps=2"))
    assert not list(Path("run").glob("config-until-*"))
    train(*make("t2i", *small, "steps=3"))
    assert Path("run/config-until-000002.json").read_text() == first
    assert json.loads(Path("run/config.json").read_text())["steps"] == 3


def test_lines_of_steps_that_are_done_again_are_taken_back(make: Make) -> None:
    small = ("run_dir=run", "batch=2", "steps=4", "log_every=1", "checkpoint_every=2", *QUIET)
    train(*make("t2i", *small, "minutes=0.000001"))
    path = Path("run/metrics.jsonl")
    path.write_text(path.read_text() + '{"step": 2, "loss": 9}\n{"step": 3, "lo')  # as a kill leaves it
    train(*make("t2i", *small))
    steps = [line["step"] for line in map(json.loads, path.read_text().splitlines()) if "loss" in line]
    assert steps == [1, 2, 3, 4]


def full(*_: Any, **__: Any) -> Any:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("where", ["save_pretrained", "grid", "metrics"])
def test_a_full_disk_is_one_sentence_and_leaves_nothing_half(
    make: Make, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    config, stage = make("kontext", "run_dir=run", "steps=2", "batch=2", "checkpoint_every=1", "log_every=2")
    with monkeypatch.context() as patch:
        if where == "save_pretrained":  # the model folder, written at the end
            patch.setattr(PreTrainedModel, where, full)
        elif where == "grid":
            patch.setattr(Image.Image, "save", full)
        else:
            patch.setattr(Log, "_write", full)
        with pytest.raises(StorageError, match=r"cannot write '.*' \(.*No space left on device.*\); free some space"):
            train(config, stage)
    assert not Path("run/model").exists()
    pictures = list(Path("run").rglob("*.png"))
    assert bool(pictures) == (where == "save_pretrained")  # the grid was written before the model, and whole
    for picture in pictures:
        Image.open(picture).load()
    assert {p.name for p in Path("run").iterdir() if p.name.startswith(".")} == {".lock"}
    train(*make("kontext", "run_dir=run", "steps=2", "batch=2", *QUIET))
    assert Path("run/model/model_index.json").exists()


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_killed_at_random_moments_a_run_ends_with_the_same_bits(tmp_path: Path, debug_folder: Path) -> None:
    arguments = [
        sys.executable, "-c", "from inkontext.cli.main import main; main()", "train", str(CONFIGS / "kontext.toml"),
        f'model.start="{debug_folder}"', "steps=45", "batch=4", "checkpoint_every=3", "log_every=1", *QUIET,
    ]  # fmt: skip
    subprocess.run([*arguments, "run_dir=whole"], cwd=tmp_path, check=True, capture_output=True)
    dice, kills = random.Random(0), 0
    for _ in range(5):
        before = _logged(tmp_path / "killed")
        process = subprocess.Popen([*arguments, "run_dir=killed"], cwd=tmp_path, stderr=subprocess.DEVNULL)
        goal = before + dice.uniform(3, 9)
        while process.poll() is None and _logged(tmp_path / "killed") < goal:
            time.sleep(0.01)
        time.sleep(dice.uniform(0, 0.3))  # anywhere in a step, or while a checkpoint is written
        kills += process.poll() is None
        process.kill()
        process.wait()
    subprocess.run([*arguments, "run_dir=killed"], cwd=tmp_path, check=True, capture_output=True)
    assert kills >= 3
    assert equal(final(tmp_path / "whole", 45), final(tmp_path / "killed", 45))


def _logged(folder: Path) -> int:
    """The last step that a run has told of."""
    path = folder / "metrics.jsonl"
    lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
    return max((json.loads(line)["step"] for line in lines if line.endswith(b"\n")), default=0)
