"""The table of a teacher and its students: every line is measured, and compared with what it should equal."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from benchmarks.distillation import compared, entries, main, markdown


def test_only_what_is_given_is_measured() -> None:
    assert [e.name for e in entries("t", None, None, None, None, [2.0])] == [
        "teacher, 28 steps", "teacher, 4 steps", "teacher, true CFG 2",
    ]  # fmt: skip
    full = entries("t", "g", "l", "c", "f", [2.0, 3.5])
    assert [(e.guidance, e.true_cfg) for e in full if e.model == "g"] == [(1.0, None), (2.0, None), (3.5, None)]
    assert len({e.folder for e in full}) == len(full) == 10


def test_comparisons_by_hand() -> None:
    def row(name: str, success: float, seconds: float, guidance: float | None = None) -> dict[str, object]:
        return {"system": name, "success %": success, "s per edit": seconds, "guidance": guidance}

    rows = [
        row("teacher, 28 steps", 30.0, 2.0), row("teacher, 4 steps", 10.0, 0.5),
        row("teacher, true CFG 2", 40.0, 4.0), row("teacher, true CFG 3", 35.0, 4.0),
        row("guidance student at 1", 31.0, 2.0, 1.0), row("guidance student at 2", 39.5, 2.0, 2.0),
        row("ladd student", 29.0, 0.5), row("fast", 28.5, 0.25, 2.0),
    ]  # fmt: skip
    bases = [n // 4 for n in range(80)]  # four pairs a base picture
    always = [n % 2 == 0 for n in range(80)]
    worse = [answer and n // 4 < 10 for n, answer in enumerate(always)]  # nothing right on half of the pictures
    right = {str(r["system"]): always for r in rows} | {"fast": worse}
    same, less = ("+0.0 points (95 %: -16.1 to +16.1)", "-25.0 points (95 %: -37.5 to -12.5)")
    assert compared(rows, right, bases) == [
        f"guidance student at 2 against teacher, true CFG 2: {same}, 2.00 times as fast",
        f"ladd student against teacher, 28 steps: {same}, 4.00 times as fast",
        f"ladd student against teacher, 4 steps: {same}, 1.00 times as fast",
        f"fast against teacher, 28 steps: {less}, 8.00 times as fast",
        f"fast against teacher, 4 steps: {less}, 2.00 times as fast",
        f"fast against guidance student at 2: {less}, 8.00 times as fast",
    ]
    alone = compared(rows, right, range(80))[-1]  # as if all pairs were independent
    assert "-25.0 points (95 %: -35.0 to -16.2)" in alone
    assert markdown("T", [{"a": 1.23456, "b": None}]) == "T\n\n| a | b |\n|---|---|\n| 1.23 | not measured |\n"


@pytest.mark.filterwarnings("ignore")
def test_it_runs(debug_folder: Path, tmp_path: Path) -> None:
    folder = str(debug_folder)
    files = [f"--{kind}={tmp_path / kind}" for kind in ("markdown", "json", "out")]
    main(["--teacher", folder, "--guidance", folder, "--ladd", folder, "--scales", "2", "--limit", "2", *files])
    rows = json.loads((tmp_path / "json").read_text())["rows"]
    assert [r["passes"] for r in rows] == [28, 4, 8, 4, 4, 4]
    assert all(r["pairs"] == 2 and r["s per edit"] > 0 for r in rows)
    assert "| ladd student |" in (tmp_path / "markdown").read_text()
