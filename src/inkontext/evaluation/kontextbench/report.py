"""KontextBench's results for the eye: tables on the terminal, and a page with bars and pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from inkontext.data.world.bench import CATEGORIES
from inkontext.evaluation.kontextbench.data import PUBLISHED, Item
from inkontext.evaluation.problems import problem_tables
from inkontext.evaluation.report import Bars, Cell, Pictures, Point, Report, Section, Table, small_copy
from inkontext.evaluation.statistics import middle, spread

SHOWN: Final = 8  # pictures a category on the page


def report_of(body: dict[str, Any], seconds: Mapping[str, float], notes: Sequence[str] = ()) -> Report:
    """The tables; with times and notes of a run for the terminal, without either for the page."""
    return Report(
        f"{_name(body['system'])}: KontextBench, seed {body['seed']}",
        {"system": _name(body["system"]), "data": body["data"], **{k: str(v) for k, v in body["versions"].items()}},
        [_rows(body, seconds), _scores(body), *problem_tables(body["problems"], notes)],
    )


def write_report(body: dict[str, Any], items: Sequence[Item], folder: Path) -> Path:
    """Write `report.html` with plots, and `references/` for its pictures; the same bytes for the same results."""
    report = report_of(body, {})
    report.sections[2:2] = _bars(body)  # before the problems, so that plots keep their numbers when those are gone
    report.sections += _pictures(body, items, folder)
    return report.write(folder)


def _name(system: dict[str, Any]) -> str:
    return str(system["name"]) if system["kind"] == "model" else "outputs"


def _rows(body: dict[str, Any], seconds: Mapping[str, float]) -> Table:
    """How many rows there were, and how long one took."""
    columns = ["category", "rows", "in the data", "published", "no picture", "refused", *["seconds"] * bool(seconds)]
    lines: list[list[Cell]] = []
    for category, figures in body["by_category"].items():
        keys = [row["key"] for row in body["rows"] if row["category"] == category]
        time = [middle(seconds.get(key) for key in keys)] * bool(seconds)
        counts = [figures["rows"], body["counts"][category], PUBLISHED[category]]
        lines.append([category, *counts, figures["missing"], figures["refused"], *time])
    notes = []
    if different := body["differs_from_published"]:
        notes.append(f"not the published counts: {'; '.join(different)}")
    if resized := sum(figures["resized"] for figures in body["by_category"].values()):
        notes.append(f"of another size than their reference, aligned after resizing: {resized}")
    if seconds:
        notes.append("seconds: median per picture made, scoring not included")
    return Table("Rows", columns, lines, notes)


def _scores(body: dict[str, Any]) -> Table:
    """Every metric of every category."""
    lines: list[list[Cell]] = []
    why: dict[str, int] = {}
    for category, figures in body["by_category"].items():
        for name, cell in figures["metrics"].items():
            metric = body["metrics"][name]
            ends = cell["interval"]
            label = f"{name}, {metric['unit']} {'↑' if metric['higher_is_better'] else '↓'}"
            told = f"{ends[0]:.4g} – {ends[1]:.4g}" if ends else None
            judged = None if cell["judged"] is None else 100 * cell["judged"]
            lines.append([category, label, cell["n"], cell["missing"], judged, cell["mean"], told])
            for reason, count in cell["reasons"].items():
                why[f"{name}: {reason}"] = why.get(f"{name}: {reason}", 0) + count
    notes = [f"missing {count}: {reason}" for reason, count in sorted(why.items())]
    notes.append("means over the scores there are; 95 % intervals: over the reference pictures, which rows share")
    notes.append(
        "judged %: how much of the outputs the mean is of, where the outputs themselves decide that; read it with "
        "whole_psnr, outside_psnr and identity_or_0, in which they have no say"
    )
    columns = ("category", "metric", "n", "missing", "judged %", "mean", "95 % interval")
    return Table("Scores", columns, lines, notes)


def _bars(body: dict[str, Any]) -> list[Section]:
    """One plot a metric that has a score, a bar a category."""
    out: list[Section] = []
    for name, metric in body["metrics"].items():
        cells = {
            c: figures["metrics"][name] for c, figures in body["by_category"].items() if name in figures["metrics"]
        }
        if any(cell["n"] for cell in cells.values()):
            points = {c: Point(0, cell["mean"], *(cell["interval"] or (None, None))) for c, cell in cells.items()}
            better = "higher" if metric["higher_is_better"] else "lower"
            out.append(Bars(name, f"{metric['unit']}, {better} is better", points))
    return out


def _pictures(body: dict[str, Any], items: Sequence[Item], folder: Path) -> list[Section]:
    """Some rows of each category, evenly spread: reference, output, instruction."""
    files = {item.key: item.file for item in items}
    out: list[Section] = []
    for category in body["by_category"]:
        rows = [row for row in body["rows"] if row["category"] == category and not (row["missing"] or row["refused"])]
        chosen = [rows[n] for n in sorted(spread(SHOWN, len(rows)))] if rows else []
        shown = []
        for row in chosen:
            key = row["key"]
            before = small_copy(files[key], folder, f"references/{key}.png")
            shown.append((f"{key}: {row['instruction']}", [before, f"outputs/{key}.png"]))
        if shown:
            out.append(Pictures(f"{CATEGORIES[category][0]}: reference, output", shown))
    return out
