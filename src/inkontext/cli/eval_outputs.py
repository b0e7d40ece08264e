"""Where an evaluation may write, found wrong before the work and not after it."""

from __future__ import annotations

from pathlib import Path

from inkontext.errors import OptionError


def check_places(json: Path | None, out: Path | None) -> None:
    """Raises OptionError for a file that is a folder, or a folder that is a file."""
    if json is not None and (json.is_dir() or not _nearest(json).is_dir()):
        raise OptionError(f"cannot write '{json}', a folder or inside a file; name a file in a folder")
    if out is not None and not _nearest(out / "x").is_dir():
        raise OptionError(f"cannot write into '{out}', a file or inside one; name a folder")


def _nearest(path: Path) -> Path:
    """The nearest parent that exists."""
    return next(p for p in path.absolute().parents if p.exists())
