"""The held-out bench: 1,026 pairs over 108 base scenes in KontextBench's proportions and layout.

test/metadata.jsonl      one row a pair: file_name, instruction, category, key, image_idx, prompt_idx,
                         and what rebuilds the pair: seed, task, size, base_theme, base_seed, level
test/images/NNNN.png     the reference of pair NNNN
targets/NNNN.png         what it should become;   masks/NNNN.png  where it may change
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from inkontext.data.tables import json_lines
from inkontext.data.world.levels import LEVELS, level_of
from inkontext.data.world.outside import Outside
from inkontext.data.world.pair import Base, Pair, sample_pair
from inkontext.errors import DataError, OptionError, StorageError

CATEGORIES: Final[dict[str, tuple[str, int]]] = {
    "local": ("Instruction Editing - Local", 416),
    "global": ("Instruction Editing - Global", 262),
    "character": ("Character Reference", 193),
    "text": ("Text Editing", 92),
    "style": ("Style Reference", 63),
}
BASES: Final[dict[str, int]] = {"objects": 52, "group": 4, "sign": 18, "character": 22, "styled": 12}
_THEMES_OF: Final[dict[str, tuple[str, ...]]] = {
    "local": ("objects", "group", "sign"),
    "global": ("objects", "group", "sign"),
    "character": ("character",),
    "text": ("sign",),
    "style": ("styled",),
}
_SEEDS_PER_ROW: Final = 64  # other seeds to try where a base was already asked the same


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the bench before it is drawn."""

    task: str
    base: Base
    image_idx: int


def rows(seed: int, level: int = 3) -> list[Row]:
    """The plan: every task's pairs dealt out evenly over the base scenes that suit it."""
    bases = [theme for theme, count in bases_of(level).items() for _ in range(count)]
    numbered = [(Base(theme, seed * 1000 + n), n) for n, theme in enumerate(bases)]
    plan: list[Row] = []
    for task, (_, count) in CATEGORIES.items():
        fit = [(base, n) for base, n in numbered if base.theme in _THEMES_OF[task]]
        plan += [Row(task, *fit[i % len(fit)]) for i in range(count)]
    return plan


def bases_of(level: int) -> dict[str, int]:
    """How many base scenes of each theme; where a level counts nothing, other objects take the place of its rows."""
    if level_of(level).count_share:
        return BASES
    return {theme: n + BASES["group"] * (theme == "objects") for theme, n in BASES.items() if theme != "group"}


def bench_pairs(
    seed: int, size: int, outside: Outside | None = None, only: Collection[int] | None = None, level: int = 3
) -> Iterator[tuple[Row, Pair]]:
    """The pairs in the order of the plan; a base is asked the same twice only where it allows no more.

    only: numbers of the plan; these pairs alone, the same as they are among all.
    """
    plan = rows(seed, level)
    wanted = set(range(len(plan)) if only is None else only)
    # What a pair is depends on what its base was asked of the same task before, and on nothing else.
    last = {(row.image_idx, row.task): n for n, row in enumerate(plan) if n in wanted}
    asked: set[tuple[object, ...]] = set()
    for n, row in enumerate(plan):
        if n > last.get((row.image_idx, row.task), -1):
            continue
        first = (seed * 2048 + n) * _SEEDS_PER_ROW
        pair = sample_pair(first, row.task, size, "test", outside, row.base, level)
        for number in range(first + 1, first + _SEEDS_PER_ROW):
            if _question(row, pair) not in asked:
                break
            pair = sample_pair(number, row.task, size, "test", outside, row.base, level)
        asked.add(_question(row, pair))
        if n in wanted:
            yield row, pair


def _question(row: Row, pair: Pair) -> tuple[object, ...]:
    """What a pair asks of its base scene, whatever the words."""
    return (row.image_idx, row.task, pair.edit.kind, pair.scene_after)


def write_bench(
    folder: str | Path,
    seed: int = 0,
    size: int = 128,
    outside: Outside | None = None,
    only: Collection[int] | None = None,
    level: int = 3,
) -> int:
    """Write the bench into an empty or new folder; returns how many pairs it holds.

    only: numbers of the plan; these pairs alone, under the keys that they have among all.
    """
    root = Path(folder)
    if root.exists() and any(root.iterdir()):
        raise OptionError(f"The folder {root} is not empty; name a new one for the bench.")
    try:
        for part in ("test/images", "targets", "masks"):
            (root / part).mkdir(parents=True)
        lines, prompts = [], _prompt_numbers(rows(seed, level))
        numbers = range(len(prompts)) if only is None else sorted(only)
        for n, (row, pair) in zip(numbers, bench_pairs(seed, size, outside, only, level), strict=True):
            _save(root, f"{n:04d}", pair)
            lines.append(json.dumps(_record(f"{n:04d}", row, pair, prompts[n])))
        (root / "test/metadata.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    except OSError as error:
        raise StorageError(f"Cannot write the bench into {root}: {error.strerror}; free some space.") from error
    return len(lines)


def _prompt_numbers(plan: Sequence[Row]) -> list[int]:
    """For each row, how many before it have the same base image."""
    counts: dict[int, int] = {}
    out = []
    for row in plan:
        out.append(counts.get(row.image_idx, 0))
        counts[row.image_idx] = out[-1] + 1
    return out


def _save(root: Path, key: str, pair: Pair) -> None:
    pair.references[0].save(root / f"test/images/{key}.png")
    pair.target.save(root / f"targets/{key}.png")
    pair.mask.save(root / f"masks/{key}.png")


def _record(key: str, row: Row, pair: Pair, prompt: int) -> dict[str, Any]:
    return {
        "file_name": f"images/{key}.png",
        "instruction": pair.instruction,
        "category": CATEGORIES[row.task][0],
        "key": key,
        "image_idx": row.image_idx,
        "prompt_idx": prompt,
        "seed": pair.seed,
        "task": row.task,
        "size": pair.size,
        "base_theme": row.base.theme,
        "base_seed": row.base.seed,
        "level": pair.level,
    }


def read_bench(folder: str | Path) -> list[dict[str, Any]]:
    """The rows of a written bench; one without a level is of the whole world.

    Raises OptionError where there is none, DataError where a line is damaged.
    """
    path = Path(folder) / "test/metadata.jsonl"
    if not path.is_file():
        raise OptionError(f"Cannot read {path}; write the bench there first.")
    lines = list(json_lines(path))
    if bad := next((line for line in lines if line.fault), None):
        raise DataError(f"line {bad.number} of '{path}' {bad.fault}; write the bench again")
    return [{"level": 3} | line.value for line in lines]


def rebuild(record: dict[str, Any], outside: Outside | None = None) -> Pair:
    """The pair of a row, with its truth, from its seed; a row without a level is of the whole world."""
    base = Base(record["base_theme"], record["base_seed"]) if record["base_theme"] is not None else None
    return sample_pair(record["seed"], record["task"], record["size"], "test", outside, base, record.get("level", 3))


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="inkontext.data.world.bench", description="Write the held-out bench.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--level", type=int, choices=sorted(LEVELS), default=3)
    parser.add_argument("--photos", type=Path)
    parser.add_argument("--emoji", type=Path)
    args = parser.parse_args(argv)
    outside = Outside(args.photos, args.emoji) if args.photos or args.emoji else None
    print(write_bench(args.folder, args.seed, args.size, outside, level=args.level), "pairs")


if __name__ == "__main__":
    main()
