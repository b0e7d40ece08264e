"""The results of `eval t2i` for the eye: the five questions, tables by category and challenge, bars, pictures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from inkontext.evaluation.problems import problem_tables
from inkontext.evaluation.report import Bars, Cell, Pictures, Point, Report, Section, Table
from inkontext.evaluation.statistics import spread
from inkontext.evaluation.t2i.judges import QUESTIONS, SPEED

SHOWN: Final = 6  # pictures a category on the page
WIDE: Final = 3  # judges a table


def report_of(body: dict[str, Any], speed: Mapping[str, Any] | None = None, notes: Sequence[str] = ()) -> Report:
    """The tables; with the clock's figures and notes of a run for the terminal, without either for the page."""
    system = body["system"]
    name = str(system["name"]) if system["kind"] == "model" else "outputs"
    prompts = body["prompts"]
    facts = {
        "system": name, "prompts": f"{prompts['chosen']} of {sum(prompts['sets'].values())} ({prompts['digest']})",
        **body["versions"],
    }  # fmt: skip
    sections: list[Section] = [_questions(body, speed), *_groups(body), *problem_tables(body["problems"], notes)]
    return Report(f"{name}: text to image, seed {body['seed']}", facts, sections)


def write_report(body: dict[str, Any], folder: Path) -> Path:
    """Write `report.html` with plots; the same bytes for the same results."""
    report = report_of(body)
    report.sections[1:1] = _bars(body)
    report.sections += _pictures(body)
    return report.write(folder)


def _questions(body: dict[str, Any], speed: Mapping[str, Any] | None) -> Table:
    """One line a judge, or the reason why there is none."""
    lines: list[list[Cell]] = []
    notes: list[str] = []
    for question in QUESTIONS:
        mine = {name: judge for name, judge in body["judges"].items() if judge["question"] == question}
        if not mine:
            lines.append([question, "not measured", None, None, None])
            notes.append(f"{question}: not measured ({body['unanswered'][question]})")
        for name, judge in mine.items():
            cell = body["overall"]["judges"][name]
            ends = cell["interval"]
            told = f"{ends[0]:.4g} – {ends[1]:.4g}" if ends else None
            label = f"{name}, {judge['unit']} {'↑' if judge['higher_is_better'] else '↓'}"
            lines.append([question, label if cell["n"] else "not measured", cell["n"], cell["mean"], told])
            if not cell["n"]:
                notes.append(f"{question}: {name} has no score ({', '.join(cell['reasons'])})")
            elif cell["reasons"]:
                lost = "; ".join(f"{count} × {reason}" for reason, count in cell["reasons"].items())
                notes.append(f"{question}: {name} is missing {lost}")
    lines.append(_speed(body, speed, notes))
    counts = body["overall"]
    notes.append(f"{counts['rows']} prompts; no picture: {counts['missing']}; refused: {counts['refused']}")
    notes.append("means over the scores there are; 95 % intervals: bootstrap of the mean, Wilson's for shares; whole")
    notes[-1] += " prompts are drawn where one is there several times"
    return Table("The five questions", ("question", "judge", "n", "mean", "95 % interval"), lines, notes)


def _speed(body: dict[str, Any], speed: Mapping[str, Any] | None, notes: list[str]) -> list[Cell]:
    if not body["system"]["is_timed"]:
        notes.append("speed: not measured (the pictures were given)")
        return [SPEED, "not measured", None, None, None]
    if speed is None:
        notes.append("speed: kept apart in speed.json, so that this page is the same after every run")
        return [SPEED, "speed.json", None, None, None]
    if speed["n"]:
        notes.append(
            f"speed: median over the pictures made, scoring not included; 10th to 90th percentile "
            f"{speed['p10']:.4g} – {speed['p90']:.4g}"
        )
    return [SPEED, "seconds a picture ↓", speed["n"], speed["median"], None]


def _groups(body: dict[str, Any]) -> list[Table]:
    """Tables of categories and of challenges for each set that has them; means only, the rest is in the JSON."""
    return [
        _group(f"{title} by {field}", field, names, figures[f"by_{field}"])
        for title, figures in body["sets"].items()
        for field in ("category", "challenge")
        for names in _batched(list(body["judges"]))
        if figures[f"by_{field}"]
    ]


def _batched(names: Sequence[str]) -> list[Sequence[str]]:
    return [names[i : i + WIDE] for i in range(0, len(names), WIDE)]


def _group(title: str, field: str, names: Sequence[str], groups: Mapping[str, Any]) -> Table:
    lines: list[list[Cell]] = [
        [group, cells["rows"], *(cells["judges"][name]["mean"] for name in names)] for group, cells in groups.items()
    ]
    few = any(cells["judges"][name]["missing"] for cells in groups.values() for name in names)
    notes = ["means over the rows that have a score; how many is in the JSON"] if few else []
    return Table(title, (field, "rows", *names), lines, notes)


def _bars(body: dict[str, Any]) -> list[Section]:
    """A plot a judge: over all sets, and by category and by challenge of each set, where there is a score."""
    out: list[Section] = []
    for name, judge in body["judges"].items():
        axis = f"{judge['unit']}, {'higher' if judge['higher_is_better'] else 'lower'} is better"
        sets = {title: figures["overall"] for title, figures in body["sets"].items()}
        plots = {f"{judge['question']}: {name}": sets}
        for title, figures in body["sets"].items():
            for field in ("category", "challenge"):
                plots[f"{name}, {title} by {field}"] = figures[f"by_{field}"]
        for title, groups in plots.items():
            there = {group: cells["judges"][name] for group, cells in groups.items()}
            points = {group: _point(cell) for group, cell in there.items() if cell["n"]}
            if points:
                out.append(Bars(title, axis, points))
    return out


def _point(cell: Mapping[str, Any]) -> Point:
    return Point(0, cell["mean"], *(cell["interval"] or (None, None)))


def _pictures(body: dict[str, Any]) -> list[Section]:
    """Some prompts of each category, evenly spread, with their scores."""
    rows = [row for row in body["rows"] if not (row["missing"] or row["refused"])]
    groups = Counter((row["set"], row["category"]) for row in rows)
    out: list[Section] = []
    for title, category in groups:
        own = [row for row in rows if (row["set"], row["category"]) == (title, category)]
        chosen = [own[n] for n in sorted(spread(SHOWN, len(own)))]
        shown = [(_caption(row), [f"outputs/{row['key']}.png"]) for row in chosen]
        out.append(Pictures(f"{title}: {category}" if category else title, shown))
    return out


def _caption(row: Mapping[str, Any]) -> str:
    told = ", ".join(f"{name} {value:.3f}" for name, value in row["scores"].items() if value is not None)
    return f"{row['key']}: {row['prompt']}" + (f" ({told})" if told else "")
