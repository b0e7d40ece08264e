"""The test suite again and again beside busy loops: a run that fails by chance shows here.

    python -m benchmarks.soak --runs 10 --json benchmarks/results/soak.json

Every core has a process that does nothing but spin, at the priority of the tests. The table is printed, and the JSON
file written, after every run.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.table import show

SPIN = "while True: pass"
ENDED = re.compile(r"(\d+) (passed|failed|errors?|skipped)")
FAILED = re.compile(r"^(?:FAILED|ERROR) (\S+)", re.MULTILINE)


def run(words: list[str]) -> dict[str, object]:
    """One run of the suite: how it ended, and the names of the tests that failed."""
    began = time.monotonic()
    ended = subprocess.run([sys.executable, "-m", "pytest", *words], capture_output=True, text=True, check=False)
    lines = [line for line in ended.stdout.splitlines() if ENDED.search(line)]
    found = {kind.removesuffix("s"): int(count) for count, kind in ENDED.findall(lines[-1] if lines else "")}
    counts = {kind: found.get(kind, 0) for kind in ("passed", "failed", "error", "skipped")}
    names = list(dict.fromkeys(FAILED.findall(ended.stdout)))
    return {"exit": ended.returncode, **counts, "minutes": (time.monotonic() - began) / 60, "failing": " ".join(names)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--busy", type=int, default=os.cpu_count(), help="busy loops beside the tests")
    parser.add_argument("--json", type=Path)
    words = ["-q", "-n", "2", "--dist", "worksteal"]
    parser.add_argument("words", nargs="*", default=words, help="what pytest is called with, after --")
    given = parser.parse_args()
    rows: list[dict[str, object]] = []
    loops = [subprocess.Popen([sys.executable, "-c", SPIN]) for _ in range(given.busy)]
    try:
        for number in range(1, given.runs + 1):
            rows.append({"run": number, "busy loops": given.busy, **run(given.words)})
            show("the suite beside busy loops", rows, given.json)
    finally:
        for loop in loops:
            loop.kill()
    bad = sum(row["exit"] != 0 for row in rows)
    print(f"{bad} of {len(rows)} runs failed")
    sys.exit(bool(bad))


if __name__ == "__main__":
    main()
