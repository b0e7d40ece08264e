"""Checkpoints that are whole or absent, and the lock on a run's folder.

A checkpoint is written into a folder with a temporary name, every file is fsynced, and a rename is the commit.
Older ones are deleted only after that. Whatever moment a process dies, the last complete one is there.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from inkontext.errors import RunError, StorageError
from inkontext.storage import FolderLock, sync

_STEP = re.compile(r"step-(\d{6,})")


def run_lock(folder: Path) -> FolderLock:
    """The lock on a run's folder. Raises RunError where another process has it, StorageError."""
    in_use = RunError(f"another process is training in '{folder}'; stop it or choose another run_dir")
    return FolderLock(folder, in_use, "another run_dir")


def steps_in(folder: Path) -> list[int]:
    """Steps of the complete checkpoints of a run, rising."""
    found = (_STEP.fullmatch(p.name) for p in folder.glob("step-*") if (p / "state.json").exists())
    return sorted(int(m[1]) for m in found if m)


def path_of(folder: Path, step: int) -> Path:
    return folder / f"step-{step:06d}"


@contextmanager
def whole_folder(target: Path) -> Iterator[Path]:
    """Give a folder beside `target` to write into; fsync it and put it in the place of `target` when all went well.

    Raises:
        StorageError: the disk refuses; what stood there before is untouched.
    """
    temporary = target.with_name(f".{target.name}.writing")
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        yield temporary
        for path in [*temporary.rglob("*"), temporary]:
            sync(path)
        _discard(target)
        temporary.replace(target)
        sync(target.parent)
    except (OSError, SafetensorError) as error:
        raise StorageError(f"cannot write '{target}' ({error}); free some space and resume") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def save(
    folder: Path, step: int, files: Mapping[str, Mapping[str, Tensor]], state: Mapping[str, Any], keep: int
) -> Path:
    """Write `step-NNNNNN/` with one safetensors file for each of `files` and `state.json`; keep the last `keep`.

    Raises:
        StorageError: the disk refuses; earlier checkpoints are untouched.
    """
    target = path_of(folder, step)
    with whole_folder(target) as temporary:
        for name, tensors in files.items():
            save_file({k: v.detach().contiguous() for k, v in tensors.items()}, temporary / f"{name}.safetensors")
        (temporary / "state.json").write_text(json.dumps(dict(state), indent=2) + "\n")
    for old in steps_in(folder)[:-keep]:
        with suppress(OSError):  # the new one is committed; an old one that cannot go is no failure
            _discard(path_of(folder, old))
    return target


def _discard(path: Path) -> None:
    """Take a checkpoint out of sight by a rename before deleting it: a half-deleted one must not look complete."""
    if path.exists():
        hidden = path.with_name(f".{path.name}.deleting")
        shutil.rmtree(hidden, ignore_errors=True)
        path.replace(hidden)
        shutil.rmtree(hidden, ignore_errors=True)


def load(path: Path) -> tuple[dict[str, dict[str, Tensor]], dict[str, Any]]:
    """The files and the state of a checkpoint.

    Raises:
        RunError: it is damaged.
    """
    state = state_of(path)
    try:
        files = {p.stem: load_file(p) for p in sorted(path.glob("*.safetensors"))}
    except (OSError, SafetensorError) as error:
        raise _damaged(path, error) from error
    return files, state


def state_of(path: Path) -> dict[str, Any]:
    """The state of a checkpoint alone. Raises RunError where it is damaged."""
    try:
        return json.loads((path / "state.json").read_text())
    except (OSError, ValueError) as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> RunError:
    return RunError(f"checkpoint '{path}' is damaged ({error}); delete it to resume from the one before")
