"""Writes that are whole or absent: temporary name, fsync, rename."""

from __future__ import annotations

import fcntl
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from inkontext.errors import InKontextError, StorageError


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Give a temporary name beside `path` to write to; rename it into place only when all went well.

    Raises:
        StorageError: the disk refuses.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        os.close(handle)
    except OSError as error:
        raise StorageError(f"cannot write '{path}' ({error.strerror}); choose another place") from error
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        temporary.replace(path)
    except OSError as error:
        raise StorageError(f"cannot write '{path}' ({error.strerror or error}); free some space") from error
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path, body: dict[str, Any]) -> None:
    """Write a JSON file atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(body, indent=2) + "\n", encoding="utf-8")


class FolderLock:
    """Keeps a second process out of a folder; released when the process ends, however it ends."""

    def __init__(self, folder: Path, in_use: InKontextError, instead: str = "another place") -> None:
        """Make the folder and lock it.

        Args:
            in_use: raised where another process, or another object of this one, holds it.
            instead: what to choose where nothing can be written.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = (folder / ".lock").open("w")
        except OSError as error:
            raise StorageError(f"cannot write in '{folder}' ({error.strerror}); choose {instead}") from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._file.close()
            raise in_use from error

    def release(self) -> None:
        self._file.close()


def sync(path: Path) -> None:
    """Have a file's bytes, or the names in a folder, outlive a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
