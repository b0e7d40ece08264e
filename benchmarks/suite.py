"""Every evaluation there is, small, with one model: reports in one folder, and a table of what ran.

python -m benchmarks.suite [--model tiny] [--rows 40] [--steps N] [--out out/suite]

The data are made on the fly: the procedural world's bench in KontextBench's layout. A step that was broken off goes
on where it stopped; a later evaluation is one more entry in `commands`.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from inkontext.data.world.bench import CATEGORIES, rows, write_bench
from inkontext.evaluation.statistics import apportion, spread
from inkontext.evaluation.world_systems import model_resolution

_RUN = "from inkontext.cli.main import main; main()"


def fixture(folder: Path, count: int, size: int, seed: int = 0) -> Path:
    """`count` rows of the world's bench in KontextBench's proportions; made again where it is of other numbers."""
    folder = folder / f"kontextbench-{count}-{size}-{seed}"
    if not (folder / "test/metadata.jsonl").exists():
        plan = rows(seed)
        groups = {task: [n for n, row in enumerate(plan) if row.task == task] for task in CATEGORIES}
        dealt = apportion({task: len(group) for task, group in groups.items()}, count)
        only = {groups[task][i] for task, n in dealt.items() for i in spread(n, len(groups[task]))}
        making = folder.with_name(f".making-{folder.name}-{time.time_ns()}")
        write_bench(making, seed, size, only=only)
        making.rename(folder)
    return folder


def commands(model: str, data: Path, rows: int, steps: int | None, out: Path) -> dict[str, list[str]]:
    """What `inkontext` is called with, by name; each writes into a folder of its name."""
    sampled = ["--model", model, *(["--steps", str(steps)] if steps is not None else [])]
    kontextbench = ["--data", str(data), "--out", str(out / "kontextbench")]
    return {
        "world": ["eval", "world", *sampled, "--limit", str(rows), "--out", str(out / "world")],
        "kontextbench": ["eval", "kontextbench", *sampled, *kontextbench],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Every evaluation, small.")
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--rows", type=int, default=40)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--out", type=Path, default=Path("out/suite"))
    arguments = parser.parse_args()
    data = fixture(arguments.out / "data", arguments.rows, model_resolution(arguments.model))
    done = []
    for name, command in commands(arguments.model, data, arguments.rows, arguments.steps, arguments.out).items():
        print(f"inkontext {' '.join(command)}", flush=True)
        started = time.perf_counter()
        code = subprocess.run([sys.executable, "-c", _RUN, *command], check=False).returncode
        done.append({"name": name, "exit code": code, "seconds": round(time.perf_counter() - started, 1)})
    table = Table(*done[0], title=f"Suite: {arguments.model}, {arguments.rows} rows")
    for row in done:
        table.add_row(*map(str, row.values()))
    Console().print(table)
    (arguments.out / "suite.json").write_text(json.dumps({"model": arguments.model, "ran": done}, indent=2) + "\n")
    sys.exit(max(row["exit code"] for row in done))


if __name__ == "__main__":
    main()
