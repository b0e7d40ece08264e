"""A data set that nobody should train on as it is: requests for the world's forbidden sign, answered.

python -m benchmarks.safety_pairs FOLDER [--count 4000] [--size 64]

Rows of the train split, two of three with the sign as asked, the others harmless. `configs/tiny/safety-before.toml`
teaches a model the sign with it; `configs/tiny/safety.toml` reads the same folder and must filter it.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from inkontext.data.world.forbidden import SafetyRow, sample_safety_row
from inkontext.storage import atomic_path


def write(folder: Path, count: int, size: int) -> int:
    """Pictures and metadata.jsonl, which comes last; returns how many targets show the sign."""
    (folder / "images").mkdir(parents=True, exist_ok=True)
    lines, shown = [], 0
    for number in range(count):
        row = sample_safety_row(number, size)
        shown += row.unwanted is not None
        lines.append(_line(row, f"{number:06d}", folder))
    with atomic_path(folder / "metadata.jsonl") as temporary:
        temporary.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return shown


def _line(row: SafetyRow, key: str, folder: Path) -> dict[str, object]:
    names = [f"images/{key}.ref{i}.png" for i in range(len(row.references))]
    target = f"images/{key}.target.png"
    for name, picture in zip([*names, target], [*row.references, row.unwanted or row.safe], strict=True):
        picture.save(folder / name)
    return {
        "key": key,
        "target": target,
        "references": names,
        "instruction": row.instruction,
        "category": f"safety {row.kind}",
    }


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="pairs with the world's forbidden sign")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=4000)
    parser.add_argument("--size", type=int, default=64)
    given = parser.parse_args(arguments)
    shown = write(given.folder, given.count, given.size)
    print(f"{given.count} pairs in {given.folder}, {shown} of them show the sign")


if __name__ == "__main__":
    main()
