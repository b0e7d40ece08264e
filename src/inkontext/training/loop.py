"""The loop every stage runs in: data, update, measures, checkpoints, and a clean way out.

Batch number k is a function of (seed, k) alone, and so is the noise of step k. The data position is therefore the step
number, and a run resumed from a checkpoint goes on bit for bit as if it had never stopped.
"""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import torch
from PIL import Image
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from inkontext import __version__
from inkontext.data.examples import Group
from inkontext.errors import RunError, StorageError
from inkontext.runtime.device import choose_device
from inkontext.runtime.flops import matmul_rate
from inkontext.runtime.memory import peak_memory
from inkontext.storage import atomic_path
from inkontext.training import checkpoint, history, resume
from inkontext.training.adversary import CollapseError
from inkontext.training.config import RunConfig, resolved
from inkontext.training.log import Log
from inkontext.training.optimiser import Learner, NonFiniteLossError


class Stage(Protocol):
    """What the loop needs to know of a stage of the recipe."""

    @property
    def learners(self) -> Mapping[str, Learner]:
        """What learns, by the name of its file in a checkpoint."""
        ...

    def batches(self, start: int) -> Iterator[Any]:
        """Batches number start, start + 1, ... without end."""
        ...

    def update(self, step: int, batch: Any, generator: torch.Generator) -> dict[str, float]:
        """One step of learning; returns its numbers: `loss`, and for the speed `rows`, `tokens` and `flops`."""
        ...

    def validate(self) -> dict[str, float]:
        """Numbers on a fixed set, with the averaged weights."""
        ...

    def sample(self) -> dict[str, Image.Image]:
        """Pictures of fixed seeds, with the averaged weights."""
        ...

    def export(self, folder: Path) -> None:
        """Write the averaged weights as a model others can load."""
        ...

    def tensors_of(self, batch: Any) -> dict[str, Tensor]:
        """The batch as tensors, to be saved when a step goes wrong."""
        ...


class Stop:
    """Turns SIGTERM and SIGINT into a wish that the loop reads between steps."""

    def __init__(self) -> None:
        self.wanted = False
        self._old = {s: signal.signal(s, self._ask) for s in (signal.SIGTERM, signal.SIGINT)}

    def _ask(self, *_: object) -> None:
        if self.wanted:
            raise KeyboardInterrupt
        self.wanted = True

    def restore(self) -> None:
        for number, handler in self._old.items():
            signal.signal(number, handler)


def step_generator(seed: int, step: int) -> torch.Generator:
    """The noise source of one step, on the CPU so that every device sees the same."""
    return torch.Generator().manual_seed((seed * 1_000_003 + step) % 2**63)


def train(config: RunConfig, stage: Stage, command: str | None = None) -> Path:
    """Run a stage to its end or to the stop; returns the last checkpoint.

    Args:
        command: the command line that asked for it, kept in the run's history.

    Raises:
        RunError: the folder belongs to another run or process, there is nothing left to do, or the loss is not finite
            (the batch is saved).
        StorageError: the disk refuses.
    """
    folder = Path(config.run_dir)
    with checkpoint.run_lock(folder):
        start, changed = resume.agree(folder, config)
        stop = Stop()
        try:
            if start:
                _load(folder, start, stage)
            with Log(folder, config.steps, start, config.wandb, config.model_dump()) as log:
                if start == config.steps:
                    log.tell(f"the run in '{folder}' has done its {start} steps already; nothing more is learnt")
                else:
                    history.begin(folder, config, command, start)
                    log.tell(*[f"from step {start} on: {change}" for change in changed])
                _record(folder, "config.json", resolved(config), start)
                _record(folder, "version.txt", history.version(), start)
                return _steps(config, stage, folder, start, log, stop)
        finally:
            stop.restore()


