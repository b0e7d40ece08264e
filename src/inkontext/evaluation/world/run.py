"""`inkontext eval world`: how often a system does what was asked, and leaves the rest, on held-out pairs.

Success is decided by the world's truth (`data/world/score.py`), so two runs over the same pictures agree to the
last digit.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import PIL
import torch
from PIL import Image

from inkontext import __version__
from inkontext.data.world import Outside
from inkontext.data.world.score import attributes, score
from inkontext.errors import OptionError
from inkontext.evaluation.ledger import Ledger, Row
from inkontext.evaluation.statistics import DIGITS, interval, middle, rounded, share
from inkontext.evaluation.world.plan import Case, Plan, cases, outside_identity
from inkontext.evaluation.world.systems import NoPicture, System

Watch = Callable[[int, int], None]


@dataclass(frozen=True)
class Evaluation:
    """What came out: `body` as it goes into JSON, and, apart from it, the seconds each pair took."""

    body: dict[str, Any]
    seconds: dict[str, float]


def evaluate(
    plan: Plan, system: System, outside: Outside | None = None, out: Path | None = None, watch: Watch | None = None
) -> Evaluation:
    """Measure a system.

    Args:
        outside: photographs and stickers to draw the pairs with.
        out: a folder to keep pictures and results in as they are made; a later call with the same arguments goes on
            where an earlier one ended, and ends with the same bytes in `results.json`.
        watch: called with (done, of how many) after every pair.

    Raises:
        OptionError: `out` holds something else, or no picture of the system belongs to the plan.
        RunError: another process works in `out`.
    """
    settings = _settings(plan, system, outside)
    total = sum(plan.counts().values())
    keys: list[str] = []
    with Ledger(out, settings) as ledger:
        for case in cases(plan, outside):
            keys.append(case.key)
            if case.key not in ledger.rows:
                _measure(case, system, outside, ledger)
            if watch is not None:
                watch(len(keys), total)
        rows = [ledger.rows[key] for key in keys]
        if all(row["missing"] for row in rows):
            raise OptionError(f"no picture is named after a pair of this plan; the first is {keys[0]}.png")
        body = body_of(settings, rows)
        ledger.finish(body)
    return Evaluation(body, {key: ledger.seconds[key] for key in keys if key in ledger.seconds})


def _settings(plan: Plan, system: System, outside: Outside | None) -> dict[str, Any]:
    """All that the results depend on."""
    return {
        "benchmark": "world",
        "system": system.identity,
        "seed": plan.seed,
        "limit": plan.limit,
        "size": plan.size,
        "level": plan.level,
        "tasks": list(plan.tasks),
        "outside": outside_identity(outside),
        "versions": {
            "inkontext": __version__, "python": platform.python_version(), "torch": torch.__version__,
            "numpy": np.__version__, "pillow": PIL.__version__,
        },
    }  # fmt: skip


def _measure(case: Case, system: System, outside: Outside | None, ledger: Ledger) -> None:
    started = time.perf_counter()
    made = system.make(case)
    seconds = time.perf_counter() - started
    ledger.add(row_of(case, made, outside), None if isinstance(made, NoPicture) else made, seconds)


def row_of(case: Case, made: Image.Image | NoPicture, outside: Outside | None = None) -> Row:
    """One result as plain values; what does not apply is None. `data.world.bench.rebuild` gives its pair back."""
    pair = case.pair
    row: Row = {
        "key": case.key,
        "task": pair.task,
        "kind": pair.edit.kind,
        "seed": pair.seed,
        "size": pair.size,
        "level": pair.level,
        "base_theme": case.base.theme if case.base else None,
        "base_seed": case.base.seed if case.base else None,
        "from_outside": case.from_outside,
        "instruction": pair.instruction,
        "success": None,
        "changed": None,
        "nearest": None,
        "kept_psnr": None,
        "spilt": None,
        "fails": [],
        "attributes": None,
        "resized_from": None,
        "missing": None,
        "refused": None,
    }
    if isinstance(made, NoPicture):
        if not made.refused:
            return row | {"missing": made.reason}
        told = attributes(pair, pair.target, outside) if pair.task == "t2i" else None
        none_right = _counted([(name, False) for name, _ in told]) if told is not None else None
        return row | {"refused": made.reason, "success": False, "attributes": none_right}
    got = score(pair, made, outside)
    checks = {"changed": got.enough, "right": got.right, "kept": got.stayed}
    return row | {
        "success": bool(got.success),
        "changed": round(float(got.changed), DIGITS),
        "nearest": round(float(got.nearest), DIGITS),
        "kept_psnr": round(float(got.kept_psnr), DIGITS) if case.has_untouched else None,
        "spilt": round(float(got.spilt), DIGITS) if case.has_untouched else None,
        "fails": [name for name, passed in checks.items() if not passed],
        "attributes": _counted(attributes(pair, made, outside)) if pair.task == "t2i" else None,
        "resized_from": list(made.size) if made.size != (pair.size, pair.size) else None,
    }


def _counted(told: list[tuple[str, bool]]) -> dict[str, list[int]]:
    """Per attribute [right, told]."""
    out: dict[str, list[int]] = {}
    for name, right in told:
        count = out.setdefault(name, [0, 0])
        count[0] += right
        count[1] += 1
    return out


def body_of(settings: dict[str, Any], rows: Sequence[Row]) -> dict[str, Any]:
    """The whole: settings, the overall figures over all editing pairs, the same by task, t2i, and every row."""
    edits = [row for row in rows if row["task"] != "t2i"]
    tasks = list(dict.fromkeys(row["task"] for row in edits))
    captions = [row for row in rows if row["task"] == "t2i"]
    return {
        **settings,
        **summary(edits),
        "by_task": {task: summary([row for row in edits if row["task"] == task]) for task in tasks},
        "from_outside": summary([row for row in edits if row["from_outside"]]) if settings["outside"] else None,
        "t2i": summary(captions) | _accuracy(captions) if captions else None,
        "missing_pictures": {row["key"]: row["missing"] for row in rows if row["missing"]},
        "rows": list(rows),
    }


def base_of(row: Mapping[str, Any]) -> Hashable:
    """What tells a row's base picture from others: rows of one base are no independent evidence."""
    return row["key"] if row["base_seed"] is None else (row["base_theme"], row["base_seed"])


