"""Drift for the eye: a table for the terminal, curves over the turns and strips of pictures for the page."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from inkontext.evaluation.report import Cell, Curves, Pictures, Point, Report, Table

TITLES: Final = {
    "untouched_psnr": ("Untouched region against the first picture", "dB"),
    "identity": ("A character nobody asked to change", "SSIM"),
    "recognised": ("The character is nearer to itself than to strangers", "share"),
    "followed": ("The turn's edit was made", "share"),
}
_SHOWN: Final = 8  # strips on the page


def report_of(body: dict[str, Any], seconds: Mapping[str, float] | None = None) -> Report:
    """The tables; with the seconds of a run for the terminal, without for the page."""
    title = f"{body['system']['name']}: drift over {body['turns']} turns, seed {body['seed']}"
    facts = {"chains": str(body["chains"]), "size": f"{body['size']} px", **body["versions"]}
    return Report(title, facts, [_table(body, seconds or {})])


def write_report(body: dict[str, Any], folder: Path) -> Path:
    """Write `report.html` with its plots; the same bytes for the same results."""
    report = report_of(body)
    for name, (title, unit) in TITLES.items():
        report.sections.append(Curves(title, "turn", unit, {arm: _points(body, name, arm) for arm in body["arms"]}))
    rows = [(" · ".join(row["instructions"][:4]), (f"outputs/{row['key']}.png",)) for row in body["rows"][:_SHOWN]]
    report.sections.append(Pictures(f"Rows: what was asked, {', '.join(body['arms'])}", rows))
    return report.write(folder)


def _points(body: dict[str, Any], name: str, arm: str) -> list[Point]:
    ends = body["intervals"][name][arm]
    return [
        Point(n, y, *(end or (None, None))) for n, (y, end) in enumerate(zip(body[name][arm], ends, strict=True), 1)
    ]


def _table(body: dict[str, Any], seconds: Mapping[str, float]) -> Table:
    last = body["turns"]
    turns = sorted({1, last, *(n for n in (5, 10, 20, 50, 100) if n < last)})
    lines: list[list[Cell]] = [
        [f"{name}, {unit}: {arm}", *(body[name][arm][n - 1] for n in turns), _ends(body["intervals"][name][arm][-1])]
        for name, (_, unit) in TITLES.items()
        for arm in body["arms"]
    ]
    notes = [f"means over {body['chains']} chains; 95 %: of the last turn, over the chains; the others are in the JSON"]
    if any(body["refused"].values()):
        told = ", ".join(f"{arm} {count}" for arm, count in body["refused"].items())
        notes.append(f"refused by the model (prompt too long), the picture left as it was: {told}")
    if seconds:
        notes.append(f"{sum(seconds.values()) / len(seconds):.1f} seconds a chain")
    return Table("Drift", ["after turn", *map(str, turns), "95 %"], lines, notes)


def _ends(ends: list[float] | None) -> str | None:
    return f"{ends[0]:.4g} – {ends[1]:.4g}" if ends else None
