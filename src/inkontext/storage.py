"""Writes that are whole or absent: temporary name, fsync, rename."""

from __future__ import annotations

import errno
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from inkontext.errors import InKontextError, StorageError

# What a file system answers that has no locks of the kernel's, as network file systems may.
_NO_LOCKS: Final = {errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP}


@contextmanager
def atomic_path(path: Path, *, overwrite: bool = True) -> Iterator[Path]:
    """Give a temporary name beside `path` to write to; rename it into place only when all went well.

    Raises:
        FileExistsError: without `overwrite`, the file is there. Of several processes one gets the name.
        StorageError: the disk refuses.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=".inkontext-", dir=path.parent)  # short, however long the name is
        os.close(handle)
    except OSError as error:
        raise StorageError(f"cannot write '{path}' ({error.strerror}); choose another place") from error
    temporary = Path(name)
    try:
        yield temporary
        sync(temporary)
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        if overwrite:
            temporary.replace(path)
        else:
            _rename_new(temporary, path)
    except FileExistsError:
        raise
    except OSError as error:
        raise StorageError(f"cannot write '{path}' ({error.strerror or error}); free some space") from error
    finally:
        temporary.unlink(missing_ok=True)


def _rename_new(temporary: Path, path: Path) -> None:
    """Raises FileExistsError where the name is taken. No reader ever sees half a file under it."""
    try:
        os.link(temporary, path)
    except FileExistsError:
        raise
    except OSError:  # a file system without links: the name is held by an empty file, for the time of a rename
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        temporary.replace(path)


def write_json(path: Path, body: dict[str, Any]) -> None:
    """Write a JSON file atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(body, indent=2) + "\n", encoding="utf-8")


class FolderLock:
    """Keeps a second process out of a folder; released when the process ends, however it ends. A context manager.

    The kernel locks `.lock`. Where a file system has no such locks, `.lock.owner` names the process that owns the
    folder; one that died is not heeded, if it was of this machine.
    """

    def __init__(self, folder: Path, in_use: InKontextError, instead: str = "another place") -> None:
        """Make the folder and lock it.

        Args:
            in_use: raised where another process, or another object of this one, holds it.
            instead: what to choose where nothing can be written.
        """
        from filelock import FileLock, Timeout

        owner = folder / ".lock.owner"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = FileLock(folder / ".lock", thread_local=False, blocking=False, fallback_to_soft=False)
            try:
                self._lock.acquire()
            except OSError as error:
                if error.errno not in _NO_LOCKS:
                    raise
                self._lock = _owned(owner, in_use)
        except Timeout as error:
            raise in_use from error
        except OSError as error:
            raise StorageError(f"cannot write in '{folder}' ({error.strerror}); choose {instead}") from error

    def release(self) -> None:
        self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def _owned(owner: Path, in_use: InKontextError) -> Any:
    """A lock without the kernel: a file that names its process and machine. Raises `in_use`, saying who that is."""
    from filelock import SoftFileLock, Timeout

    lock = SoftFileLock(owner, thread_local=False, blocking=False)
    try:
        lock.acquire()
    except Timeout as error:
        who = " on ".join(owner.read_text(encoding="utf-8", errors="replace").split()[:2]) if owner.exists() else "gone"
        raise type(in_use)(f"{in_use} (process {who}; where it is known to have died, delete '{owner}')") from error
    return lock


def sync(path: Path) -> None:
    """Have a file's bytes, or the names in a folder, outlive a power cut (a folder's not on Windows, which cannot)."""
    windows = os.name == "nt"
    if windows and path.is_dir():
        return
    handle = os.open(path, os.O_RDWR if windows else os.O_RDONLY)  # Windows syncs only what is open for writing
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
