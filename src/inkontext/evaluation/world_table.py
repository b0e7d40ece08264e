"""The world's results for the eye."""

from __future__ import annotations

from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from inkontext.evaluation.statistics import middle
from inkontext.evaluation.world import Evaluation


def print_table(result: Evaluation, console: Console) -> None:
    """Per task and in all: success with its interval, the untouched region, time; then what needs saying."""
    body = result.body
    table = Table(title=_title(body), title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    missing = ("missing",) if body["missing_pictures"] else ()
    for column in (
        "task",
        "pairs",
        *missing,
        "success\n%",
        "95 %\ninterval",
        "untouched\ndB",
        "changed",
        "seconds\neach",
    ):
        table.add_column(column, justify="left" if column == "task" else "right", no_wrap=True)

    def add(name: str, figures: dict[str, Any], tasks: set[str], **look: Any) -> None:
        lost = (str(figures["missing"]),) if missing else ()
        cells = [name, str(figures["pairs"]), *lost, *_measures(figures), _seconds(result, tasks)]
        table.add_row(*cells, **look)

    for task, figures in body["by_task"].items():
        add(task, figures, {task})
    table.add_section()
    if len(body["by_task"]) > 1:
        add("all", body, set(body["by_task"]), style="bold")
    if body["from_outside"]:
        add("photo, emoji", body["from_outside"], set())
    if body["t2i"]:
        table.add_section()
        add("t2i", body["t2i"], {"t2i"})
    console.print(table)
    for note in _notes(body):
        console.print(note, highlight=False, soft_wrap=True, markup=False)


def _title(body: dict[str, Any]) -> str:
    system = body["system"]
    name = {"model": system.get("name"), "baseline": f"baseline {system.get('name')}"}.get(system["kind"], "outputs")
    world = "photograph world" if body["outside"] else "world"
    return f"{name}: {world}, seed {body['seed']}, {body['size']} px"


def _measures(figures: dict[str, Any]) -> list[str]:
    ends = figures["success_interval"]
    return [
        _percent(figures["success"]),
        f"{_percent(ends[0])}–{_percent(ends[1])}" if ends else "–",
        _number(figures["untouched_psnr"], 1),
        _number(figures["changed"], 2),
    ]


def _seconds(result: Evaluation, tasks: set[str]) -> str:
    """Median over the pictures made, so that the first one's warming up does not count."""
    rows = [row for row in result.body["rows"] if row["task"] in tasks and not (row["missing"] or row["refused"])]
    times = (result.seconds.get(row["key"]) for row in rows)
    return _number(middle(times), 2)


def _notes(body: dict[str, Any]) -> list[str]:
    t2i = body["t2i"]
    both = [body, t2i] if t2i else [body]
    refused, resized = (sum(part[name] for part in both) for name in ("refused", "resized"))
    fails = ", ".join(f"{name} {count}" for name, count in body["fails"].items())
    notes = [f"failed on (a picture may fail on several): {fails}"] if body["pairs"] else []
    if t2i:
        notes.append(f"t2i attribute accuracy: {_percent(t2i['attribute_accuracy'])} % of {t2i['attributes']}")
    if missing := body["missing_pictures"]:
        some = ", ".join(f"{key} ({why})" for key, why in list(missing.items())[:4])
        notes.append(f"missing, counted nowhere: {len(missing)}: {some}{', …' if len(missing) > 4 else ''}")
    if refused:
        notes.append(f"refused by the model (prompt too long), counted as failures: {refused}")
    if resized:
        notes.append(f"of another size, scored after resizing to {body['size']} px: {resized}")
    return notes


def _percent(value: float | None) -> str:
    return _number(None if value is None else 100 * value, 1)


def _number(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f}"
