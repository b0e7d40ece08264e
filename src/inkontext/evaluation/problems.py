"""What is wrong with the input of an evaluation: named, counted, and the rest goes on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from inkontext.evaluation.report import Cell, Table

NAMED: Final = 6  # problems of a kind that the table names
_LONGEST_KEY: Final = 120  # characters, so that a file can be named after it


@dataclass(frozen=True, order=True)
class Problem:
    """Something wrong: its kind, the row or file, and details."""

    kind: str
    name: str
    detail: str = ""


def names_a_file(key: str) -> bool:
    """Whether a key can be the name of a file on any system."""
    plain = not key.startswith(".") and not any(c in '/\\:*?"<>|' or not c.isprintable() for c in key)
    return 0 < len(key) <= _LONGEST_KEY and plain and key == key.strip()


def problem_tables(problems: Sequence[Mapping[str, str]], notes: Sequence[str] = ()) -> list[Table]:
    """A table of what is wrong, by kind and by name, or none.

    Args:
        problems: with kind, name and detail. notes: of this very run, `KIND: WHAT`.
    """
    kinds: dict[str, list[str]] = {}
    for problem in problems:
        told = f"{problem['name']} ({problem['detail']})" if problem["detail"] else problem["name"]
        kinds.setdefault(problem["kind"], []).append(told)
    for note in notes:
        kind, _, told = note.partition(": ")
        kinds.setdefault(kind, []).append(told)
    lines: list[list[Cell]] = []
    for kind, names in kinds.items():
        more = f", and {len(names) - NAMED} more, see the JSON" if len(names) > NAMED else ""
        lines.append([f"{kind}: {', '.join(names[:NAMED])}{more}", len(names)])
    return [Table("Problems", ("what", "count"), lines)] if lines else []
