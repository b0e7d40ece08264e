"""Every evaluation there is, small, with one model: reports in one folder, and a page that leads to them.

    python -m benchmarks.suite [--model tiny] [--rows 40] [--steps N] [--out out/suite]
    python -m benchmarks.suite --breaks 3     # also once more, killed at random moments and resumed: the same bytes?

The data are made on the fly: the procedural world's bench in KontextBench's layout, captions of the world as prompts,
and scikit-image's sample photographs. A step that was broken off goes on where it stopped.
"""

from __future__ import annotations

import argparse
import hashlib
import html
import json
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.suite_parts import PARTS
from inkontext.data.world import sample_pair
from inkontext.data.world.bench import CATEGORIES, rows, write_bench
from inkontext.evaluation.statistics import apportion, spread
from inkontext.evaluation.world.systems import model_resolution
from inkontext.storage import write_json

_RUN = [sys.executable, "-c", "from inkontext.cli.main import main; main()"]
_PART = [sys.executable, "-m", "benchmarks.suite_parts"]
PHOTOGRAPHS = (
    "astronaut.png",
    "chelsea.png",
    "coffee.png",
    "motorcycle_left.png",
    "rocket.jpg",
    "hubble_deep_field.jpg",
)
TIMED = ("timings.jsonl", "speed.json", ".lock")  # files that hold seconds, or nothing


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


def prompts(file: Path, count: int, size: int) -> Path:
    """Captions of held-out scenes, one a line."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join(sample_pair(n, "t2i", size, "test").instruction for n in range(count)) + "\n")
    return file


def photographs(folder: Path) -> Path:
    """scikit-image's sample photographs."""
    import skimage

    source = Path(skimage.__file__).parent / "data"
    folder.mkdir(parents=True, exist_ok=True)
    for name in PHOTOGRAPHS:
        if (source / name).exists():
            shutil.copyfile(source / name, folder / name)
    return folder


def commands(model: str, data: Path, rows: int, steps: int | None, out: Path) -> dict[str, list[str]]:
    """What is run, by name, in order; each writes into a folder of its name."""
    size = model_resolution(model)
    sampled = ["--model", model, *(["--steps", str(steps)] if steps is not None else [])]
    bench = str(fixture(data, rows, size))
    captions = str(prompts(data / f"captions-{rows // 2}.txt", rows // 2, size))
    coder = ["--model", model]
    found = {
        "world": ["eval", "world", *sampled, "--limit", str(rows)],
        "kontextbench": ["eval", "kontextbench", *sampled, "--data", bench],
        "t2i": ["eval", "t2i", *sampled, "--prompts", captions],
        "autoencoder-photographs": ["eval", "autoencoder", *coder, "--data", str(photographs(data / "photographs"))],
        "autoencoder-world": ["eval", "autoencoder", *coder, "--world", "--limit", str(rows // 2)],
        "drift": ["eval", "drift", *sampled, "--turns", "4", "--limit", str(max(1, rows // 10))],
        "latency": ["eval", "latency", *sampled, "--repeats", "3", "--no-diffusers"],
    }
    called = {name: [*_RUN, *command, "--out", str(out / name)] for name, command in found.items()}
    parts = {name: [*_PART, name, bench, str(out / "kontextbench"), str(out / name)] for name in PARTS}
    return called | parts


def run(model: str, rows: int, steps: int | None, data: Path, out: Path, breaks: int = 0) -> list[dict]:
    """Run all; with `breaks`, every command but the timed one is killed so many times at random moments."""
    done = []
    for name, command in commands(model, data, rows, steps, out).items():
        print(f"{name}: {' '.join(command[3:])}", flush=True)
        started = time.perf_counter()
        for _ in range(0 if name == "latency" else breaks):
            try:
                subprocess.run(command, timeout=random.uniform(4, 20), check=False)
            except subprocess.TimeoutExpired:
                print("  killed", flush=True)
        code = subprocess.run(command, check=False).returncode
        done.append({"name": name, "exit code": code, "seconds": round(time.perf_counter() - started, 1)})
    write_json(out / "suite.json", {"model": model, "rows": rows, "steps": steps, "ran": done})
    links = "".join(f'<li><a href="{r["name"]}/report.html">{html.escape(r["name"])}</a></li>' for r in done)
    (out / "index.html").write_text(f"<!doctype html><title>Suite: {model}</title><h1>{model}</h1><ul>{links}</ul>\n")
    return done


def digests(out: Path) -> dict[str, str]:
    """SHA-256 of every file that holds no times."""
    files = (p for p in sorted(out.rglob("*")) if p.is_file() and p.name not in TIMED and p.parent != out)
    return {
        str(p.relative_to(out)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in files
        if p.relative_to(out).parts[0] != "latency"
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Every evaluation, small.")
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--rows", type=int, default=40)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--out", type=Path, default=Path("out/suite"))
    parser.add_argument("--breaks", type=int, default=0, help="Also a second run, killed so often a command.")
    arguments = parser.parse_args()
    how = arguments.model, arguments.rows, arguments.steps, arguments.out / "data"
    done = run(*how, arguments.out / "reports")
    table = Table(
        *done[0], title=f"Suite: {arguments.model}, {arguments.rows} rows; {arguments.out}/reports/index.html"
    )
    for row in done:
        table.add_row(*map(str, row.values()))
    table.add_row("all", "", f"{sum(row['seconds'] for row in done):.0f}")
    code = max(row["exit code"] for row in done)
    if arguments.breaks:
        run(*how, arguments.out / "broken", arguments.breaks)
        whole, broken = digests(arguments.out / "reports"), digests(arguments.out / "broken")
        other = sorted(name for name in whole.keys() | broken.keys() if whole.get(name) != broken.get(name))
        print(json.dumps({"files compared": len(whole), "files that differ after breaks": other}, indent=2))
        code = max(code, int(bool(other)))
    Console().print(table)
    sys.exit(code)


if __name__ == "__main__":
    main()
