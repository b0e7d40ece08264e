"""Prompt sets for text-to-image: DrawBench, PartiPrompts, GenEval, GenAI-Bench, and files of one's own.

The reader goes by the file's form, then says which known set it looks like and where its counts differ.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from inkontext.data.folders import same_text
from inkontext.data.tables import Line, json_lines, read_json, read_table, read_text, text_lines
from inkontext.errors import DataError
from inkontext.evaluation.problems import Problem, names_a_file

PARTI_COLUMNS: Final = ["Prompt", "Category", "Challenge", "Note"]
# Rows by category, as the sets were published.
DRAWBENCH: Final = {
    "Colors": 25, "Conflicting": 10, "Counting": 19, "DALL-E": 20, "Descriptions": 20, "Gary Marcus et al.": 10,
    "Misspellings": 10, "Positional": 20, "Rare Words": 7, "Reddit": 38, "Text": 21,
}  # fmt: skip
PARTI: Final = {
    "Animals": 314, "Artifacts": 287, "World Knowledge": 214, "People": 177, "Outdoor Scenes": 131,
    "Illustrations": 124, "Vehicles": 104, "Food & Beverage": 74, "Arts": 66, "Abstract": 51, "Produce & Plants": 50,
    "Indoor Scenes": 40,
}  # fmt: skip


_KNOWN: Final = {"prompt", "prompts", "caption", "text", "category", "tag", "challenge", "note", "key"}


@dataclass(frozen=True)
class Prompt:
    """One line of a set.

    Attributes:
        key: the file's own where it has one that can name a file, else its number, from 0000.
        category, challenge: "" where the set has none.
    """

    key: str
    text: str
    category: str = ""
    challenge: str = ""


@dataclass(frozen=True)
class PromptSet:
    """Prompts of one file.

    Attributes:
        name: that of the set it was recognised as, else the file's.
        notes: what is odd. problems: columns that are not known, keys that were there before.
    """

    name: str
    prompts: tuple[Prompt, ...]
    notes: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()


@dataclass
class _Rows:
    """Rows as a reader finds them, and the columns that it does not know."""

    path: Path
    rows: list[Prompt] = field(default_factory=list)
    unknown: dict[str, None] = field(default_factory=dict)

    def add(self, text: str, category: str = "", challenge: str = "", key: str = "") -> None:
        self.rows.append(Prompt(key.strip(), text.strip(), category.strip(), challenge.strip()))

    def columns(self, names: Iterable[str]) -> None:
        self.unknown |= dict.fromkeys(name for name in names if name.strip().lower() not in _KNOWN)

    def prompts(self) -> tuple[list[Prompt], list[Problem]]:
        """Each with a key of its own; the first of a key is kept."""
        problems = [Problem("unknown column", name, f"of {self.path.name}, not used") for name in self.unknown]
        out: dict[str, Prompt] = {}
        for number, row in enumerate(self.rows):
            key = same_text(row.key) or f"{number:04d}"
            if not names_a_file(key):
                problems.append(
                    Problem("bad key", f"row {number}", f"{key!r:.40} cannot name a file, its number is used")
                )
                key = f"{number:04d}"
            if key in out:
                problems.append(Problem("duplicate key", key, f"row {number} of {self.path.name}, the first is kept"))
                continue
            out[key] = replace(row, key=key)
        return list(out.values()), problems


def read_prompts(path: Path) -> PromptSet:
    """Read a set by its form: `.tsv` as PartiPrompts, `.csv` as DrawBench, `.jsonl`, `.json`, or a prompt a line.

    Raises:
        DataError: no such file, no text, no prompts, or a line that is none of these forms.
    """
    readers = {".tsv": _parti, ".csv": _drawbench, ".jsonl": _json_lines, ".json": _json}
    rows = _Rows(path)
    readers.get(path.suffix.lower(), _lines)(path, rows)
    prompts, problems = rows.prompts()
    empty = [p.key for p in prompts if not p.text]
    if empty or not prompts:
        raise DataError(f"'{path}' has {f'an empty prompt at row {empty[0]}' if empty else 'no prompts'}; correct it")
    return _recognised(path, prompts, problems)


def _lines(path: Path, rows: _Rows) -> None:
    """A line wholly in double quotes is one that a table was cut from; the quotes are the table's."""
    for line in map(str.strip, text_lines(read_text(path))):
        whole = len(line) > 2 and line[0] == line[-1] == '"' and '"' not in line[1:-1]
        if line:
            rows.add(line[1:-1] if whole else line)


