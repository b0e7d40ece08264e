"""Prompt sets for text-to-image: DrawBench, PartiPrompts, GenEval, GenAI-Bench, and files of one's own.

The reader goes by the file's form, then says which known set it looks like and where its counts differ.
"""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from inkontext.errors import DataError

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


@dataclass(frozen=True)
class Prompt:
    """One line of a set. `key` is its number in the file, from 0000; `category` "" where the set has none."""

    key: str
    text: str
    category: str = ""


@dataclass(frozen=True)
class PromptSet:
    """Prompts of one file. `name` is that of the set it was recognised as, else the file's; `notes` say what is odd."""

    name: str
    prompts: tuple[Prompt, ...]
    notes: tuple[str, ...] = ()


def read_prompts(path: Path) -> PromptSet:
    """Read a set by its form: `.tsv` as PartiPrompts, `.csv` as DrawBench, `.jsonl`, `.json`, or a prompt a line.

    Raises:
        DataError: no such file, no text, no prompts, or a line that is none of these forms.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read prompts from '{path}' ({error}); give a text, csv, tsv or json file") from error
    readers = {".tsv": _parti, ".csv": _drawbench, ".jsonl": _json_lines, ".json": _json}
    rows = readers.get(path.suffix.lower(), _lines)(text, path)
    prompts = tuple(Prompt(f"{i:04d}", words.strip(), category.strip()) for i, (words, category) in enumerate(rows))
    empty = [p.key for p in prompts if not p.text]
    if empty or not prompts:
        raise DataError(f"'{path}' has {f'an empty prompt at row {empty[0]}' if empty else 'no prompts'}; correct it")
    return _recognised(path, prompts)


def _lines(text: str, path: Path) -> list[tuple[str, str]]:
    return [(line, "") for line in text.splitlines() if line.strip()]


def _parti(text: str, path: Path) -> list[tuple[str, str]]:
    """Tab-separated, read without quote rules: prompts hold unbalanced quotes."""
    head, *lines = text.splitlines()
    if head.split("\t")[:2] != PARTI_COLUMNS[:2]:
        raise DataError(f"the first line of '{path}' is not {', '.join(PARTI_COLUMNS)} with tabs; correct it")
    cells = [line.split("\t") for line in lines if line.strip()]
    short = next((i for i, row in enumerate(cells, 2) if len(row) < 2), None)
    if short is not None:
        raise DataError(f"line {short} of '{path}' has no category; separate columns by tabs")
    return [(row[0], row[1]) for row in cells]


def _drawbench(text: str, path: Path) -> list[tuple[str, str]]:
    rows = csv.DictReader(text.splitlines())
    names = {name.strip().lower(): name for name in rows.fieldnames or ()}
    column = next((names[n] for n in ("prompt", "prompts", "caption", "text") if n in names), None)
    if column is None:
        raise DataError(f"'{path}' has no column named prompt; its columns are {', '.join(names) or 'none'}")
    group = names.get("category")
    return [(row[column] or "", (row[group] or "") if group else "") for row in rows]


def _json_lines(text: str, path: Path) -> list[tuple[str, str]]:
    out = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            out.append(_told(_parsed(line, path, number), path, number))
    return out


def _json(text: str, path: Path) -> list[tuple[str, str]]:
    """A list, or GenAI-Bench's object of objects; entries are strings or have a prompt."""
    body = _parsed(text, path, 1)
    entries = list(body.values()) if isinstance(body, dict) else body
    if not isinstance(entries, list):
        raise DataError(f"'{path}' is neither a list nor an object of prompts; correct it")
    return [_told(entry, path, number) for number, entry in enumerate(entries, 1)]


def _parsed(text: str, path: Path, number: int) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise DataError(f"line {number} of '{path}' is not JSON ({error}); correct it") from error


def _told(entry: Any, path: Path, number: int) -> tuple[str, str]:
    if isinstance(entry, str):
        return entry, ""
    if not isinstance(entry, dict) or not isinstance(entry.get("prompt"), str):
        raise DataError(f"entry {number} of '{path}' has no prompt; write a string or an object with a prompt")
    return entry["prompt"], str(entry.get("category") or entry.get("tag") or "")


def _recognised(path: Path, prompts: Sequence[Prompt]) -> PromptSet:
    counts = Counter(p.category for p in prompts)
    notes = []
    double = [text for text, n in Counter(p.text for p in prompts).items() if n > 1]
    if double:
        notes.append(f"{len(double)} prompts stand there more than once, such as '{double[0][:60]}'")
    for name, known in (("DrawBench", DRAWBENCH), ("PartiPrompts", PARTI)):
        if set(counts) & set(known) and set(counts) - {""} <= set(known):
            odd = [f"{c}: {counts[c]} of {n}" for c, n in known.items() if counts[c] != n]
            notes += [f"differs from the published {name}: {', '.join(odd)}"] if odd else []
            return PromptSet(name, tuple(prompts), tuple(notes))
    return PromptSet(path.stem, tuple(prompts), tuple(notes))
