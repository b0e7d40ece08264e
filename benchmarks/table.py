"""Print a benchmark's rows as a table, and write them as JSON where asked."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table


def report(title: str, rows: list[dict[str, Any]]) -> None:
    """Print `rows` (all with the same keys); `--json FILE` on the command line also writes them."""
    parser = argparse.ArgumentParser(description=title)
    parser.add_argument("--json", type=Path)
    show(title, rows, parser.parse_args().json)


def show(title: str, rows: list[dict[str, Any]], file: Path | None) -> None:
    """Print `rows`, and write them into `file` where there is one."""
    table = Table(*rows[0], title=title)
    for row in rows:
        table.add_row(*(f"{v:.3g}" if isinstance(v, float) else str(v) for v in row.values()))
    Console(width=120).print(table)
    if file:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps({"title": title, "rows": rows}, indent=2) + "\n")
