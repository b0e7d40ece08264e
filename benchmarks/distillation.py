"""What distillation costs in success and saves in time: a teacher and its students on the held-out world, in one run.

python -m benchmarks.distillation --teacher tiny [--guidance FOLDER] [--ladd FOLDER] [--context-cache FOLDER]
    [--fast FOLDER] [--scales 2,3,5] [--limit 200] [--seed 0] [--size 64] [--out FOLDER] [--markdown FILE] [--json FILE]

Models are runs that ended, model folders or names; `--fast` has few steps and a kept context. The teacher is
measured in 28 and in four steps, and in its own with true CFG at every scale; each student where it is given.
All see the same pairs and noise, one system after another in one process. Seconds are medians of a pair, text towers
and autoencoder included, scoring not. Intervals, those of paired differences too, hold 95 % and are over the base
pictures, which pairs share. `--out` keeps the pictures, and a run that was stopped goes on from there.
"""

from __future__ import annotations

import argparse
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from benchmarks.table import show
from inkontext.data.world.bench import CATEGORIES
from inkontext.evaluation.statistics import middle, paired
from inkontext.evaluation.world.plan import Plan
from inkontext.evaluation.world.run import base_of, evaluate
from inkontext.evaluation.world.systems import ModelSystem
from inkontext.pipeline import Pipeline
from inkontext.training.start import model_folder

MANY, FEW = 28, 4


@dataclass(frozen=True)
class Entry:
    """One line of the table: which model, and how it is sampled; None takes the model's own."""

    name: str
    model: str
    steps: int | None = None
    guidance: float | None = None
    true_cfg: float | None = None

    @property
    def folder(self) -> str:
        return "".join(c if c.isalnum() else "-" for c in self.name.lower())


def entries(
    teacher: str,
    guidance: str | None,
    ladd: str | None,
    context_cache: str | None,
    fast: str | None,
    scales: Sequence[float],
) -> list[Entry]:
    """The lines, students after the teacher they are compared with."""
    found = [Entry(f"teacher, {steps} steps", teacher, steps=steps) for steps in (MANY, FEW)]
    found += [Entry(f"teacher, true CFG {scale:g}", teacher, true_cfg=scale) for scale in scales]
    if guidance is not None:
        found += [Entry(f"guidance student at {scale:g}", guidance, guidance=scale) for scale in (1.0, *scales)]
    if ladd is not None:
        found.append(Entry("ladd student", ladd))
    if context_cache is not None:
        found.append(Entry("context-cache student", context_cache))
    if fast is not None:
        found.append(Entry("fast", fast))
    return found


def measure(
    entry: Entry, pipeline: Pipeline, plan: Plan, out: Path | None
) -> tuple[dict[str, Any], list[bool], list[Hashable]]:
    """One line's figures (success in %, untouched in dB, seconds a pair), each pair's success, and its base picture."""
    system = ModelSystem(pipeline, entry.steps, entry.guidance, entry.true_cfg)
    result = evaluate(plan, system, out=None if out is None else out / entry.folder)
    body, said = result.body, system.identity
    low, high = body["success_interval"]
    row = {
        "system": entry.name,
        "steps": said["steps"],
        "passes": said["steps"] * (1 if said["true_cfg"] is None else 2),
        "sampler": said["solver"],
        "guidance": "no input" if said["guidance"] is None else said["guidance"],
        "pairs": body["pairs"],
        "success %": 100 * body["success"],
        "95 %": f"{100 * low:.1f}–{100 * high:.1f}",
        "untouched dB": body["untouched_psnr"],
        "s per edit": middle(result.seconds.values()),
    }
    return row, [pair["success"] for pair in body["rows"]], [base_of(pair) for pair in body["rows"]]


def markdown(title: str, rows: Sequence[dict[str, Any]]) -> str:
    """The table as it stands in the documentation."""

    def cell(value: Any) -> str:
        return "not measured" if value is None else f"{value:.3g}" if isinstance(value, float) else str(value)

    lines = [f"{title}", "", f"| {' | '.join(rows[0])} |", "|" + "---|" * len(rows[0])]
    return "\n".join([*lines, *(f"| {' | '.join(map(cell, row.values()))} |" for row in rows)]) + "\n"


def compared(
    rows: Sequence[dict[str, Any]], right: Mapping[str, Sequence[bool]], bases: Sequence[Hashable]
) -> list[str]:
    """Each student against what it should equal or beat, as sentences; `right` by the system's name."""
    many, few = rows[:2]
    guided = [row for row in rows if row["system"].startswith("teacher, true CFG")]
    students = [row for row in rows if row["system"].startswith("guidance student")]
    pairs = []
    if guided and students:
        pairs.append((_best(students), _best(guided)))
    for row in rows:
        if row["system"] in ("ladd student", "context-cache student", "fast"):
            same = [other for other in students if other["guidance"] == row["guidance"]]
            pairs += [(row, other) for other in (many, few, *same)]
    return [
        f"{student['system']} against {other['system']}: "
        f"{_points(right[student['system']], right[other['system']], bases)}, "
        f"{other['s per edit'] / student['s per edit']:.2f} times as fast"
        for student, other in pairs
    ]


def _points(a: Sequence[bool], b: Sequence[bool], bases: Sequence[Hashable]) -> str:
    """The difference of two shares of the same pairs, in points, with its 95 % interval over the base pictures."""
    mean, low, high = (100 * value for value in paired(a, b, bases))
    return f"{mean:+.1f} points (95 %: {low:+.1f} to {high:+.1f})"


def _best(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return max(rows, key=lambda row: row["success %"])


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="a teacher and its students on the held-out world")
    parser.add_argument("--teacher", required=True)
    for student in ("--guidance", "--ladd", "--context-cache", "--fast"):
        parser.add_argument(student)
    parser.add_argument("--scales", default="2,3,5", help="guidance scales, with commas")
    parser.add_argument("--limit", type=int, default=200, help="pairs")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--size", type=int, help="side of the pictures, pixels; the teacher's by default")
    parser.add_argument("--threads", type=int, default=1)
    for file in ("--out", "--markdown", "--json"):
        parser.add_argument(file, type=Path)
    given = parser.parse_args(arguments)
    torch.set_num_threads(given.threads)
    scales = [float(scale) for scale in given.scales.split(",")]
    pipelines: dict[str, Pipeline] = {}
    rows: list[dict[str, Any]] = []
    right: dict[str, list[bool]] = {}
    bases: list[Hashable] = []
    plan: Plan | None = None
    for entry in entries(given.teacher, given.guidance, given.ladd, given.context_cache, given.fast, scales):
        if entry.model not in pipelines:
            pipelines[entry.model] = Pipeline.from_pretrained(model_folder(entry.model))
        pipeline = pipelines[entry.model]
        plan = plan or Plan(given.size or pipeline.resolution, given.seed, given.limit, tuple(CATEGORIES))
        row, right[entry.name], bases = measure(entry, pipeline, plan, given.out)
        rows.append(row)
    assert plan is not None
    title = f"World, seed {plan.seed}, {plan.size} px, {plan.limit} pairs, {given.threads} thread(s)"
    show(title, rows, given.json)
    notes = compared(rows, right, bases)
    Console().print(*notes, sep="\n", highlight=False, soft_wrap=True)
    if given.markdown is not None:
        given.markdown.write_text(markdown(title, rows) + "".join(f"\n- {note}" for note in notes) + "\n")


if __name__ == "__main__":
    main()
