"""The results of a study as tables and bars."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from inkontext.evaluation.preference.ratings import MEAN
from inkontext.evaluation.report import Bars, Point, Report, Section, Table

_COLUMNS = ("system", "BT", "95 %", "Elo", "95 %", "wins %", "won", "tied", "lost")


def preference_report(body: dict[str, Any]) -> Report:
    """The report of `rate.results`."""
    facts = {
        "study": body["study"],
        "systems": ", ".join(body["systems"]),
        "trials": str(body["trials"]),
        "raters counted": str(sum(not r["dropped"] for r in body["raters"])),
        "resamples, seed": f"{body['resamples']}, {body['seed']}",
        "version": body["version"],
    }
    return Report("Blind comparison", facts, list(_sections(body)))


def _sections(body: dict[str, Any]) -> Iterator[Section]:
    yield from _tables("All questions", body["overall"], body["systems"])
    for name, question in body["questions"].items():
        yield from _tables(f"{name}: {question}", body["by_dimension"][name], body["systems"])
    for name, table in body["by_category"].items():
        yield from _tables(f"Category {name}", table, body["systems"])
    yield _agreement(body)
    yield _raters(body["raters"])


def _tables(title: str, table: dict[str, Any], systems: list[str]) -> Iterator[Section]:
    rows = [_row(name, figures) for name, figures in _ranked(table["systems"])]
    yield Table(title, _COLUMNS, rows, [f"{table['votes']} votes", *table["notes"]])
    name = title.partition(":")[0]
    points = {
        system: _point(figures["bradley_terry"], figures["bradley_terry_interval"])
        for system, figures in _ranked(table["systems"])
    }
    yield Bars(f"Bradley-Terry, {name}", f"points above {MEAN:.0f}, with 95 % intervals", points)
    shares = [
        (system, *(None if share is None else round(100 * share, 1) for share in row))
        for system, row in zip(systems, table["win_rate"], strict=True)
    ]
    note = "Per cent of the votes that the row won against the column, a tie as half."
    yield Table(f"Who wins, {name}", ("", *systems), shares, [note])


def _ranked(systems: dict[str, Any]) -> list[tuple[str, Any]]:
    """Strongest first; those without a number last, by their share of wins."""

    def strength(item: tuple[str, Any]) -> tuple[bool, float, float]:
        figures = item[1]
        rating, won = figures["bradley_terry"], figures["win_rate"]
        return rating is None, -(rating or 0), -(-1 if won is None else won)

    return sorted(systems.items(), key=strength)


def _row(name: str, figures: dict[str, Any]) -> tuple[Any, ...]:
    won = figures["win_rate"]
    return (
        name,
        *_rating(figures, "bradley_terry"),
        *_rating(figures, "elo"),
        None if won is None else round(100 * won, 1),
        *(figures[key] for key in ("wins", "ties", "losses")),
    )


def _rating(figures: dict[str, Any], name: str) -> tuple[int | None, str | None]:
    value, ends = figures[name], figures[f"{name}_interval"]
    if value is None or ends is None:
        return None, None
    low, high = ("?" if end is None else f"{end:.0f}" for end in ends)
    return round(value), f"{low}–{high}"


def _point(value: float | None, ends: list[float | None] | None) -> Point:
    if value is None or ends is None:
        return Point(0, None)
    return Point(0, value - MEAN, *(None if end is None else end - MEAN for end in ends))


def _agreement(body: dict[str, Any]) -> Table:
    every = {"all questions": body["agreement"], **body["agreement"]["by_dimension"]}
    rows = [
        (name, a["questions"], None if a["same"] is None else round(100 * a["same"], 1), a["alpha"])
        for name, a in every.items()
    ]
    missing = body["agreement"]["missing"]
    notes = ["Krippendorff's alpha: 1 is full agreement, 0 is chance."]
    notes += [f"No figure: {missing}."] if missing else []
    return Table("Agreement of the raters", ("", "answered by several", "same %", "alpha"), rows, notes)


def _raters(raters: list[dict[str, Any]]) -> Table:
    rows = [(r["rater"], r["votes"], r["checks"], r["right"], "dropped" if r["dropped"] else "counted") for r in raters]
    dropped = [r["rater"] for r in raters if r["dropped"]]
    unseen = [r["rater"] for r in raters if not r["checks"]]
    notes = [f"Failed the attention checks, not counted: {', '.join(dropped)}."] if dropped else []
    notes += [f"Answered no attention check, counted: {', '.join(unseen)}."] if unseen else []
    return Table("Raters", ("rater", "votes", "checks", "right", ""), rows, notes)
