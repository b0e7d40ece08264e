"""Files are whole or absent."""

from __future__ import annotations

import ast
import errno
import fcntl
import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest

from inkontext.data.cache import owned
from inkontext.errors import InKontextError, RunError, SessionError, StorageError
from inkontext.evaluation.ledger import Ledger
from inkontext.session.store import Store
from inkontext.storage import FolderLock, atomic_path, write_json
from inkontext.training.checkpoint import run_lock

# `python -c HOLD folder [code]`: locks a folder, where a code is given without the kernel, says so, and waits.
HOLD = """
import errno, fcntl, sys
from pathlib import Path
from inkontext.errors import RunError
from inkontext.storage import FolderLock
def refuse(file, how): raise OSError(int(sys.argv[2]), "no locks here")
if len(sys.argv) > 2: fcntl.flock = refuse
lock = FolderLock(Path(sys.argv[1]), RunError("in use"))
print("held", flush=True)
input()
"""
# Modules that only one family of systems has; `pydoc` and the like are everywhere.
ONE_FAMILY = {"fcntl", "resource", "termios", "tty", "pty", "pwd", "grp", "posix", "syslog", "msvcrt", "winreg"}
NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP)


def test_a_file_appears_whole(tmp_path: Path) -> None:
    with atomic_path(tmp_path / "deep/er/a.txt") as temporary:
        temporary.write_text("whole")
        assert not (tmp_path / "deep/er/a.txt").exists()
    assert [p.name for p in (tmp_path / "deep/er").iterdir()] == ["a.txt"]
    assert (tmp_path / "deep/er/a.txt").read_text() == "whole"


@pytest.mark.parametrize("failure", [RuntimeError, KeyboardInterrupt])
def test_a_failure_keeps_the_old_and_leaves_nothing(tmp_path: Path, failure: type[BaseException]) -> None:
    (tmp_path / "a.txt").write_text("old")
    with pytest.raises(failure), atomic_path(tmp_path / "a.txt") as temporary:
        temporary.write_text("half")
        raise failure
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]
    assert (tmp_path / "a.txt").read_text() == "old"


def test_disk_errors_are_told_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"cannot write .*a\.txt' \(No space left"), atomic_path(tmp_path / "a.txt"):
        raise OSError(28, "No space left on device")
    assert list(tmp_path.iterdir()) == []


def test_a_file_where_a_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="choose another place"):
        write_json(tmp_path / "file/a.json", {})
    assert (tmp_path / "file").read_text() == ""


def test_permissions_follow_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_json(tmp_path / "a.json", {})
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.json").stat().st_mode) == 0o640


def test_json_is_read_back(tmp_path: Path) -> None:
    body = {"name": "Ωmega", "list": [1, 2.5, None]}
    write_json(tmp_path / "a.json", body)
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == body


def without_locks(monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    def refuse(*_: object) -> NoReturn:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "flock", refuse)


@pytest.fixture(params=[None, *NO_LOCKS])
def locks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int | None:
    """The kernel's locks, and file systems that have none: the code they answer."""
    if request.param is not None:
        without_locks(monkeypatch, request.param)
    return request.param


def lock(folder: Path) -> FolderLock:
    return FolderLock(folder, RunError("in use; wait"))


def test_a_second_holder_is_refused_until_the_first_lets_go(tmp_path: Path, locks: int | None) -> None:
    first = lock(tmp_path / "a")
    with pytest.raises(RunError, match=r"^in use; wait"):
        lock(tmp_path / "a")
    with lock(tmp_path / "b"):
        first.release()
    lock(tmp_path / "a").release()
    lock(tmp_path / "b").release()


@pytest.mark.parametrize("death", [signal.SIGKILL, signal.SIGTERM])
def test_a_lock_goes_with_its_process(tmp_path: Path, locks: int | None, death: signal.Signals) -> None:
    command = [sys.executable, "-c", HOLD, str(tmp_path), *([] if locks is None else [str(locks)])]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        with pytest.raises(RunError, match="in use") as told:
            lock(tmp_path)
        assert locks is None or f"(process {process.pid} on " in str(told.value)
        process.send_signal(death)
    lock(tmp_path).release()


@pytest.mark.parametrize("code", NO_LOCKS)
def test_every_folder_is_locked_where_the_file_system_has_no_locks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    without_locks(monkeypatch, code)
    held: list[Any] = [Store(tmp_path / "session"), Ledger(tmp_path / "out", {}), run_lock(tmp_path / "run")]
    refused: list[tuple[type[InKontextError], str, Callable[[], object]]] = [
        (SessionError, "is open elsewhere", lambda: Store(tmp_path / "session")),
        (RunError, "another process is evaluating", lambda: Ledger(tmp_path / "out", {})),
        (RunError, "another process is training", lambda: run_lock(tmp_path / "run")),
        (RunError, "another process is writing", lambda: owned(tmp_path / "set").__enter__()),
    ]
    with owned(tmp_path / "set"):
        for kind, words, again in refused:
            with pytest.raises(kind, match=words):
                again()
    held[0].close()
    held[1].__exit__(None, None, None)
    held[2].release()
    for _, _, again in refused[:3]:
        again()


def test_other_refusals_of_a_lock_are_told_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without_locks(monkeypatch, errno.EIO)
    with pytest.raises(StorageError, match=r"cannot write in .* \(Input/output error\)"):
        lock(tmp_path)


def test_a_ledger_that_is_refused_holds_no_lock(tmp_path: Path) -> None:
    Ledger(tmp_path, {"seed": 0}).__exit__(None, None, None)
    with pytest.raises(InKontextError, match="other settings"):
        Ledger(tmp_path, {"seed": 1})
    Ledger(tmp_path, {"seed": 0}).__exit__(None, None, None)


def unguarded(tree: ast.AST, guarded: bool = False) -> Iterator[str]:
    """Modules that a file imports and does not say what to do without."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (a.name for a in node.names if not guarded)
        elif isinstance(node, ast.ImportFrom) and node.module and not guarded:
            yield node.module
        tried = isinstance(node, ast.Try) and any("ImportError" in ast.unparse(h.type or node) for h in node.handlers)
        yield from unguarded(node, guarded or tried)


def test_no_file_needs_a_module_of_one_system() -> None:
    source = Path(__file__).parents[1] / "src/inkontext"
    found = {
        str(p.relative_to(source)): ONE_FAMILY & set(unguarded(ast.parse(p.read_text("utf-8"))))
        for p in source.rglob("*.py")
    }
    assert len(found) > 100 and {name: modules for name, modules in found.items() if modules} == {}
