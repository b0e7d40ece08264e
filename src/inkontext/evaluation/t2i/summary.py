"""The figures of `eval t2i`: by question and judge over all, and by category and challenge of each set."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from inkontext.evaluation.ledger import Row
from inkontext.evaluation.problems import Problem
from inkontext.evaluation.statistics import DIGITS, figures
from inkontext.evaluation.t2i.judges import FAILED


def body_of(settings: dict[str, Any], problems: Sequence[Problem], rows: Sequence[Row]) -> dict[str, Any]:
    """The whole as it goes into JSON."""
    judges = settings["judges"]
    named = [{"kind": p.kind, "name": p.name, "detail": p.detail} for p in problems]
    return {
        **settings,
        "problems": named + _problems(rows),
        "overall": summary(rows, judges),
        "sets": {
            name: {
                "overall": summary([row for row in rows if row["set"] == name], judges),
                **{f"by_{field}": _groups([row for row in rows if row["set"] == name], field, judges)
                   for field in ("category", "challenge")},
            }
            for name in settings["prompts"]["sets"] if any(row["set"] == name for row in rows)
        },
        "rows": list(rows),
    }  # fmt: skip


def summary(rows: Sequence[Row], judges: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Counts, and each judge's mean over the rows that have a score; its interval is over their prompts, of which one
    may be there several times."""
    return {
        "rows": len(rows),
        "missing": sum(row["missing"] is not None for row in rows),
        "refused": sum(row["refused"] is not None for row in rows),
        "judges": {
            name: figures([row["scores"][name] for row in rows], [row["reasons"].get(name) for row in rows],
                          judge["is_share"], [row["prompt"] for row in rows])
            for name, judge in judges.items()
        },
    }  # fmt: skip


def _groups(rows: Sequence[Row], field: str, judges: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """By the values of a field, in the order in which they come; nothing where no row has one."""
    there = dict.fromkeys(row[field] for row in rows)
    if set(there) <= {""}:
        return {}
    return {name or "none": summary([row for row in rows if row[field] == name], judges) for name in there}


def _problems(rows: Sequence[Row]) -> list[dict[str, str]]:
    """Rows without a picture, of a size that is not the usual one, or on which a judge failed."""
    out = [{"kind": "no picture", "name": row["key"], "detail": row["missing"]} for row in rows if row["missing"]]
    sizes = Counter(tuple(row["size"]) for row in rows if row["size"])
    usual = max(sizes, key=lambda size: sizes[size]) if sizes else None
    for row in rows:
        if row["size"] and tuple(row["size"]) != usual:
            detail = f"{_told(row['size'])}, most are {_told(usual or ())}"
            out.append({"kind": "another size", "name": row["key"], "detail": detail})
    for row in rows:
        for name, reason in row["reasons"].items():
            if reason.startswith(FAILED):
                detail = row["evidence"].get(name, {}).get("error", reason)
                out.append({"kind": f"judge {name} failed", "name": row["key"], "detail": detail})
    return out


def _told(size: Sequence[int]) -> str:
    return "×".join(map(str, size))


def speed_of(rows: Sequence[Row], seconds: Mapping[str, float], system: Mapping[str, Any]) -> dict[str, Any]:
    """Seconds a picture made, scoring not included; the first ones hold whatever the machine had to warm up."""
    there = [seconds[row["key"]] for row in rows if row["key"] in seconds and not (row["missing"] or row["refused"])]
    low, middle, high = np.percentile(there, [10, 50, 90]) if there else (None,) * 3
    return {
        "unit": "seconds a picture",
        "n": len(there),
        "median": None if middle is None else round(float(middle), DIGITS),
        "p10": None if low is None else round(float(low), DIGITS),
        "p90": None if high is None else round(float(high), DIGITS),
        **{name: system.get(name) for name in ("device", "dtype", "steps", "resolution", "size")},
    }