def _parti(path: Path, rows: _Rows) -> None:
    """Tab-separated, read without quote rules: prompts hold unbalanced quotes."""
    table = read_table(path, "\t")
    if list(table.columns[:2]) != PARTI_COLUMNS[:2]:
        raise DataError(f"the first line of '{path}' is not {', '.join(PARTI_COLUMNS)} with tabs; correct it")
    rows.columns(table.columns)
    for line in table.rows:
        row = _whole(line, path)
        rows.add(row["Prompt"], row["Category"], row.get("Challenge", ""))


def _drawbench(path: Path, rows: _Rows) -> None:
    table = read_table(path)
    names = {name.lower(): name for name in table.columns}
    column = next((names[n] for n in ("prompt", "prompts", "caption", "text") if n in names), None)
    if column is None:
        raise DataError(f"'{path}' has no column named prompt; its columns are {', '.join(names) or 'none'}")
    rows.columns(table.columns)
    others = [names.get(name, "") for name in ("category", "challenge", "key")]
    for line in table.rows:
        row = _whole(line, path)
        rows.add(row[column], *(row.get(name, "") for name in others))


def _json_lines(path: Path, rows: _Rows) -> None:
    for line in json_lines(path):
        _told(_whole(line, path), rows, line.number)


def _json(path: Path, rows: _Rows) -> None:
    """A list, or GenAI-Bench's object of objects; entries are strings or have a prompt."""
    body = read_json(path)
    entries = list(body.values()) if isinstance(body, dict) else body
    if not isinstance(entries, list):
        raise DataError(f"'{path}' is neither a list nor an object of prompts; correct it")
    for number, entry in enumerate(entries, 1):
        _told(entry, rows, number)


def _whole(line: Line, path: Path) -> Any:
    if line.fault:
        raise DataError(f"line {line.number} of '{path}' {line.fault}; correct it")
    return line.value


def _told(entry: Any, rows: _Rows, number: int) -> None:
    if isinstance(entry, str):
        return rows.add(entry)
    if not isinstance(entry, dict) or not isinstance(entry.get("prompt"), str):
        raise DataError(f"entry {number} of '{rows.path}' has no prompt; write a string or an object with a prompt")
    rows.columns(entry)
    category, challenge, key = (entry.get(name) for name in ("category", "challenge", "key"))
    category = category or entry.get("tag")
    return rows.add(entry["prompt"], *("" if value is None else str(value) for value in (category, challenge, key)))


def _recognised(path: Path, prompts: Sequence[Prompt], problems: Sequence[Problem]) -> PromptSet:
    counts = Counter(p.category for p in prompts)
    notes = []
    double = [text for text, n in Counter(p.text for p in prompts).items() if n > 1]
    if double:
        notes.append(f"{len(double)} prompts stand there more than once, such as '{double[0][:60]}'")
    for name, known in (("DrawBench", DRAWBENCH), ("PartiPrompts", PARTI)):
        if set(counts) & set(known) and set(counts) - {""} <= set(known):
            odd = [f"{c}: {counts[c]} of {n}" for c, n in known.items() if counts[c] != n]
            notes += [f"differs from the published {name}: {', '.join(odd)}"] if odd else []
            return PromptSet(name, tuple(prompts), tuple(notes), tuple(problems))
    return PromptSet(path.stem, tuple(prompts), tuple(notes), tuple(problems))
