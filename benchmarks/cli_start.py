"""How long `inkontext --help` takes, beside an interpreter that does nothing.

python -m benchmarks.cli_start [--json FILE]
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.table import report

RUNS = 11
PYTHON = Path(sys.executable)
SCRIPT = PYTHON.with_name("inkontext")
COMMANDS = {
    "python -c pass": (PYTHON, "-c", "pass"),
    "inkontext --help": (SCRIPT, "--help"),
    "inkontext edit --help": (SCRIPT, "edit", "--help"),
}


def seconds(command: tuple[str | Path, ...]) -> float:
    """Wall time of one run from start to end."""
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def main() -> None:
    rows = []
    for name, command in COMMANDS.items():
        taken = [seconds(command) for _ in range(RUNS)]
        aim = "<= 0.5 s" if name.startswith("inkontext") else ""
        median = statistics.median(taken)
        rows.append({"command": name, "runs": RUNS, "median s": median, "worst s": max(taken), "aim": aim})
    report("start of the command line", rows)


if __name__ == "__main__":
    main()
