"""What a run says: metrics.jsonl always, tensorboard where installed, wandb where asked, a bar for the eye."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn


class Log:
    """Sinks for numbers and pictures of one run; a context manager."""

    def __init__(self, folder: Path, steps: int, start: int, wandb: str | None, config: Mapping[str, Any]) -> None:
        self.folder = folder
        self._file = (folder / "metrics.jsonl").open("a", buffering=1)
        self._board = _tensorboard(folder)
        self._wandb = _wandb(wandb, folder, config) if wandb else None
        columns = (
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
            TimeRemainingColumn(),
        )  # fmt: skip
        self._bar = Progress(*columns, console=Console(stderr=True), refresh_per_second=2)
        self._task = self._bar.add_task("training", total=steps, completed=start)

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
        """One line of metrics.jsonl, and the same to the other sinks."""
        line = {"step": step, "time": round(time.time(), 3)} | {k: float(f"{v:.6g}") for k, v in values.items()}
        self._file.write(json.dumps(line) + "\n")
        if self._board is not None:
            for name, value in values.items():
                self._board.add_scalar(name, value, step)
        if self._wandb is not None:
            self._wandb.log(dict(values), step=step)
        loss = values.get("loss")
        self._bar.update(self._task, description=f"loss {loss:.4f}" if loss is not None else None)

    def advance(self, step: int) -> None:
        self._bar.update(self._task, completed=step)

    def picture(self, step: int, name: str, image: Image.Image) -> None:
        """A sample grid as PNG in the run's folder."""
        folder = self.folder / "samples"
        folder.mkdir(exist_ok=True)
        image.save(folder / f"{name}-{step:06d}.png")


def _tensorboard(folder: Path) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder / "tensorboard"))


def _wandb(project: str, folder: Path, config: Mapping[str, Any]) -> Any:
    from inkontext.errors import ConfigError

    try:
        import wandb  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise ConfigError("wandb is asked for but not installed; pip install wandb, or remove the key") from error
    return wandb.init(project=project, dir=str(folder), config=dict(config), resume="allow", id=folder.name)
