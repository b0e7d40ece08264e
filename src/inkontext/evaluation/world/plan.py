"""Which held-out pairs of the procedural world are measured."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from inkontext.data.world import Base, Outside, Pair, sample_pair
from inkontext.data.world.bench import CATEGORIES, bench_pairs, rows
from inkontext.data.world.levels import level_of
from inkontext.data.world.scene import Sticker
from inkontext.errors import OptionError
from inkontext.evaluation.statistics import apportion, spread

FREE: Final = 100  # pairs of a task that the bench does not have
TASKS: Final[tuple[str, ...]] = (*CATEGORIES, "t2i", "cue", "multi")
USUAL: Final[tuple[str, ...]] = (*CATEGORIES, "t2i")
_SEEDS: Final = 2048  # seeds a draw may use of each task
_SMALLEST, _LARGEST = 32, 2048


@dataclass(frozen=True)
class Plan:
    """What to measure.

    Attributes:
        size: side of the pictures, pixels.
        seed: which draw of the bench.
        limit: editing pairs in all, in the bench's proportions; None for all. Pairs of t2i come on top, in proportion.
        tasks: some of `TASKS`.
        level: how much of the world, 1 to 3 (all).
    """

    size: int
    seed: int = 0
    limit: int | None = None
    tasks: tuple[str, ...] = USUAL
    level: int = 3

    def __post_init__(self) -> None:
        check_plan(self.size, self.seed, self.limit, self.tasks, self.level)

    def counts(self) -> dict[str, int]:
        """How many pairs of each task."""
        edits = {task: CATEGORIES[task][1] if task in CATEGORIES else FREE for task in self.tasks if task != "t2i"}
        limit = self.limit if self.limit is not None else max(FREE, sum(edits.values()))
        if not edits:
            return {"t2i": min(limit, FREE)}
        out = apportion(edits, limit)
        if "t2i" in self.tasks:
            out["t2i"] = min(FREE, max(1, round(FREE * limit / sum(edits.values()))))
        return out


def check_plan(size: int | None, seed: int, limit: int | None, tasks: Sequence[str], level: int = 3) -> None:
    """What can be wrong with a plan, whose size may not be known yet. Raises OptionError."""
    level_of(level)
    for task in tasks:
        if task not in TASKS:
            raise OptionError(f"there is no task '{task}'; choose among {', '.join(TASKS)}")
    if not tasks or len(set(tasks)) < len(tasks):
        raise OptionError(f"name each task once, among {', '.join(TASKS)}")
    if limit is not None and limit < 1:
        raise OptionError(f"the limit is {limit}; it must be a whole number of at least 1")
    if not 0 <= seed < 2**40:
        raise OptionError(f"the seed is {seed}; it must be a whole number from 0")
    if size is not None and not _SMALLEST <= size <= _LARGEST:
        raise OptionError(f"the size is {size}; it must be between {_SMALLEST} and {_LARGEST} pixels")


@dataclass(frozen=True)
class Case:
    """A pair to measure. `key` names its picture; `base` is the bench's base scene, None for other tasks."""

    key: str
    pair: Pair
    base: Base | None = None

    @property
    def has_untouched(self) -> bool:
        """Whether a part of the picture should stay as it was."""
        return self.pair.base >= 0 and self.pair.mask.getextrema()[0] == 0

    @property
    def from_outside(self) -> bool:
        """Whether it shows a photograph or a sticker."""
        scenes = (self.pair.scene_after, *self.pair.reference_scenes)
        return any(s.background.photo or any(isinstance(t, Sticker) for t in s.things) for s in scenes)


def cases(plan: Plan, outside: Outside | None = None) -> Iterator[Case]:
    """The pairs of the plan, always in the same order and each the same whatever the limit."""
    counts = plan.counts()
    wanted: set[int] = set()
    table = rows(plan.seed, plan.level)
    for task in counts.keys() & CATEGORIES.keys():
        numbers = [n for n, row in enumerate(table) if row.task == task]
        wanted |= {numbers[i] for i in spread(counts[task], len(numbers))}
    drawn = bench_pairs(plan.seed, plan.size, outside, wanted, plan.level)
    for n, (row, pair) in zip(sorted(wanted), drawn, strict=True):
        yield Case(f"{n:04d}", pair, row.base)
    for task in (t for t in counts if t not in CATEGORIES):
        for n in range(counts[task]):
            pair = sample_pair(plan.seed * _SEEDS + n, task, plan.size, "test", outside, level=plan.level)
            yield Case(f"{task}-{n:04d}", pair)


def outside_identity(outside: Outside | None) -> dict[str, Any] | None:
    """What the held-out pictures from outside are, without where they are: counts, and a digest of names and sizes."""
    if outside is None:
        return None
    photos, stickers = outside.photo_names("test"), outside.sticker_names("test")
    digest = hashlib.sha256()
    for name in photos:
        assert outside.photos is not None
        digest.update(f"{name} {(outside.photos / name).stat().st_size}\n".encode())
    digest.update("\n".join(stickers).encode())
    return {"photos": len(photos), "stickers": len(stickers), "digest": digest.hexdigest()[:16]}
