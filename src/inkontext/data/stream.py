"""An endless stream of batches in which example (batch k, row r) depends on the seed, k and r alone.

So a stream has no state: to go on from batch k is to start at batch k, in any number of worker processes.
"""

from __future__ import annotations

import signal
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate, count
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from inkontext.data.examples import Example, Group, stack
from inkontext.data.folders import pictures_below
from inkontext.errors import ConfigError, DataError
from inkontext.safety.pictures import FORMATS, read_picture

_GOLDEN = 0.6180339887498949
_LAYOUT = 0x1A  # keeps the draws of layouts apart from those of rows


class Source(Protocol):
    """Somewhere examples come from."""

    def example(self, number: int, task: str | None) -> Example:
        """Example for a number that is as good as random; the same number gives the same example."""
        ...


@runtime_checkable
class VariedSource(Source, Protocol):
    """A source whose rows differ in layout, so that a batch drawn freely from it would fall into many small groups."""

    def of_one_layout(self, number: int) -> Source:
        """Its rows of one layout, which the number draws; more often the more rows it has."""
        ...


class WorldSource:
    """The procedural world, drawn on the fly at `size` pixels; its `level` says how much of it (1 to 3, all)."""

    def __init__(
        self, size: int, split: str = "train", photos: str | None = None, emoji: str | None = None, level: int = 3
    ) -> None:
        from inkontext.data.world.levels import level_of
        from inkontext.data.world.outside import Outside

        self.size, self.split, self.level = size, split, level_of(level).number
        self.outside = Outside(photos, emoji) if photos or emoji else None

    def example(self, number: int, task: str | None) -> Example:
        from inkontext.data.world import sample_pair

        pair = sample_pair(number, task, self.size, self.split, self.outside, level=self.level)
        references = tuple(np.asarray(r) for r in pair.references)
        return Example(np.asarray(pair.target), references, pair.instruction, pair.task)


class ImageSource:
    """Random square crops of the pictures in a folder, for the autoencoder.

    A crop's side lies between `size` and the picture's short side, so that detail of every scale is seen.
    """

    def __init__(self, folder: Path, size: int) -> None:
        self.size = size
        self.files = pictures_below(Path(folder))
        if not self.files:
            raise DataError(f"'{folder}' holds no pictures ({', '.join(FORMATS)}); check the path")

    def example(self, number: int, task: str | None) -> Example:
        rng = np.random.default_rng([11, number])
        image = read_picture(self.files[rng.integers(len(self.files))]).rgb
        short = min(image.size)
        side = int(min(short, self.size * np.exp(rng.uniform(0, np.log(max(1.0, short / self.size))))))
        left, top = (int(rng.integers(0, extent - side + 1)) for extent in image.size)
        box = (left, top, left + side, top + side)
        crop = image.resize((self.size, self.size), Image.Resampling.LANCZOS, box=box)
        flipped = np.asarray(crop)[:, :: -1 if rng.integers(2) else 1]
        return Example(np.ascontiguousarray(flipped))


class Mixture:
    """Several sources and tasks in fixed shares: row r of every batch is drawn from its own stretch of the shares.

    Shares are met in each batch to within one row, and exactly over many. With `one_layout` the rows that a batch takes
    from one part have one layout, so a batch has at most as many groups as there are parts; every row is still drawn as
    often as any other of its source.
    """

    def __init__(self, parts: Sequence[tuple[Source, str | None, float]], one_layout: bool = True) -> None:
        self.parts = parts
        self.one_layout = one_layout
        total = sum(weight for *_, weight in parts)
        self.edges = [edge / total for edge in accumulate(weight for *_, weight in parts)]

    def example(self, seed: int, batch: int, row: int, rows: int) -> Example:
        place = (row + (batch * _GOLDEN) % 1.0) / rows
        part = min(bisect_right(self.edges, place), len(self.parts) - 1)
        source, task, _ = self.parts[part]
        if self.one_layout and isinstance(source, VariedSource):
            source = source.of_one_layout(_number(_LAYOUT, seed, batch, part))
        return source.example(_number(seed, batch, row), task)


def _number(*key: int) -> int:
    """A number below 2^62, as good as random, that the key determines."""
    return int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0] >> 2)


class _Rows(Dataset):
    def __init__(self, mixture: Mixture, seed: int, rows: int) -> None:
        self.mixture, self.seed, self.rows = mixture, seed, rows

    def __getitem__(self, index: int) -> Example:
        return self.mixture.example(self.seed, *divmod(index, self.rows), self.rows)


class _Batches:
    def __init__(self, start: int, rows: int) -> None:
        self.start, self.rows = start, rows

    def __iter__(self) -> Iterator[list[int]]:
        return (list(range(k * self.rows, (k + 1) * self.rows)) for k in count(self.start))


def _leave_signals_to_the_parent(_worker: int) -> None:
    """A signal to the whole group must not kill a worker while the parent finishes its step."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)


def batches(mixture: Mixture, seed: int, rows: int, start: int = 0, workers: int = 0) -> Iterator[list[Group]]:
    """Batches number `start`, `start + 1`, ... of `rows` examples, each as groups of one layout."""
    loader = DataLoader(
        _Rows(mixture, seed, rows),
        batch_sampler=_Batches(start, rows),  # type: ignore[arg-type]
        collate_fn=stack,
        num_workers=workers,
        prefetch_factor=4 if workers else None,
        multiprocessing_context="fork" if workers else None,
        worker_init_fn=_leave_signals_to_the_parent,
    )
    return iter(loader)


def world_parts(
    source: WorldSource, weight: float, tasks: Mapping[str, float]
) -> list[tuple[Source, str | None, float]]:
    """One part a task, their weights sharing `weight`. Raises ConfigError for a task the world has not."""
    from inkontext.data.world import TASKS

    unknown = sorted(set(tasks) - set(TASKS))
    if unknown:
        raise ConfigError(f"the world has no task '{unknown[0]}'; choose from {', '.join(TASKS)}")
    total = sum(tasks.values())
    return [(source, task, weight * share / total) for task, share in tasks.items() if share > 0]
