"""Whole or absent, whatever happens while writing; one process a folder."""

from __future__ import annotations

import errno
import multiprocessing
from pathlib import Path
from typing import Any

import pytest
import torch

from inkontext.errors import RunError, StorageError
from inkontext.training import checkpoint


def write(folder: Path, step: int, keep: int = 2) -> Path:
    return checkpoint.save(folder, step, {"a": {"x": torch.full((3,), float(step))}}, {"step": step}, keep)


def test_round_trip_and_only_the_last_are_kept(tmp_path: Path) -> None:
    for step in (5, 10, 15):
        write(tmp_path, step)
    assert checkpoint.steps_in(tmp_path) == [10, 15]
    files, state = checkpoint.load(checkpoint.path_of(tmp_path, 15))
    assert state == {"step": 15}
    assert files["a"]["x"].tolist() == [15.0] * 3
    assert {p.name for p in tmp_path.iterdir()} == {"step-000010", "step-000015"}


WRITES = ["save_file", "sync", "replace"]


@pytest.mark.parametrize("where", WRITES)
@pytest.mark.parametrize("call", [0, 1, 2])
def test_a_full_disk_leaves_the_checkpoint_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str, call: int
) -> None:
    write(tmp_path, 1, keep=1)
    owner: Any = Path if where == "replace" else checkpoint
    real, count = getattr(owner, where), [0]

    def fail(*args: Any, **more: Any) -> Any:
        count[0] += 1
        if count[0] == call + 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(*args, **more)

    monkeypatch.setattr(owner, where, fail)
    try:
        write(tmp_path, 2, keep=1)
    except StorageError as error:
        assert "free some space" in str(error)
    monkeypatch.undo()
    done = checkpoint.steps_in(tmp_path)
    assert done
    assert checkpoint.load(checkpoint.path_of(tmp_path, done[-1]))[1] == {"step": done[-1]}
    write(tmp_path, 3, keep=1)
    assert checkpoint.steps_in(tmp_path) == [3]


def test_a_damaged_checkpoint_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, 4)
    (path / "a.safetensors").write_bytes(b"xx")
    with pytest.raises(RunError, match="is damaged"):
        checkpoint.load(path)


def _try_lock(folder: Path, queue: Any) -> None:
    try:
        checkpoint.run_lock(folder)
        queue.put("got it")
    except RunError as error:
        queue.put(str(error))


def test_the_second_process_is_refused(tmp_path: Path) -> None:
    lock = checkpoint.run_lock(tmp_path)
    context = multiprocessing.get_context("spawn")
    for release, expected in ((False, "another process is training"), (True, "got it")):
        if release:
            lock.release()
        queue = context.Queue()
        process = context.Process(target=_try_lock, args=(tmp_path, queue))
        process.start()
        assert expected in queue.get()
        process.join()
