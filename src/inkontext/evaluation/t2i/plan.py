"""Which prompts are drawn: those of one or several files, or an even part of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

from inkontext.errors import OptionError
from inkontext.evaluation.problems import Problem
from inkontext.evaluation.statistics import apportion, spread
from inkontext.evaluation.t2i.prompts import read_prompts


@dataclass(frozen=True)
class Task:
    """A prompt of a set; `key` is unique over all sets and names its picture."""

    key: str
    set: str
    text: str
    category: str
    challenge: str


@dataclass(frozen=True)
class Plan:
    """The chosen prompts in the order of the files, how many there are by set, what is wrong, and a digest."""

    tasks: tuple[Task, ...]
    sizes: dict[str, int]
    problems: tuple[Problem, ...]
    digest: str


def read_plan(files: Sequence[Path], limit: int | None = None) -> Plan:
    """Read the files; `limit` prompts in the proportions of sets and categories, evenly spread, always the same ones.

    With several files the keys begin with the set's name: `drawbench-0000`.

    Raises:
        OptionError: no file, or a limit below 1. DataError: a file that cannot be used.
    """
    if not files:
        raise OptionError("no prompts were given; name a file with --prompts")
    if limit is not None and limit < 1:
        raise OptionError(f"the limit is {limit}; it must be a whole number of at least 1")
    tasks: list[Task] = []
    sizes: dict[str, int] = {}
    problems: list[Problem] = []
    for file in files:
        found = read_prompts(file)
        name = _free(found.name, sizes)
        sizes[name] = len(found.prompts)
        prefix = f"{_slug(name)}-" if len(files) > 1 else ""
        tasks += [Task(prefix + p.key, name, p.text, p.category, p.challenge) for p in found.prompts]
        problems += [Problem(f"prompts of {name}", note) for note in found.notes]
        problems += found.problems
    digest = hashlib.sha256(json.dumps([astuple(task) for task in tasks]).encode()).hexdigest()[:16]
    return Plan(tuple(_chosen(tasks, limit)), sizes, tuple(problems), digest)


def _chosen(tasks: Sequence[Task], limit: int | None) -> list[Task]:
    if limit is None:
        return list(tasks)
    groups: dict[str, list[int]] = {}
    for number, task in enumerate(tasks):
        groups.setdefault(f"{task.set}\n{task.category}", []).append(number)
    counts = apportion({name: len(group) for name, group in groups.items()}, limit)
    chosen = sorted(groups[name][i] for name, count in counts.items() for i in spread(count, len(groups[name])))
    return [tasks[number] for number in chosen]


def _free(name: str, taken: dict[str, int]) -> str:
    number, candidate = 2, name
    while _slug(candidate) in map(_slug, taken):
        candidate, number = f"{name}-{number}", number + 1
    return candidate


def _slug(name: str) -> str:
    return "-".join("".join(c if c.isalnum() else " " for c in name.lower()).split()) or "prompts"
