"""KontextBench's rows, as they are published: a folder with metadata.jsonl and pictures, or its id on the hub.

test/metadata.jsonl   one row a line: file_name, instruction, category, key, image_idx, prompt_idx
test/images/NNNN.jpg  what file_name points to, from the folder of metadata.jsonl

What is wrong with a row is noted by name, and the rest is used.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from inkontext.data.folders import named_file, same_text
from inkontext.data.tables import Line, json_lines
from inkontext.data.world.bench import BASES, CATEGORIES
from inkontext.errors import DataError, OptionError
from inkontext.evaluation.problems import Problem, names_a_file
from inkontext.evaluation.statistics import apportion, spread
from inkontext.weights.hub import download, is_hub_id

PUBLISHED: Final[dict[str, int]] = {name: count for name, (_, count) in CATEGORIES.items()}
BASE_IMAGES: Final = sum(BASES.values())
_NAMES: Final = {label: name for name, (label, _) in CATEGORIES.items()}
_PLACES: Final = ("test/metadata.jsonl", "metadata.jsonl")
_NOT_HAD: Final = (
    "'{repo}' is no local folder and cannot be downloaded ({reason}); check the network, or give the folder of a copy"
)


@dataclass(frozen=True)
class Item:
    """One row. `category` is the short name: local, global, character, text or style; `file` its reference."""

    key: str
    category: str
    instruction: str
    file_name: str
    file: Path
    image_idx: int | None
    prompt_idx: int | None


@dataclass(frozen=True)
class Bench:
    """The usable rows in the file's order, what is wrong, and a digest of all that the rows say and show."""

    items: tuple[Item, ...]
    problems: tuple[Problem, ...]
    digest: str

    @property
    def counts(self) -> dict[str, int]:
        """Rows by category, zero where there is none."""
        found = Counter(item.category for item in self.items)
        return {name: found[name] for name in PUBLISHED}

    @property
    def base_images(self) -> int:
        """Different values of image_idx."""
        return len({item.image_idx for item in self.items if item.image_idx is not None})

    def differences(self) -> list[str]:
        """In words, where the counts are not the published ones."""
        out = [f"{CATEGORIES[c][0]}: {n} rows, published {PUBLISHED[c]}" for c, n in self.counts.items()
               if n != PUBLISHED[c]]  # fmt: skip
        if self.base_images != BASE_IMAGES:
            out.append(f"base images: {self.base_images}, published {BASE_IMAGES}")
        return out


@dataclass(frozen=True)
class Selection:
    """Which rows: some categories, and at most `limit` in the proportions that the rows have."""

    categories: tuple[str, ...] = tuple(PUBLISHED)
    limit: int | None = None

    def __post_init__(self) -> None:
        if not self.categories or len(set(self.categories)) < len(self.categories):
            raise OptionError(f"name each category once, among {', '.join(PUBLISHED)}")
        if unknown := [name for name in self.categories if name not in PUBLISHED]:
            raise OptionError(f"there is no category '{unknown[0]}'; choose among {', '.join(PUBLISHED)}")
        if self.limit is not None and self.limit < 1:
            raise OptionError(f"the limit is {self.limit}; it must be a whole number of at least 1")

    def of(self, bench: Bench) -> list[Item]:
        """The rows in the file's order, evenly spread over each category. Raises DataError where none is left."""
        groups = {c: [n for n, item in enumerate(bench.items) if item.category == c] for c in self.categories}
        sizes = {c: len(group) for c, group in groups.items() if group}
        if not sizes:
            raise DataError(f"the data hold no row of {', '.join(self.categories)}; check --data and --categories")
        counts = sizes if self.limit is None else apportion(sizes, self.limit)
        chosen = sorted(groups[c][i] for c, count in counts.items() for i in spread(count, sizes[c]))
        return [bench.items[n] for n in chosen]


@dataclass(frozen=True)
class Shard:
    """Rows `number` (from 1), `number` + `of`, … of the selection."""

    number: int
    of: int

    @classmethod
    def parse(cls, text: str) -> Shard:
        """From `I/N`. Raises OptionError."""
        found = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text.strip())
        if not found or not 1 <= int(found[1]) <= int(found[2]):
            raise OptionError(f"--shard is '{text}'; give I/N with I from 1 to N, such as 2/4")
        return cls(int(found[1]), int(found[2]))

    @property
    def folder(self) -> str:
        """The name of its folder inside --out."""
        return f"shard-{self.number}-of-{self.of}"

    def among(self, items: Sequence[Item]) -> list[Item]:
        """Its own part of the rows."""
        return list(items[self.number - 1 :: self.of])


