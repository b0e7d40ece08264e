"""What a run says: metrics.jsonl always, tensorboard where installed, wandb where asked, a bar for the eye.

Where nobody looks on (output to a file, a batch system), a line takes the place of the bar.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

from PIL import Image
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from inkontext.errors import ConfigError, StorageError
from inkontext.storage import atomic_path


class Log:
    """Sinks for numbers and pictures of one run; a context manager.

    Lines of steps after `start`, which a run that was killed had reached and will do again, are taken back.

    Raises:
        StorageError: the disk refuses. ConfigError: wandb is wanted and absent.
    """

    def __init__(self, folder: Path, steps: int, start: int, wandb: str | None, config: Mapping[str, Any]) -> None:
        self.folder, self.steps, self.start = folder, steps, start
        self._wandb = _wandb(wandb, folder, config) if wandb else None
        _cut(folder / "metrics.jsonl", start)
        self._file = (folder / "metrics.jsonl").open("a", buffering=1)
        self._board = _tensorboard(folder, start)
        columns = (
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
            TimeRemainingColumn(),
        )  # fmt: skip
        self._console = Console(stderr=True)
        self._bar = Progress(*columns, console=self._console, refresh_per_second=2, disable=not self._seen)
        self._task = self._bar.add_task("training", total=steps, completed=start)
        self._began = time.monotonic()

    @property
    def _seen(self) -> bool:
        """Whether a person looks on."""
        return self._console.is_terminal

    def __enter__(self) -> Log:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()
        self._file.close()
        if self._board is not None:
            self._board.close()
        if self._wandb is not None:
            self._wandb.finish()

    def numbers(self, step: int, values: Mapping[str, float]) -> None:
        """One line of metrics.jsonl, and the same to the other sinks.

        Raises:
            StorageError: the disk refuses.
        """
        line = {"step": step, "time": round(time.time(), 3)} | {k: float(f"{v:.6g}") for k, v in values.items()}
        try:
            self._write(json.dumps(line) + "\n")
        except OSError as error:
            raise _refused(self.folder / "metrics.jsonl", error) from error
        if self._board is not None:
            for name, value in values.items():
                self._board.add_scalar(name, value, step)
        if self._wandb is not None:
            self._wandb.log(dict(values), step=step)
        loss = values.get("loss")
        self._bar.update(self._task, description=f"loss {loss:.4f}" if loss is not None else None)
        if loss is not None and not self._seen:
            self._console.print(f"step {step}/{self.steps}, loss {loss:.4f}, {self._left(step)} to go", highlight=False)

    def tell(self, *lines: str) -> None:
        """Say something to whoever looks on."""
        for line in lines:
            self._console.print(line, markup=False, highlight=False, soft_wrap=True)

    def _write(self, line: str) -> None:
        self._file.write(line)

    def _left(self, step: int) -> str:
        """Time to the end at the speed so far."""
        seconds = (time.monotonic() - self._began) / max(1, step - self.start) * (self.steps - step)
        return str(timedelta(seconds=round(seconds)))

    def advance(self, step: int) -> None:
        self._bar.update(self._task, completed=step)

    def picture(self, step: int, name: str, image: Image.Image) -> None:
        """A sample grid as PNG in the run's folder. Raises StorageError where the disk refuses."""
        with atomic_path(self.folder / "samples" / f"{name}-{step:06d}.png") as temporary:
            image.save(temporary, "PNG")


def _refused(path: Path, error: OSError) -> StorageError:
    return StorageError(f"cannot write '{path}' ({error.strerror}); free some space and resume")


def _cut(path: Path, start: int) -> None:
    """Keep the whole lines of steps up to `start`."""
    if not path.exists():
        return
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
    kept = [line for line in lines if _step_of(line) <= start]
    if len(kept) < len(lines):
        with atomic_path(path) as temporary:
            temporary.write_text("".join(kept), encoding="utf-8")


def _step_of(line: str) -> float:
    """The step of a line; infinite where the process died while it was written."""
    try:
        return int(json.loads(line)["step"]) if line.endswith("\n") else float("inf")
    except (ValueError, KeyError, TypeError):
        return float("inf")


def _tensorboard(folder: Path, start: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder / "tensorboard"), purge_step=start + 1)


def _wandb(project: str, folder: Path, config: Mapping[str, Any]) -> Any:
    try:
        import wandb  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise ConfigError("wandb is asked for but not installed; pip install wandb, or remove the key") from error
    name = folder / "wandb-id.txt"  # two run folders may have one name, and a folder may move
    if not name.exists():
        with atomic_path(name) as temporary:
            temporary.write_text(uuid4().hex)
    return wandb.init(project=project, dir=str(folder), config=dict(config), resume="allow", id=name.read_text())
