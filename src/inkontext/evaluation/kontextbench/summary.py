"""KontextBench's figures by category and metric. A missing score is counted with its reason and enters no mean."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

from inkontext.data.world.bench import CATEGORIES
from inkontext.evaluation.kontextbench.data import Bench, Item
from inkontext.evaluation.ledger import Row
from inkontext.evaluation.statistics import figures


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


def reference_of(row: Row) -> Hashable:
    """What tells a row's reference picture from others: rows that edit the same one are no independent evidence."""
    return row["file_name"] if row["image_idx"] is None else row["image_idx"]


def summary(rows: Sequence[Row], metrics: dict[str, dict[str, Any]], category: str) -> dict[str, Any]:
    """The figures of one category; each metric's mean is over the rows that have a score, its interval over their
    reference pictures (`sources`)."""
    return {
        "rows": len(rows),
        "missing": sum(row["missing"] is not None for row in rows),
        "refused": sum(row["refused"] is not None for row in rows),
        "resized": sum(row["resized_from"] is not None for row in rows),
        "metrics": {
            name: figures([row["scores"][name] for row in rows], [row["reasons"].get(name) for row in rows],
                          metric["is_share"], [reference_of(row) for row in rows],
                          [row.get("judged", {}).get(name) for row in rows])
            for name, metric in metrics.items() if category in metric["categories"]
        },
    }  # fmt: skip