def summary(rows: Sequence[Row]) -> dict[str, Any]:
    """The figures of some rows. Missing pictures are counted apart; shares are over the pictures there are.

    success: share in [0, 1], with its 95 % interval over the base pictures, of which there are `bases`.
    untouched_psnr: median dB over the pairs that have an untouched region. changed: median. fails: pictures that failed
    each part of the test, one picture maybe several.
    """
    there = [row for row in rows if not row["missing"]]
    right = sum(row["success"] for row in there)
    bases = [base_of(row) for row in there]
    ends = interval([row["success"] for row in there], bases, is_share=True)
    return {
        "pairs": len(there),
        "bases": len(set(bases)),
        "missing": len(rows) - len(there),
        "refused": sum(row["refused"] is not None for row in there),
        "resized": sum(row["resized_from"] is not None for row in there),
        "success": rounded(share(right, len(there))),
        "success_interval": [rounded(end) for end in ends[:2]] if ends else None,
        "success_interval_kind": ends.kind if ends else None,
        "untouched_psnr": rounded(middle(row["kept_psnr"] for row in there)),
        "untouched_pairs": sum(row["kept_psnr"] is not None for row in there),
        "changed": rounded(middle(row["changed"] for row in there)),
        "fails": {name: sum(name in row["fails"] for row in there) for name in ("changed", "right", "kept")},
    }


def _accuracy(rows: Sequence[Row]) -> dict[str, Any]:
    """Right attributes over all that the captions told, with 95 % intervals over the captions; a caption the model
    refused has none right."""
    by: dict[str, list[tuple[bool, str]]] = {}
    for row in rows:
        for name, (right, told) in (row["attributes"] or {}).items():
            by.setdefault(name, []).extend((n < right, row["key"]) for n in range(told))
    whole = _accuracy_of([answer for answers in by.values() for answer in answers])
    return {
        "attribute_accuracy": whole["accuracy"],
        "attribute_interval": whole["interval"],
        "attributes": whole["told"],
        "by_attribute": {name: _accuracy_of(by[name]) for name in sorted(by)},
    }


def _accuracy_of(answers: Sequence[tuple[bool, str]]) -> dict[str, Any]:
    """`answers`: whether an attribute is right, and the caption that told it."""
    right = [is_right for is_right, _ in answers]
    ends = interval(right, [key for _, key in answers], is_share=True)
    return {
        "accuracy": rounded(share(sum(right), len(right))),
        "told": len(right),
        "interval": [rounded(end) for end in ends[:2]] if ends else None,
    }
