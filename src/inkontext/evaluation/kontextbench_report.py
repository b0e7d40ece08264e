"""KontextBench's results for the eye: tables on the terminal, and a page with bars and pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from inkontext.data.world.bench import CATEGORIES
from inkontext.errors import PictureError
from inkontext.evaluation.kontextbench_data import PUBLISHED, Item
from inkontext.evaluation.report import Bars, Cell, Pictures, Point, Report, Section, Table
from inkontext.evaluation.statistics import middle, spread
from inkontext.safety.pictures import read_picture
from inkontext.safety.provenance import save_picture

SHOWN: Final = 8  # pictures a category on the page
NAMED: Final = 6  # problems of a kind that the table names
_SIDE: Final = 384  # pixels, of the page's copies of references


def report_of(body: dict[str, Any], seconds: Mapping[str, float], notes: Sequence[str] = ()) -> Report:
    """The tables; with times and notes of a run for the terminal, without either for the page."""
    return Report(
        f"{_name(body['system'])}: KontextBench, seed {body['seed']}",
        {"system": _name(body["system"]), "data": body["data"], **{k: str(v) for k, v in body["versions"].items()}},
        [_rows(body, seconds), _scores(body), *_problems(body, notes)],
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
            lines.append([category, label, cell["n"], cell["missing"], cell["mean"], told])
            for reason, count in cell["reasons"].items():
                why[f"{name}: {reason}"] = why.get(f"{name}: {reason}", 0) + count
    notes = [f"missing {count}: {reason}" for reason, count in sorted(why.items())]
    notes.append("means over the scores there are; 95 % intervals: bootstrap of the mean, Wilson's for shares")
    return Table("Scores", ("category", "metric", "n", "missing", "mean", "95 % interval"), lines, notes)


def _problems(body: dict[str, Any], notes: Sequence[str]) -> list[Table]:
    """What is wrong with data, pictures and files, by kind and by name."""
    kinds: dict[str, list[str]] = {}
    for problem in body["problems"]:
        told = f"{problem['name']} ({problem['detail']})" if problem["detail"] else problem["name"]
        kinds.setdefault(problem["kind"], []).append(told)
    for note in notes:
        kind, _, told = note.partition(": ")
        kinds.setdefault(kind, []).append(told)
    lines: list[list[Cell]] = []
    for kind, names in kinds.items():
        more = f", and {len(names) - NAMED} more, see the JSON" if len(names) > NAMED else ""
        lines.append([f"{kind}: {', '.join(names[:NAMED])}{more}", len(names)])
    return [Table("Problems", ("what", "count"), lines)] if lines else []


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
        shown = [(f"{row['key']}: {row['instruction']}", [_reference(row["key"], files[row["key"]], folder),
                                                          f"outputs/{row['key']}.png"]) for row in chosen]  # fmt: skip
        if shown:
            out.append(Pictures(f"{CATEGORIES[category][0]}: reference, output", shown))
    return out


def _reference(key: str, file: Path, folder: Path) -> str:
    """A small copy of a row's reference beside the page; returns its path from there."""
    path = f"references/{key}.png"
    if not (folder / path).exists():
        try:
            picture = read_picture(file).rgb
        except PictureError:  # it could be read when the row was scored; the page goes without
            return path
        picture.thumbnail((_SIDE, _SIDE))
        save_picture(picture, folder / path)
    return path
