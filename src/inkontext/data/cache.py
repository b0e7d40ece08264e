"""Tensors kept between runs in safetensors shards, each valid from the moment its line stands in the manifest.

    manifest.jsonl     one line a shard: its file, its bytes, the model it was made with, the keys in it
    KIND-NNNNNN.safetensors
    rows.jsonl         written last: what the set's rows consist of; without it the folder is not finished

A process that dies at any moment leaves whole shards, and perhaps one that no line names, which is written again.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from inkontext.errors import DataError, RunError, StorageError
from inkontext.storage import FolderLock, atomic_path

MANIFEST: Final = "manifest.jsonl"
ROWS: Final = "rows.jsonl"
_SHARD: Final = re.compile(r"(latents|text)-\d{6,}\.safetensors")


class Shards:
    """Tensors by key, read one at a time from the shards that the manifest names.

    Args:
        models: kind of tensor -> fingerprint of the model it must come from; other kinds and models are not seen.
    """

    def __init__(self, folder: Path, models: Mapping[str, str]) -> None:
        self.folder, self.models = folder, models
        self.lines = [line for line in _lines(folder / MANIFEST) if _whole(folder, line)]
        self.place: dict[str, str] = {}
        for line in self.lines:
            if models.get(line["kind"]) == line["model"]:
                self.place |= dict.fromkeys(line["keys"], line["shard"])
        self._open: dict[str, Any] = {}

    def __contains__(self, key: str) -> bool:
        return key in self.place

    def __getitem__(self, key: str) -> Tensor:
        """A tensor as it was stored.

        Raises:
            DataError: it is not there, or its shard is damaged.
        """
        try:
            shard = self.place[key]
            if shard not in self._open:
                self._open[shard] = safe_open(self.folder / shard, "pt")
            return self._open[shard].get_tensor(key)
        except (KeyError, OSError, SafetensorError) as error:
            raise DataError(
                f"'{self.folder}' lacks the tensor '{key}' ({error}); run `inkontext data precompute` again"
            ) from error

    def add(self, kind: str, tensors: Mapping[str, Tensor]) -> None:
        """Write a shard, then its line.

        Raises:
            StorageError: the disk refuses; what was there before is untouched.
        """
        name = self._free_name(kind)
        with atomic_path(self.folder / name) as temporary:
            try:
                save_file({key: tensor.contiguous() for key, tensor in tensors.items()}, temporary)
            except SafetensorError as error:
                raise StorageError(f"cannot write '{self.folder / name}' ({error}); free some space") from error
        size = (self.folder / name).stat().st_size
        line = {"kind": kind, "shard": name, "bytes": size, "model": self.models[kind], "keys": list(tensors)}
        try:
            with (self.folder / MANIFEST).open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise StorageError(
                f"cannot write '{self.folder / MANIFEST}' ({error.strerror}); free some space"
            ) from error
        self.lines.append(line)
        self.place |= dict.fromkeys(tensors, name)

    def _free_name(self, kind: str) -> str:
        numbers = [int(line["shard"].partition(".")[0].rpartition("-")[2]) for line in self.lines]
        return f"{kind}-{max(numbers, default=-1) + 1:06d}.safetensors"

    def keep(self, keys: Iterable[str]) -> int:
        """Drop the shards that hold none of these keys, those of other models included; returns how many went."""
        wanted = {self.place[key] for key in keys}
        before = len(self.lines)
        self.lines = [line for line in self.lines if line["shard"] in wanted]
        self.place = {key: shard for key, shard in self.place.items() if shard in wanted}
        self.rewrite()
        for file in self.folder.glob("*.safetensors"):  # those that no line names are of a process that died
            if _SHARD.fullmatch(file.name) and file.name not in wanted:
                file.unlink(missing_ok=True)
        return before - len(self.lines)

    def rewrite(self) -> None:
        """Write the manifest anew, without lines that were cut short or whose shards are gone."""
        with atomic_path(self.folder / MANIFEST) as temporary:
            temporary.write_text("".join(json.dumps(line) + "\n" for line in self.lines), encoding="utf-8")


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    """Lines that are whole; the last one may have been cut short when the process died."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return
    except OSError as error:
        raise DataError(f"cannot read '{path}' ({error.strerror}); check its permissions") from error
    for line in text.split("\n"):
        try:
            body = json.loads(line)
        except ValueError:
            continue
        if isinstance(body, dict) and {"kind", "shard", "bytes", "model", "keys"} <= body.keys():
            yield body


def _whole(folder: Path, line: Mapping[str, Any]) -> bool:
    path = folder / line["shard"]
    return path.name == line["shard"] and path.is_file() and path.stat().st_size == line["bytes"]


@contextmanager
def owned(folder: Path) -> Iterator[None]:
    """Keep other processes from writing into a folder, and clear what a killed one left half-written.

    Raises:
        RunError: another process is writing there. StorageError: the folder cannot be made.
    """
    in_use = RunError(f"another process is writing into '{folder}'; wait for it or choose another")
    with FolderLock(folder, in_use):
        for left in folder.glob(".*.safetensors.*"):
            left.unlink(missing_ok=True)
        yield


def write_rows(folder: Path, head: Mapping[str, Any], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write rows.jsonl, which makes the folder complete: `head` first, one line a row after it."""
    with atomic_path(folder / ROWS) as temporary, temporary.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(body) + "\n" for body in (head, *rows))


def read_rows(folder: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Head and rows.

    Raises:
        DataError: there are none, or not all.
    """
    try:
        head, *rows = (json.loads(line) for line in (folder / ROWS).read_text(encoding="utf-8").splitlines())
        if head["rows"] != len(rows):
            raise ValueError(f"{len(rows)} of {head['rows']} rows")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"'{folder}' holds no finished latents; run `inkontext data precompute`, which goes on where it stopped"
        ) from error
    return head, rows