def _steps(config: RunConfig, stage: Stage, folder: Path, start: int, log: Log, stop: Stop) -> Path:
    meter = _Meter(config)
    batches = stage.batches(start)
    began = time.monotonic()
    last = checkpoint.path_of(folder, start)
    for step in range(start, config.steps):
        meter.waiting()
        batch = next(batches)
        meter.working()
        try:
            numbers = stage.update(step, batch, step_generator(config.seed, step))
        except NonFiniteLossError as error:
            saved = _save_batch(folder, step, stage.tensors_of(batch), batch)
            raise RunError(f"step {step}: {error}; nothing was updated, the batch is in '{saved}'") from error
        except CollapseError as error:
            log.numbers(step + 1, error.numbers)
            raise RunError(f"step {step}: {error}") from error
        meter.add(numbers)
        done = step + 1
        log.advance(done)
        over = config.minutes is not None and time.monotonic() - began > 60 * config.minutes
        end = done == config.steps or stop.wanted or over
        if done % config.log_every == 0 or end:
            log.numbers(done, meter.read())
        if done % config.validate_every == 0 or done == config.steps:
            log.numbers(done, {f"validation/{k}": v for k, v in stage.validate().items()})
        if done % config.sample_every == 0 or done == config.steps:
            for name, image in stage.sample().items():
                log.picture(done, name, image)
        if done % config.checkpoint_every == 0 or end:
            last = save(folder, done, config, stage)
        if end:
            break
    if last.exists() and int(last.name.removeprefix("step-")) == config.steps:
        with checkpoint.whole_folder(folder / "model") as written:
            stage.export(written)
            history.export(written, folder)
    return last


def save(folder: Path, step: int, config: RunConfig, stage: Stage) -> Path:
    """Write the checkpoint of `step`."""
    files, numbers = {}, {}
    for name, learner in stage.learners.items():
        files[name], numbers[name] = learner.state()
    state = {"step": step, "stage": config.stage, "seed": config.seed, "learners": numbers, "version": __version__}
    return checkpoint.save(folder, step, files, state, config.keep)


def _load(folder: Path, step: int, stage: Stage) -> None:
    """Bring a stage to where the checkpoint of `step` left it."""
    files, state = checkpoint.load(checkpoint.path_of(folder, step))
    for name, learner in stage.learners.items():
        try:
            learner.load_state(files[name], state["learners"][name])
        except (KeyError, RuntimeError, ValueError) as error:
            reason = str(error).strip().splitlines()[0]
            raise RunError(f"the checkpoints in '{folder}' are of another architecture ({reason}); "
                           "choose another run_dir") from error  # fmt: skip


def _record(folder: Path, name: str, text: str, start: int) -> None:
    """Write what the run goes on with; what it was until step `start`, where it differs, stays beside it."""
    path = folder / name
    if path.exists() and path.read_text() != text and start:
        path.replace(folder / f"{path.stem}-until-{start:06d}{path.suffix}")
    with atomic_path(path) as temporary:
        temporary.write_text(text)


def _save_batch(folder: Path, step: int, tensors: Mapping[str, Tensor], batch: Any) -> Path:
    """Write a batch's tensors, with the instructions of its groups as metadata; returns the file."""
    path = folder / f"bad-batch-{step:06d}.safetensors"
    words = [group.instructions for group in batch if isinstance(group, Group)]
    with atomic_path(path) as temporary:
        try:
            save_file({k: v.contiguous() for k, v in tensors.items()}, temporary, {"instructions": json.dumps(words)})
        except SafetensorError as error:
            raise StorageError(f"step {step}: a number is not finite, and the batch cannot be written to '{path}' "
                               f"({error}); free some space and resume") from error  # fmt: skip
    return path


class _Meter:
    """Averages of the numbers between two log lines, and the speed.

    `mfu` is the share of the machine's own rate, measured once on large products of the run's dtype, that went into
    the forward and backward passes of what learns.
    """

    COUNTS = ("rows", "tokens", "flops")

    def __init__(self, config: RunConfig) -> None:
        self.rate = matmul_rate(choose_device(config.device), getattr(torch, config.dtype))
        self._clear()

    def _clear(self) -> None:
        self.sums: dict[str, list[float]] = {}
        self.wait = 0.0
        self.began = time.perf_counter()

    def waiting(self) -> None:
        self._mark = time.perf_counter()

    def working(self) -> None:
        self.wait += time.perf_counter() - self._mark

    def add(self, numbers: Mapping[str, float]) -> None:
        for key, value in numbers.items():
            self.sums.setdefault(key, []).append(value)

    def read(self) -> dict[str, float]:
        seconds = time.perf_counter() - self.began
        values = {key: sum(v) / len(v) for key, v in self.sums.items() if key not in self.COUNTS}
        values |= {f"{key}_per_s": sum(self.sums[key]) / seconds for key in self.COUNTS if key in self.sums}
        values |= {"data_wait": self.wait / seconds, "memory_gib": peak_memory()}
        if "flops_per_s" in values:
            values["mfu"] = values["flops_per_s"] / self.rate
        self._clear()
        return values
