"""The results of `eval identity` for the eye: a table, a curve over turns or bars, and pictures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from inkontext.evaluation.identity.data import Series
from inkontext.evaluation.problems import problem_tables
from inkontext.evaluation.report import Bars, Cell, Curves, Pictures, Point, Report, Section, Table, small_copy
from inkontext.evaluation.statistics import spread

SHOWN: Final = 6  # items a system on the page


def report_of(body: dict[str, Any]) -> Report:
    """The tables."""
    names = ", ".join(body["embedders"])
    facts = {"systems": ", ".join(body["systems"]), "embedders": names, **body["versions"]}
    return Report("Identity", facts, [_table(body), *problem_tables(body["problems"])])


def write_report(body: dict[str, Any], series: Sequence[Series], folder: Path) -> Path:
    """Write `report.html`, `plots/` and `pictures/`; the same bytes for the same results."""
    report = report_of(body)
    report.sections[1:1] = plots_of(body)
    report.sections += _pictures(body, series, folder)
    return report.write(folder)


def _table(body: dict[str, Any]) -> Table:
    lines: list[list[Cell]] = []
    why: Counter[str] = Counter()
    for system, figures in body["systems"].items():
        for turn, at in figures["turns"].items():
            for name, cell in at["scores"].items():
                ends = cell["interval"]
                told = f"{ends[0]:.4g} – {ends[1]:.4g}" if ends else None
                judged = None if cell["judged"] is None else 100 * cell["judged"]
                counts = [cell["n"], cell["missing"], judged]
                lines.append([system, int(turn), name, *counts, cell["mean"], told])
                why.update({f"{name}: {reason}": count for reason, count in cell["reasons"].items()})
    notes = [f"missing {count}: {reason}" for reason, count in sorted(why.items())]
    notes += [f"no {name}: {e['unavailable']}" for name, e in body["embedders"].items() if e["unavailable"]]
    if not _comparable(body):
        notes.append("the systems have scores of different items; compare them with care")
    notes.append("mean cosine to the first picture, over the items that have one; 95 % interval: over first pictures")
    notes.append("judged %: of the edits whose first picture can be compared; NAME_or_0 counts the rest as 0")
    columns = ("system", "turn", "embedder", "n", "missing", "judged %", "mean", "95 % interval")
    return Table("Identity", columns, lines, notes)


def _comparable(body: dict[str, Any]) -> bool:
    """Whether at every turn all systems have a score of the same items."""
    having: dict[tuple[int, str], dict[str, set[str]]] = {}
    for row in body["rows"]:
        for name, value in row["scores"].items():
            own = having.setdefault((row["turn"], name), {}).setdefault(row["system"], set())
            if value is not None:
                own.add(row["key"])
    return all(len(set(map(frozenset, systems.values()))) == 1 for systems in having.values())


def plots_of(body: dict[str, Any]) -> list[Section]:
    """For each embedder, curves over turns, or bars where every system has one turn only."""
    out: list[Section] = []
    for name, embedder in body["embedders"].items():
        if embedder["unavailable"]:
            continue
        lines: dict[str, Sequence[Point]] = {
            system: [_point(int(turn), at["scores"][name]) for turn, at in figures["turns"].items()]
            for system, figures in body["systems"].items()
        }
        if not any(point.y is not None for points in lines.values() for point in points):
            continue
        if all(len(points) == 1 for points in lines.values()):
            out.append(
                Bars(f"By {name}", "cosine, higher is better", {system: points[0] for system, points in lines.items()})
            )
        else:
            out.append(Curves(f"By {name}", "turn", "cosine to the first picture", lines))
    return out


def _point(turn: int, cell: dict[str, Any]) -> Point:
    return Point(turn, cell["mean"], *(cell["interval"] or (None, None)))


def _pictures(body: dict[str, Any], series: Sequence[Series], folder: Path) -> list[Section]:
    """Some items of each system, evenly spread: the first picture and its edits, with their scores."""
    out: list[Section] = []
    of = {(row["system"], row["key"], row["turn"]): row for row in body["rows"]}
    for at, system in enumerate(body["systems"]):
        own = [s for s in series if s.system == system]
        rows = []
        for number in sorted(spread(SHOWN, len(own))):
            item = own[number]
            there = [turn for turn in range(1, len(item.pictures)) if not of[system, item.key, turn]["missing"]]
            if there:
                name = f"pictures/{at:02d}-{number:04d}"
                shown = [small_copy(item.pictures[turn], folder, f"{name}-{turn:02d}.png") for turn in (0, *there)]
                rows.append((_caption(item.key, [of[system, item.key, turn] for turn in there]), shown))
        if rows:
            out.append(Pictures(f"{system}: first picture, edits", rows))
    return out


def _caption(key: str, rows: Sequence[dict[str, Any]]) -> str:
    parts = []
    for name in rows[0]["scores"]:
        values = (row["scores"][name] for row in rows)
        parts.append(f"{name} " + ", ".join("—" if value is None else f"{value:.3f}" for value in values))
    return f"{key}: {'; '.join(parts)}"
