"""KontextBench's figures by category and metric. A missing score is counted with its reason and enters no mean."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from inkontext.data.world.bench import CATEGORIES
from inkontext.evaluation.kontextbench_data import Bench, Item
from inkontext.evaluation.ledger import Row
from inkontext.evaluation.statistics import bootstrap_mean, wilson

DIGITS: Final = 6  # decimals kept of every figure


def body_of(settings: dict[str, Any], bench: Bench, items: Sequence[Item], rows: Sequence[Row]) -> dict[str, Any]:
    """The whole as it goes into JSON: settings, what is wrong with the data, figures by category, every row."""
    problems = [
        {"kind": problem.kind, "name": problem.name, "detail": problem.detail} for problem in bench.problems
    ]  # fmt: skip
    problems += [{"kind": "no picture", "name": row["key"], "detail": row["missing"]} for row in rows if row["missing"]]
    return {
        **settings,
        "counts": bench.counts,
        "base_images": bench.base_images,
        "differs_from_published": bench.differences(),
        "problems": problems,
        "by_category": {
            category: summary([row for row in rows if row["category"] == category], settings["metrics"], category)
            for category in CATEGORIES
            if any(item.category == category for item in items)
        },
        "rows": list(rows),
    }


def summary(rows: Sequence[Row], metrics: dict[str, dict[str, Any]], category: str) -> dict[str, Any]:
    """The figures of one category; each metric's mean is over the rows that have a score."""
    return {
        "rows": len(rows),
        "missing": sum(row["missing"] is not None for row in rows),
        "refused": sum(row["refused"] is not None for row in rows),
        "resized": sum(row["resized_from"] is not None for row in rows),
        "metrics": {
            name: figures([row["scores"][name] for row in rows], [row["reasons"].get(name) for row in rows],
                          metric["is_share"])
            for name, metric in metrics.items() if category in metric["categories"]
        },
    }  # fmt: skip


def figures(scores: Sequence[float | None], reasons: Sequence[str | None], is_share: bool) -> dict[str, Any]:
    """One cell of the table.

    n: scores there are; missing: those there are not, with their reasons counted. mean, and its 95 % interval:
    Wilson's for a share, else the percentile bootstrap; None where there is too little to tell.
    """
    there = [score for score in scores if score is not None]
    ends = wilson(round(sum(there)), len(there)) if is_share else bootstrap_mean(there)
    lost = Counter(why for why, score in zip(reasons, scores, strict=True) if score is None and why is not None)
    return {
        "n": len(there),
        "missing": len(scores) - len(there),
        "reasons": dict(sorted(lost.items())),
        "mean": round(sum(there) / len(there), DIGITS) if there else None,
        "interval": [round(end, DIGITS) for end in ends] if ends else None,
        "interval_kind": "wilson" if is_share else "bootstrap",
    }
