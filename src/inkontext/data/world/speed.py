"""How many pairs a second one core draws.

python -m inkontext.data.world.speed --size 128
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence

from inkontext.data.world.pair import TASKS, sample_pair


def pairs_per_second(size: int, task: str | None, count: int = 300, start: int = 10_000) -> float:
    """Over `count` seeds, caches warm; in processor time, so that other work beside it does not matter."""
    for seed in range(count // 3):
        sample_pair(seed, task, size)
    begin = time.process_time()
    for seed in range(start, start + count):
        sample_pair(seed, task, size)
    return count / (time.process_time() - begin)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="inkontext.data.world.speed", description="Measure pairs per second.")
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--count", type=int, default=300)
    args = parser.parse_args(argv)
    print(f"{'task':<10} pairs/s on one core, {args.size} px")
    for task in (*TASKS, None):
        print(f"{task or 'all':<10} {pairs_per_second(args.size, task, args.count):8.0f}")


if __name__ == "__main__":
    main()