def open_bench(name: str) -> Bench:
    """Read the rows of a folder or a hub id.

    Raises:
        DataError: no such folder, no metadata.jsonl in it, no usable row, or the hub cannot be reached.
    """
    folder = Path(name).expanduser()
    if not folder.exists() and is_hub_id(name):
        wanted = [*_PLACES, "test/images/*", "images/*"]
        folder = download(name, wanted, DataError, _NOT_HAD.replace("{repo}", name), "dataset")
    if not folder.is_dir():
        raise DataError(f"there is no folder '{name}'; give the one with test/metadata.jsonl, or a hub id OWNER/NAME")
    path = next((folder / place for place in _PLACES if (folder / place).is_file()), None)
    if path is None:
        raise DataError(f"'{name}' holds neither test/metadata.jsonl nor metadata.jsonl; check --data")
    return _read(path)


@dataclass
class _Reader:
    """Rows and problems as they come."""

    root: Path
    items: dict[str, Item] = field(default_factory=dict)
    first: dict[str, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def blame(self, kind: str, name: str, detail: str = "") -> None:
        self.problems.append(Problem(kind, name, detail))

    def line(self, line: Line) -> None:
        """Take a line: a row, or a problem in its place."""
        place = f"line {line.number}"
        if line.fault:
            return self.blame("damaged line", place, line.fault)
        item = self.item(line.value, place)
        if item is None:
            return None
        if item.key in self.items:
            return self.blame("duplicate key", item.key, f"{place}, first on line {self.first[item.key]}; left out")
        if not item.file.is_file():
            self.blame("missing picture", item.key, item.file_name)
        self.items[item.key], self.first[item.key] = item, line.number
        return None

    def item(self, row: Any, place: str) -> Item | None:
        """The row with its fields checked; None where it cannot be used."""
        if not isinstance(row, dict):
            return self.blame("bad row", place, "no object")
        key = row.get("key")
        key = same_text(str(key)) if isinstance(key, int | str) and not isinstance(key, bool) else ""
        texts = {name: row.get(name) for name in ("file_name", "instruction", "category")}
        for name, text in texts.items():
            if not isinstance(text, str) or not text.strip():
                return self.blame("bad row", key or place, f"no {name}")
        file_name, instruction, label = map(str, texts.values())
        if not names_a_file(key):
            return self.blame("bad row", place, f"key {key!r:.40} cannot name a file" if key else "no key")
        category = _NAMES.get(label.strip())
        if category is None:
            return self.blame("unknown category", key, label.strip())
        try:
            file = named_file(self.root, file_name)
        except ValueError as error:
            return self.blame("bad row", key, f"file_name {error}")
        if ".." in file.parts[len(self.root.parts) :] or not file.is_relative_to(self.root):
            return self.blame("bad row", key, "file_name leaves the folder")
        indices = (row.get(name) for name in ("image_idx", "prompt_idx"))
        image, prompt = (i if isinstance(i, int) and not isinstance(i, bool) else None for i in indices)
        if image is None:
            self.blame("no image_idx", key)
        return Item(key, category, instruction, file_name, file, image, prompt)


def _read(path: Path) -> Bench:
    reader = _Reader(path.parent)
    for line in json_lines(path):
        reader.line(line)
    if not reader.items:
        more = f"; {reader.problems[0].name}: {reader.problems[0].detail}" if reader.problems else ""
        raise DataError(f"'{path}' holds no usable row{more}; check --data")
    items = tuple(reader.items.values())
    there = {item.category for item in items}
    for name, (label, _) in CATEGORIES.items():
        if name not in there:
            reader.blame("missing category", label)
    return Bench(items, tuple(reader.problems), _digest(items, reader.problems))


def _digest(items: Sequence[Item], problems: Sequence[Problem]) -> str:
    """Of every row's words and the size of its picture, wherever the folder is."""
    out = hashlib.sha256()
    for item in items:
        size = item.file.stat().st_size if item.file.is_file() else None
        row = {name: value for name, value in asdict(item).items() if name != "file"}
        out.update(json.dumps([row, size]).encode())
    out.update(json.dumps([asdict(problem) for problem in problems]).encode())
    return out.hexdigest()[:16]
