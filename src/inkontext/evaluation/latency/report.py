"""Latencies as tables and bars."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from inkontext.evaluation.report import Bars, Point, Report, Section, Table

_COLUMNS = ("system", "size", "P50 s", "P95 s", "floor s", "share %", "denoise %")


def latency_report(body: dict[str, Any]) -> Report:
    """The report of `latency.measure`."""
    systems: dict[str, Any] = body["systems"]
    local = next((s for s in systems.values() if s.get("device")), {})
    rates = ", ".join(f"{kind} {rate / 1e9:,.0f} GFLOP/s" for kind, rate in (body["rates"] or {}).items())
    facts = {
        "device": str(local.get("device_name") or local.get("device") or "none of this machine"),
        "threads": str(local.get("threads", "—")),
        "matrix products": rates or "—",
        "repeats": str(body["repeats"]),
        "version": body["version"],
    }
    return Report("Latency", facts, list(_sections(body, systems)))


def _sections(body: dict[str, Any], systems: dict[str, Any]) -> Iterator[Section]:
    jobs = list(dict.fromkeys(job for system in systems.values() for job in system["jobs"]))
    for job in jobs:
        rows = [_row(name, system["jobs"][job]) for name, system in systems.items()]
        steps = sorted({system["jobs"][job]["steps"] for system in systems.values() if system["jobs"][job]["steps"]})
        counted = f" {' or '.join(map(str, steps))} steps." if steps else ""
        notes = [f"Warm; {body['repeats']} calls each, in turn.{counted}"]
        if any(row[4] is not None for row in rows):
            notes.append("floor: the picture's matrix products at the machine's own rate; share: of P50, of denoising.")
        yield Table(job, _COLUMNS, rows, notes)
        seconds = {name: system["jobs"][job]["seconds"] for name, system in systems.items()}
        points = {n: Point(0, s["p50"], s["p50"], s["p95"]) if s else Point(0, None) for n, s in seconds.items()}
        yield Bars(f"{job}: seconds a picture", "seconds: P50, with a line to P95", points)
        yield _stages(job, systems)
    yield _cold(systems)
    yield from _failures(systems)


def _row(name: str, job: dict[str, Any]) -> tuple[Any, ...]:
    if job["seconds"] is None:
        return (name, *(None,) * (len(_COLUMNS) - 1))
    floor = job["floor"] or {}
    return (
        name,
        "x".join(map(str, job["size"])),
        job["seconds"]["p50"],
        job["seconds"]["p95"],
        floor.get("seconds"),
        _percent(floor.get("share")),
        _percent(floor.get("denoise_share")),
    )


def _percent(share: float | None) -> float | None:
    return None if share is None else round(100 * share, 1)


def _stages(job: str, systems: dict[str, Any]) -> Table:
    told = {name: system["jobs"][job]["stages"] or {} for name, system in systems.items()}
    names = list(dict.fromkeys(stage for stages in told.values() for stage in stages))
    names.sort(key="else".__eq__)
    rows = []
    for name, stages in told.items():
        step = systems[name]["jobs"][job]["step"]
        rows.append((name, *(stages[s]["p50"] if s in stages else None for s in names), step and step["p50"]))
    return Table(f"{job}: seconds by stage, P50", ("system", *names, "a step"), rows)


def _cold(systems: dict[str, Any]) -> Table:
    names = ("start", "load", "first", "total")
    rows = [(name, *((system["cold"] or {}).get(n) for n in names)) for name, system in systems.items()]
    note = "One fresh process each: interpreter and imports, loading, the first picture."
    return Table("Cold, seconds", ("system", *names), rows, [note])


def _failures(systems: dict[str, Any]) -> Iterator[Table]:
    rows: list[tuple[str, str, str]] = []
    for name, system in systems.items():
        if system["failed"]:
            rows.append((name, "everything from then on", system["failed"]))
        rows += [(name, job, figures["failed"]) for job, figures in system["jobs"].items() if figures["failed"]]
    if rows:
        notes = [f"{name}, {job}: {reason}" for name, job, reason in rows]
        yield Table("Failed", ("system", "job"), [row[:2] for row in rows], notes)
