"""How many pairs a second are drawn, by one process or by several at once.

python -m inkontext.data.world.speed --size 128 --processes 2
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from inkontext.data.world.levels import LEVELS
from inkontext.data.world.outside import Outside
from inkontext.data.world.pair import TASKS, sample_pair


@dataclass(frozen=True)
class Draw:
    """`count` pairs of a task (None: the world's own mixture), counted from seed `start`."""

    size: int
    task: str | None
    count: int = 300
    start: int = 10_000
    photos: str | None = None
    emoji: str | None = None
    level: int = 3


def pairs_per_second(draw: Draw) -> tuple[float, float]:
    """(by the clock, by processor time), caches warm. The second does not see other work on the machine."""
    outside = Outside(draw.photos, draw.emoji) if draw.photos or draw.emoji else None
    for seed in range(draw.count // 3):
        sample_pair(seed, draw.task, draw.size, outside=outside, level=draw.level)
    clock, processor = time.perf_counter(), time.process_time()
    for seed in range(draw.start, draw.start + draw.count):
        sample_pair(seed, draw.task, draw.size, outside=outside, level=draw.level)
    return draw.count / (time.perf_counter() - clock), draw.count / (time.process_time() - processor)


def together(draw: Draw, processes: int) -> tuple[float, float]:
    """The same of several processes at once, each with seeds of its own, summed."""
    draws = [replace(draw, start=draw.start + i * draw.count) for i in range(processes)]
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        rates = pool.map(pairs_per_second, draws, chunksize=1)
    return sum(clock for clock, _ in rates), sum(processor for _, processor in rates)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="inkontext.data.world.speed", description="Measure pairs per second.")
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--count", type=int, default=300, help="pairs a task and process")
    parser.add_argument("--processes", type=int, default=1, help="at once; figures are sums")
    parser.add_argument("--photos", help="folder of photographs")
    parser.add_argument("--emoji", help="folder of stickers with names.json")
    parser.add_argument("--level", type=int, choices=sorted(LEVELS), default=3)
    args = parser.parse_args(argv)
    several = f"{args.processes} processes" if args.processes > 1 else "one process"
    print(f"pairs/s of {several}, {args.size} px, level {args.level}")
    print(f"{'task':<10} {'by the clock':>14} {'by processor time':>18}")
    for task in (*TASKS, None):
        clock, processor = together(
            Draw(args.size, task, args.count, 10_000, args.photos, args.emoji, args.level), args.processes
        )
        print(f"{task or 'all':<10} {clock:14.0f} {processor:18.0f}", flush=True)


if __name__ == "__main__":
    main()
