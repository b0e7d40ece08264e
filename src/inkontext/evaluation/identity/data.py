"""Pictures to compare: pairs and series of edits, from files, twin folders, folders of series, or lines of JSON.

Everything becomes a series: the first picture is the one that all later ones are compared with.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from inkontext.data.folders import is_hidden, named_file, pictures_in, same_text
from inkontext.data.tables import json_lines
from inkontext.errors import DataError, OptionError
from inkontext.evaluation.problems import Problem
from inkontext.safety.pictures import is_picture

_KNOWN: Final = {"before", "after", "pictures", "key", "system"}


@dataclass(frozen=True)
class Series:
    """Pictures of one item by one system: the input, then a picture a turn. They need not exist."""

    system: str
    key: str
    pictures: tuple[Path, ...]


@dataclass
class Collection:
    """Series in order, each system and key once, and what is wrong with the input."""

    problems: list[Problem] = field(default_factory=list)
    _by_key: dict[tuple[str, str], Series] = field(default_factory=dict)

    @property
    def series(self) -> list[Series]:
        return list(self._by_key.values())

    def add(self, series: Series) -> None:
        """Take a series; the first of a system and key is kept."""
        if (series.system, series.key) in self._by_key:
            self.problems.append(Problem("duplicate key", series.key, f"of {series.system}, the first is kept"))
        else:
            self._by_key[series.system, series.key] = series


def read_pairs(sources: Sequence[str]) -> Collection:
    """BEFORE AFTER... files, BEFORE-FOLDER AFTER-FOLDER... with pictures of the same names, or files of lines.

    A folder after the first may be called NAME=FOLDER. Raises OptionError, DataError where nothing can be compared.
    """
    paths = [Path(source) for source in sources]
    if paths and all(path.suffix.lower() == ".jsonl" for path in paths):
        return _from_lines(paths)
    if len(sources) < 2:
        raise OptionError("a comparison needs two pictures or two folders; give BEFORE AFTER, or --pairs FILE.jsonl")
    if paths[0].is_dir():
        return _twins(paths[0], _named(sources[1:]))
    _check(paths)
    out = Collection()
    for number, after in enumerate(paths[1:], 1):
        same = sum(path.name == after.name for path in paths[1:])
        out.add(Series("pictures", after.name if same == 1 else f"{number}: {after.name}", (paths[0], after)))
    return out


def read_series(sources: Sequence[str]) -> Collection:
    """Picture files in order (one series), folders of a series, folders of such folders, or files of lines.

    A folder, a system's, may be called NAME=FOLDER. Raises OptionError, DataError where nothing can be compared.
    """
    paths, out = [Path(source) for source in sources], Collection()
    if all(path.suffix.lower() == ".jsonl" for path in paths):
        return _from_lines(paths)
    if all(is_picture(path.name) and not path.is_dir() for path in paths):
        if len(paths) < 2:
            raise OptionError(f"'{sources[0]}' alone is no series; give the input and at least one edit of it")
        _check(paths)
        out.add(Series("pictures", paths[0].stem, tuple(paths)))
        return out
    for name, folder in _named(sources).items():
        parts = sorted((p for p in folder.iterdir() if p.is_dir() and not is_hidden(p.name)), key=_natural)
        for part in parts or [folder]:
            pictures = sorted(pictures_in(part), key=_natural)
            if len(pictures) < 2:
                out.problems.append(Problem("no series", part.name, f"of {name}, {len(pictures)} pictures"))
            else:
                out.add(Series(name, part.name, tuple(pictures)))
    if not out.series:
        raise DataError(f"'{sources[0]}' holds no series; give a folder with a folder of pictures for each item")
    return out


def _check(pictures: Sequence[Path]) -> None:
    """Pictures that were named one by one must be there. Raises OptionError."""
    for path in pictures:
        if not path.is_file():
            what = "is a folder" if path.is_dir() else "does not exist"
            raise OptionError(f"'{path}' {what}; give picture files alone, or folders alone")


def _named(sources: Sequence[str]) -> dict[str, Path]:
    """FOLDER or NAME=FOLDER, several -> folders by name. Raises OptionError."""
    out: dict[str, Path] = {}
    for source in sources:
        name, equals, place = source.partition("=")
        folder = Path(source) if Path(source).exists() or not equals else Path(place)
        if not folder.is_dir():
            raise OptionError(f"there is no folder '{folder}'; give folders, or picture files alone")
        name = folder.resolve().name if folder == Path(source) else name.strip()
        if not name or name in out:
            raise OptionError(f"two systems are called '{name}'; give each a name of its own, NAME=FOLDER")
        out[name] = folder
    return out


def _twins(before: Path, systems: dict[str, Path]) -> Collection:
    """Pictures of the same name in both folders; one without its twin is a pair whose second picture is not there."""
    out = Collection()
    first = _by_stem(before, "the first folder", out)
    if not first:
        raise DataError(f"the folder '{before}' holds no picture; give the one with the pictures before the edits")
    for name, folder in systems.items():
        there = _by_stem(folder, name, out)
        if not first.keys() & there.keys():
            raise DataError(f"no picture of '{folder}' is named as one of '{before}'; give twins the same names")
        for key, picture in first.items():
            out.add(Series(name, key, (picture, there.get(key, folder / picture.name))))
        out.problems += [Problem("no twin", path.name, f"of {name}") for key, path in there.items() if key not in first]
    return out


def _by_stem(folder: Path, name: str, out: Collection) -> dict[str, Path]:
    """Pictures by name without ending; of two with one name the first counts."""
    found: dict[str, Path] = {}
    for path in sorted(pictures_in(folder), key=_natural):
        stem = same_text(path.stem)
        if found.setdefault(stem, path) is not path:
            out.problems.append(Problem("duplicate key", path.name, f"of {name}, {found[stem].name} is taken"))
    return found


def _natural(path: Path) -> list[tuple[int, str]]:
    """turn-2 before turn-10."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", path.name)]


def _from_lines(files: Sequence[Path]) -> Collection:
    """Lines with `before` and `after`, or with `pictures`; `key` and `system` where given."""
    out = Collection()
    unknown: dict[str, None] = {}
    for file in files:
        for line in json_lines(file):
            try:
                if line.fault:
                    raise ValueError(line.fault)
                out.add(_series(line.value, f"{line.number:04d}", file))
                unknown |= dict.fromkeys(set(line.value) - _KNOWN)
            except ValueError as error:
                out.problems.append(Problem("bad line", f"line {line.number}", str(error)))
    out.problems += [Problem("unknown field", name) for name in sorted(unknown)]
    if not out.series:
        why = f" ({out.problems[0].name}: {out.problems[0].detail})" if out.problems else ""
        raise DataError(f"'{files[0]}' holds no pair and no series{why}; write before and after, or pictures")
    return out


def _series(row: Any, number: str, file: Path) -> Series:
    """Raises ValueError with the reason."""
    if not isinstance(row, dict):
        raise ValueError("no object")
    pictures = row.get("pictures", [row.get("before"), row.get("after")])
    if not isinstance(pictures, list) or not all(isinstance(p, str) and p for p in pictures):
        raise ValueError("neither before and after nor pictures, a list of paths")
    if len(pictures) < 2:
        raise ValueError("fewer than two pictures")
    key, system = (
        same_text(str(row.get(name) or default)) for name, default in (("key", number), ("system", file.stem))
    )
    return Series(system, key, tuple(named_file(file.parent, picture) for picture in pictures))
