"""Where a verb may write, found wrong before the work and not after it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from inkontext.errors import OptionError

_LONGEST = 255  # bytes of a name where the file system does not say


def check_file(file: Path, reads: Iterable[str | Path] = ()) -> None:
    """Raises OptionError where no file can be written there, or where it would replace one of those that are read."""
    folder = _nearest(file, file)
    if file.is_dir() or not folder.is_dir():
        raise OptionError(f"cannot write '{file}', a folder or inside a file; name a file in a folder")
    _try(folder, file)
    check_apart([file], reads)


def check_folder(out: Path) -> None:
    """Raises OptionError where no folder can be made or written into."""
    folder = _nearest(out / "x", out)
    if not folder.is_dir():
        raise OptionError(f"cannot write into '{out}', a file or inside one; name a folder")
    _try(folder, out)


def check_places(json: Path | None, out: Path | None, reads: Iterable[str | Path] = ()) -> None:
    """Raises OptionError for a file `json`, or a folder `out`, that cannot be written."""
    if json is not None:
        check_file(json, reads)
    if out is not None:
        check_folder(out)


def check_apart(writes: Sequence[Path], reads: Iterable[str | Path] = ()) -> None:
    """Raises OptionError where two outputs are one file, or an output is a file that is read."""
    read = [Path(file) for file in reads]
    for place, file in enumerate(writes):
        if any(_same(file, other) for other in writes[:place]):
            raise OptionError(f"'{file}' is named for two outputs; name another file for one of them")
        if any(_same(file, other) for other in read):
            raise OptionError(f"'{file}' is read and would be overwritten; name another file to write")


def _same(first: Path, second: Path) -> bool:
    """Whether both are one file, by whatever links and letters; either may be missing."""
    try:
        return first.samefile(second)
    except (OSError, ValueError):
        return os.path.realpath(first) == os.path.realpath(second)


def _nearest(path: Path, told: Path) -> Path:
    """The nearest parent that exists. Raises OptionError for names that cannot be."""
    try:
        folder = next(p for p in path.absolute().parents if p.exists())
        longest = os.pathconf(folder, "PC_NAME_MAX") if hasattr(os, "pathconf") and folder.is_dir() else _LONGEST
    except (OSError, ValueError) as error:
        raise OptionError(f"cannot write '{told}' ({_reason(error)}); choose another name") from error
    for part in path.absolute().parts[len(folder.parts) :]:
        if (size := len(os.fsencode(part))) > longest:
            raise OptionError(f"cannot write '{told}', a name of {size} bytes where {longest} go; choose a shorter one")
    return folder


def _try(folder: Path, told: Path) -> None:
    """Raises OptionError where the folder takes no new file: asked of the system itself, which alone knows."""
    try:
        with tempfile.TemporaryFile(prefix=".inkontext-", dir=folder):
            pass
    except OSError as error:
        raise OptionError(f"cannot write '{told}' ({_reason(error)}); choose another place") from error


def _reason(error: OSError | ValueError) -> str:
    return getattr(error, "strerror", None) or str(error)
