"""`inkontext eval t2i`: pictures from words, by the paper's five questions.

The paper asks people about prompt following, aesthetics, realism and typography, and measures speed. Here automatic
judges stand in for people, where there are any; a question without one is not measured.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import PIL
import torch
from PIL import Image

from inkontext import __version__
from inkontext.errors import OptionError
from inkontext.evaluation.keyed import Given, noise_seed, sample
from inkontext.evaluation.ledger import Ledger, Row
from inkontext.evaluation.problems import Problem
from inkontext.evaluation.score import Score
from inkontext.evaluation.statistics import DIGITS
from inkontext.evaluation.t2i.judges import QUESTIONS, Judge, answer, unanswered
from inkontext.evaluation.t2i.plan import Plan, Task
from inkontext.evaluation.t2i.report import write_report
from inkontext.evaluation.t2i.summary import body_of, speed_of
from inkontext.evaluation.world.systems import ModelSystem, NoPicture
from inkontext.storage import write_json

Watch = Callable[[int, int], None]


class System(Protocol):
    """What is measured. `identity`: all its pictures depend on; `is_timed`: whether making one here takes its time."""

    identity: dict[str, Any]
    is_timed: bool

    def make(self, task: Task, /) -> Image.Image | NoPicture: ...


class Generator:
    """A pipeline that draws each prompt from noise of its own."""

    is_timed = True

    def __init__(self, model: ModelSystem, seed: int = 0, size: str | None = None) -> None:
        """`size`: WIDTHxHEIGHT or a ratio; None takes the model's own."""
        self.model, self.seed, self.size = model, seed, size
        self.identity: dict[str, Any] = {**model.identity, "size": size}

    def make(self, task: Task) -> Image.Image | NoPicture:
        seed = noise_seed(self.seed, task.key)
        return sample(self.model.pipeline.generate, task.text, size=self.size, seed=seed, **self.model.sampling)


@dataclass(frozen=True)
class Evaluation:
    """What came out: `body` as it goes into JSON; apart from it the clock's figures, and notes on this very run."""

    body: dict[str, Any]
    speed: dict[str, Any] | None
    notes: tuple[str, ...] = ()


def evaluate(
    plan: Plan,
    system: System,
    judges: Sequence[Judge],
    problems: Sequence[Problem] = (),
    seed: int = 0,
    out: Path | None = None,
    watch: Watch | None = None,
) -> Evaluation:
    """Draw every prompt of the plan, or take its picture, and let the judges score it.

    Args:
        problems: what is wrong beyond the plan's own.
        seed: of the noise; each prompt's own comes from it and the prompt's key.
        out: a folder to keep pictures and results in as they are made; a later call with the same arguments goes on
            where an earlier one ended, and ends with the same bytes in `results.json` and `report.html`.
        watch: called with (done, of how many) after every prompt.

    Raises:
        OptionError: `out` holds something else, or no picture of the system belongs to a prompt.
        RunError: another process works in `out`.
    """
    if isinstance(system, Given) and not any(task.key in system.folder.files for task in plan.tasks):
        raise OptionError(f"no picture is named after a prompt of these; the first is {plan.tasks[0].key}.png")
    working = [judge for judge in judges if judge.available() is None]
    settings = settings_of(plan, system, judges, seed)
    with Ledger(out, settings) as ledger:
        for done, task in enumerate(plan.tasks, 1):
            if task.key not in ledger.rows:
                _measure(task, system, working, seed, ledger)
            if watch is not None:
                watch(done, len(plan.tasks))
        rows = [ledger.rows[task.key] for task in plan.tasks]
        body = body_of(settings, [*plan.problems, *problems], rows)
        speed = speed_of(rows, ledger.seconds, system.identity) if system.is_timed else None
        if out is not None:
            write_report(body, out)
            if speed is not None:
                write_json(out / "speed.json", speed)
        ledger.finish(body)
    torn = (f"half-written file: {name}, its last line was cut and made again" for name in ledger.mended)
    return Evaluation(body, speed, tuple(torn))


def settings_of(plan: Plan, system: System, judges: Sequence[Judge], seed: int) -> dict[str, Any]:
    """All that the results depend on."""
    return {
        "benchmark": "t2i",
        "system": {**system.identity, "is_timed": system.is_timed},
        "prompts": {"digest": plan.digest, "sets": plan.sizes, "chosen": len(plan.tasks)},
        "seed": seed,
        "judges": {
            judge.name: {
                "question": judge.question, "unit": judge.unit, "higher_is_better": judge.higher_is_better,
                "is_share": judge.is_share, **judge.identity,
            }
            for judge in judges if judge.available() is None
        },
        "unanswered": {question: unanswered(question, judges) for question in QUESTIONS},
        "unavailable": {judge.name: why for judge in judges if (why := judge.available())},
        "versions": {
            "inkontext": __version__, "python": platform.python_version(), "torch": torch.__version__,
            "numpy": np.__version__, "pillow": PIL.__version__,
        },
    }  # fmt: skip


def _measure(task: Task, system: System, judges: Sequence[Judge], seed: int, ledger: Ledger) -> None:
    started = time.perf_counter()
    made = system.make(task)
    seconds = time.perf_counter() - started
    row = row_of(task, judges, noise_seed(seed, task.key) if system.is_timed else None, made)
    ledger.add(row, None if isinstance(made, NoPicture) else made, seconds)


def row_of(task: Task, judges: Sequence[Judge], seed: int | None, made: Image.Image | NoPicture) -> Row:
    """One result as plain values: scores, why those that are None are missing, and what they were taken from."""
    gone = made if isinstance(made, NoPicture) else None
    scores = {judge.name: _score(judge, task, made) for judge in judges}
    return {
        "key": task.key,
        "set": task.set,
        "category": task.category,
        "challenge": task.challenge,
        "prompt": task.text,
        "noise_seed": seed,
        "missing": gone.reason if gone and not gone.refused else None,
        "refused": gone.reason if gone and gone.refused else None,
        "size": None if isinstance(made, NoPicture) else list(made.size),
        "scores": {name: None if s.value is None else round(s.value, DIGITS) for name, s in scores.items()},
        "reasons": {name: s.reason for name, s in scores.items() if s.value is None},
        "evidence": {name: s.evidence for name, s in scores.items() if s.evidence},
    }


def _score(judge: Judge, task: Task, made: Image.Image | NoPicture) -> Score:
    if isinstance(made, NoPicture):
        return Score(None, "refused by the model" if made.refused else "no picture")
    return answer(judge, task.text, made)
