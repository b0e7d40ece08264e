"""Which files of a folder are somebody's pictures, and which file a row of metadata names.

What programs leave behind is no data: names that begin with a dot (`.ipynb_checkpoints`, `._a.png`, `.DS_Store`), and
the folders `__MACOSX` and `@eaDir`. Two names are one where Unicode says that they are the same text: é in one
character (NFC), or as an e and its accent (NFD), as some file systems write it.
"""

from __future__ import annotations

import unicodedata
from pathlib import Path, PurePath
from typing import Final

from inkontext.safety.pictures import is_picture

_LEFT_BEHIND: Final = ("__MACOSX", "@eaDir")
_LONGEST: Final = 255  # bytes of a name on every common file system


def is_hidden(inside: PurePath | str) -> bool:
    """Whether a path below a set's folder leads to, or through, what no person put there."""
    parts = PurePath(inside).parts
    return any((part.startswith(".") and part != "..") or part in _LEFT_BEHIND for part in parts)


def files_below(folder: Path, pattern: str = "*") -> list[Path]:
    """The files below a folder whose names match, by name, without hidden ones."""
    return sorted(p for p in folder.rglob(pattern) if not is_hidden(p.relative_to(folder)) and p.is_file())


def files_in(folder: Path, pattern: str = "*") -> list[Path]:
    """The files of a folder itself whose names match, by name, without hidden ones."""
    return sorted(p for p in folder.glob(pattern) if not is_hidden(p.name) and p.is_file())


def pictures_below(folder: Path) -> list[Path]:
    """The pictures in a folder and in the folders below it, by name."""
    return [path for path in files_below(folder) if is_picture(path.name)]


def pictures_in(folder: Path) -> list[Path]:
    """The pictures in a folder itself, by name."""
    return [path for path in files_in(folder) if is_picture(path.name)]


def pictures_by_stem(folder: Path) -> dict[str, Path]:
    """The pictures in a folder by their name without its ending.

    Raises:
        ValueError: two have one name; in words that follow "the folder".
    """
    found: dict[str, Path] = {}
    for path in pictures_in(folder):
        other = found.setdefault(same_text(path.stem), path)
        if other is not path:
            raise ValueError(f"holds two pictures of one name, {other.name} and {path.name}")
    return found


def same_text(name: str) -> str:
    """The one form (NFC) of a name that may be written in several."""
    return unicodedata.normalize("NFC", name)


def named_file(folder: Path, name: str) -> Path:
    r"""The file that a row of metadata names; it need not be there.

    Where it is not there as it is written, backslashes separate folders, as tools on Windows write them, and the other
    forms of the same text are looked for.

    Raises:
        ValueError: it can be no path; a JSON string "a\b.png" has a control character, not a backslash.
    """
    if not name.isprintable() and any(unicodedata.category(c) == "Cc" for c in name):
        raise ValueError("has a path with a control character; write / where it has \\")
    path = folder / name
    if "\\" in name and not path.exists():
        path = folder / name.replace("\\", "/")
    if any(len(part.encode()) > _LONGEST for part in path.parts):
        raise ValueError(f"has a path too long to be one, '{name[:40]}…'")
    if name.isascii() or path.exists():
        return path
    there = folder
    for part in path.relative_to(folder).parts if path.is_relative_to(folder) else ():
        found = _child(there, part)
        if found is None:
            return path
        there = found
    return there if there != folder else path


def _child(folder: Path, name: str) -> Path | None:
    """What a folder holds under a name or another form of it; None where that is nothing, or not one."""
    if (folder / name).exists():
        return folder / name
    same = [p for p in folder.iterdir() if same_text(p.name) == same_text(name)] if folder.is_dir() else []
    return same[0] if len(same) == 1 else None
