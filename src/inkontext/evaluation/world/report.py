"""The world's results for the eye: tables on the terminal, and a page with bars and pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from inkontext.data.world import Outside
from inkontext.data.world.bench import rebuild
from inkontext.evaluation.report import Bars, Cell, Pictures, Point, Report, Table, shown
from inkontext.evaluation.statistics import middle, spread
from inkontext.evaluation.world.systems import TRUTH
from inkontext.safety.provenance import save_picture

SHOWN: Final = 8  # pairs a task on the page


def report_of(body: dict[str, Any], seconds: Mapping[str, float]) -> Report:
    """The tables; with times for the terminal, without for the page, which keeps its bytes."""
    system = body["system"]
    name = {"model": system.get("name"), "baseline": f"baseline {system.get('name')}"}.get(system["kind"], "outputs")
    world = "photograph world" if body["outside"] else "world"
    facts = {key: str(value) for key, value in (system | body["versions"]).items() if value is not None}
    world += "" if body.get("level", 3) == 3 else f" of level {body['level']}"
    title = f"{name}: {world}, seed {body['seed']}, {body['size']} px"
    return Report(title, facts, [_tasks(title, body, seconds)])


def write_report(body: dict[str, Any], folder: Path, outside: Outside | None = None) -> Path:
    """Write `report.html` with plots, and `shown/` with the pairs it shows; the same bytes for the same results."""
    report = report_of(body, {})
    bars = {task: _point(figures) for task, figures in body["by_task"].items()}
    report.sections.append(Bars("Success by task", "% of pairs", bars))
    if body["t2i"]:
        report.sections.append(_attributes(body["t2i"]))
        told = {name: _share(cell) for name, cell in body["t2i"]["by_attribute"].items()}
        report.sections.append(Bars("Attributes of captions", "% right", told))
    for task in dict.fromkeys(row["task"] for row in body["rows"]):
        rows = [row for row in body["rows"] if row["task"] == task and not (row["missing"] or row["refused"])]
        chosen = [rows[n] for n in sorted(spread(SHOWN, len(rows)))] if rows else []
        if chosen:
            lines = [(_caption(row), _pictures(row, folder, outside)) for row in chosen]
            report.sections.append(Pictures(f"{task}: references, made, wanted", lines))
    return report.write(folder)


def _tasks(title: str, body: dict[str, Any], seconds: Mapping[str, float]) -> Table:
    """Per task and in all: success with its interval, the untouched region, time; then what needs saying."""
    lost, timed = bool(body["missing_pictures"]), bool(seconds)
    columns = ["task", "pairs", "bases", *["missing"] * lost, "success %", "95 %", "untouched dB", "changed"]
    lines: list[list[Cell]] = []

    def add(name: str, figures: dict[str, Any], tasks: set[str]) -> None:
        counts = [figures["pairs"], figures["bases"], *[figures["missing"]] * lost]
        measures = [
            _percent(figures["success"]),
            _ends(figures["success_interval"]),
            figures["untouched_psnr"],
            figures["changed"],
        ]
        lines.append([name, *counts, *measures, *[_seconds(body, seconds, tasks)] * timed])

    for task, figures in body["by_task"].items():
        add(task, figures, {task})
    if len(body["by_task"]) > 1:
        add("all", body, set(body["by_task"]))
    if body["from_outside"]:
        add("photo, emoji", body["from_outside"], set())
    if body["t2i"]:
        add("t2i", body["t2i"], {"t2i"})
    return Table(title, [*columns, *["seconds"] * timed], lines, _notes(body))


def _attributes(t2i: dict[str, Any]) -> Table:
    rows = [
        [name, cell["told"], _percent(cell["accuracy"]), _ends(cell["interval"])]
        for name, cell in t2i["by_attribute"].items()
    ]
    whole = ["all", t2i["attributes"], _percent(t2i["attribute_accuracy"]), _ends(t2i["attribute_interval"])]
    notes = ["95 % intervals over the captions, each of which tells several attributes"]
    return Table("t2i: attributes that captions tell", ("attribute", "told", "right %", "95 %"), [*rows, whole], notes)


def _seconds(body: dict[str, Any], seconds: Mapping[str, float], tasks: set[str]) -> float | None:
    """Median over the pictures made, so that the first one's warming up does not count."""
    rows = [row for row in body["rows"] if row["task"] in tasks and not (row["missing"] or row["refused"])]
    return middle(seconds.get(row["key"]) for row in rows)


def _notes(body: dict[str, Any]) -> list[str]:
    both = [body, body["t2i"]] if body["t2i"] else [body]
    refused, resized = (sum(part[name] for part in both) for name in ("refused", "resized"))
    fails = ", ".join(f"{name} {count}" for name, count in body["fails"].items())
    notes = ["95 %: over the base pictures, of each of which several edits are asked (Wilson's where only one is)"]
    notes += _choice(body["system"].get("best_of"))
    notes += [f"failed on (a picture may fail on several): {fails}"] if body["pairs"] else []
    if t2i := body["t2i"]:
        notes.append(f"t2i attribute accuracy: {shown(_percent(t2i['attribute_accuracy']))} % of {t2i['attributes']}")
    if missing := body["missing_pictures"]:
        some = ", ".join(f"{key} ({why})" for key, why in list(missing.items())[:4])
        notes.append(f"missing, counted nowhere: {len(missing)}: {some}{', …' if len(missing) > 4 else ''}")
    if refused:
        notes.append(f"refused by the model (prompt too long), counted as failures: {refused}")
    if resized:
        notes.append(f"of another size, scored after resizing to {body['size']} px: {resized}")
    return notes


def _choice(best: dict[str, Any] | None) -> list[str]:
    """How the picture that counts was chosen among several; that a scorer saw the truth must not be overlooked."""
    if best is None:
        return []
    if best["scorer"] == TRUTH:
        return [
            f"the best of {best['candidates']} candidates by the world's scorer, WHICH SEES THE TRUTH: the most that "
            "a choice could bring, not what the model does for a user"
        ]
    return [f"the best of {best['candidates']} candidates by scorer '{best['scorer']}', which does not see the truth"]


def _caption(row: dict[str, Any]) -> str:
    verdict = "right" if row["success"] else f"fails on {', '.join(row['fails'])}"
    return f"{row['key']}: {row['instruction']} ({verdict})"


def _pictures(row: dict[str, Any], folder: Path, outside: Outside | None) -> Sequence[str]:
    """Paths of references, output and target from the page; what the bench holds is drawn again from its seed."""
    pair = rebuild(row, outside)
    drawn = {f"shown/{row['key']}-{i}.png": picture for i, picture in enumerate(pair.references)}
    wanted = f"shown/{row['key']}-wanted.png"
    for path, picture in (drawn | {wanted: pair.target}).items():
        if not (folder / path).exists():
            save_picture(picture, folder / path)
    return [*drawn, f"outputs/{row['key']}.png", wanted]


def _point(figures: dict[str, Any]) -> Point:
    low, high = figures["success_interval"] or (None, None)
    return Point(0, _percent(figures["success"]), _percent(low), _percent(high))


def _share(cell: dict[str, Any]) -> Point:
    low, high = cell["interval"] or (None, None)
    return Point(0, _percent(cell["accuracy"]), _percent(low), _percent(high))


def _ends(ends: Sequence[float] | None) -> str | None:
    """An interval of a share, in percent."""
    return f"{100 * ends[0]:.1f}–{100 * ends[1]:.1f}" if ends else None


def _percent(share: float | None) -> float | None:
    return None if share is None else 100 * share
