"""A folder that keeps an evaluation as it is made: what is done stays done, whatever ends the process.

settings.json   what was measured, and how; another run must agree with it to go on
results.jsonl   one line a result, appended and synced; a torn last line is cut off
timings.jsonl   seconds a result, apart from the results so that these are the same bytes every time
outputs/        the pictures, KEY.png
results.json    the whole, at the end
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from PIL import Image

from inkontext.errors import DataError, InKontextError, OptionError, RunError, StorageError
from inkontext.evaluation.keeping import kept
from inkontext.safety.provenance import save_picture
from inkontext.storage import FolderLock, write_json

Row = dict[str, Any]


class Ledger:
    """Results by key, in a folder or, without one, in memory only. Used as a context manager.

    Attributes:
        rows: the results so far, by key.
        seconds: what each took, seconds.
        mended: files that lost a last line which was cut short.
    """

    def __init__(self, folder: Path | None, settings: dict[str, Any]) -> None:
        """Raises OptionError for a folder with something else in it, RunError where another process is at work."""
        self.folder, self._settings = folder, settings
        self.rows: dict[str, Row] = {}
        self.seconds: dict[str, float] = {}
        self.mended: tuple[str, ...] = ()
        if folder is None:
            return
        in_use = RunError(f"another process is evaluating in '{folder}'; wait for it or name another --out")
        self._lock = FolderLock(folder, in_use, "another --out")
        try:
            agree(folder, settings)
            self._read(folder)
        except OSError as error:
            self._lock.release()
            raise StorageError(f"cannot work in '{folder}' ({error.strerror}); name another --out") from error
        except InKontextError:
            self._lock.release()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if value is not None and not isinstance(value, KeyboardInterrupt) and self.rows:
                with kept(str(self._settings["benchmark"]), lambda: list(self.rows.values()), self.folder):
                    raise value
        finally:
            if self.folder is not None:
                self._lock.release()

    def add(self, row: Row, picture: Image.Image | None, seconds: float) -> None:
        """Keep a result: first the picture, then the line that says it is there."""
        self.rows[row["key"]], self.seconds[row["key"]] = row, round(seconds, 4)
        if self.folder is None:
            return
        if picture is not None:
            save_picture(picture, self.folder / "outputs" / f"{row['key']}.png")
        try:
            _append(self.folder / "timings.jsonl", {"key": row["key"], "seconds": self.seconds[row["key"]]})
            _append(self.folder / "results.jsonl", row, sync=True)
        except OSError as error:
            raise StorageError(f"cannot write in '{self.folder}' ({error.strerror}); free some space") from error

    def finish(self, body: dict[str, Any]) -> None:
        """Write the whole."""
        if self.folder is not None:
            write_json(self.folder / "results.json", body)

    def _read(self, folder: Path) -> None:
        there = read_kept(folder)
        self.rows, self.seconds, self.mended = there.rows, there.seconds, there.torn
        for name in there.torn:
            _cut(folder / name)


@dataclass(frozen=True)
class Kept:
    """What a folder holds. `torn`: files whose last line was cut short and is left out."""

    settings: dict[str, Any]
    rows: dict[str, Row]
    seconds: dict[str, float]
    torn: tuple[str, ...]


def read_kept(folder: Path) -> Kept:
    """Read an evaluation's folder and change nothing in it; results whose picture is gone are left out.

    Raises:
        OptionError: the folder holds no evaluation. DataError: a file is damaged, other than by a cut.
    """
    path = folder / "settings.json"
    if not path.is_file():
        raise OptionError(f"the folder '{folder}' holds no evaluation; give one that --out made")
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"'{path}' is damaged; name a new folder") from error
    (results, torn), (timings, cut) = (_lines(folder / name) for name in ("results.jsonl", "timings.jsonl"))
    rows = {row["key"]: row for row in results if _is_there(folder, row)}
    seconds = {line["key"]: line["seconds"] for line in timings}
    return Kept(settings, rows, seconds, (*["results.jsonl"] * torn, *["timings.jsonl"] * cut))


def _is_there(folder: Path, row: Row) -> bool:
    has_none = bool(row.get("missing") or row.get("refused") or row.get("picture") is False)
    return has_none or (folder / "outputs" / f"{row['key']}.png").exists()


def agree(folder: Path, settings: dict[str, Any]) -> None:
    """Write the settings into a new folder, or see that they are the ones there. Raises OptionError, DataError."""
    path = folder / "settings.json"
    if not path.exists():
        filled = any(not p.name.startswith(".") for p in folder.iterdir())
        if filled and not path.exists():  # a second look: another machine may have begun in the same folder
            raise OptionError(f"the folder '{folder}' is not empty and holds no evaluation; name a new one")
        if not path.exists():
            write_json(path, settings)
    try:
        there = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"'{path}' is damaged; name a new folder") from error
    if found := difference(there, json.loads(json.dumps(settings))):
        raise OptionError(f"the folder '{folder}' holds results of other settings ({found}); name another --out")


def _append(path: Path, row: Row, sync: bool = False) -> None:
    with path.open("ab") as file:
        file.write(json.dumps(row).encode() + b"\n")
        if sync:
            file.flush()
            os.fsync(file.fileno())


def _cut(path: Path) -> None:
    """Cut off a last line that is not whole."""
    with path.open("r+b") as file:
        file.truncate(file.read().rfind(b"\n") + 1)


def _lines(path: Path) -> tuple[list[Row], bool]:
    """The whole lines of a JSONL file, and whether a last one was cut short. Raises DataError for other damage."""
    if not path.exists():
        return [], False
    data = path.read_bytes()
    whole = data[: data.rfind(b"\n") + 1]
    rows = []
    for number, line in enumerate(whole.splitlines(), 1):
        try:
            rows.append(json.loads(line))
            rows[-1]["key"]
        except (ValueError, TypeError, KeyError) as error:
            raise DataError(f"line {number} of '{path}' is damaged; remove the line to have it made again") from error
    return rows, len(whole) < len(data)


def difference(there: Any, now: Any, name: str = "") -> str | None:
    """The first value that differs, in words; None where all agree."""
    if isinstance(there, dict) and isinstance(now, dict):
        keys = [*there, *(k for k in now if k not in there)]
        found = (difference(there.get(k), now.get(k), f"{name}.{k}" if name else k) for k in keys)
        return next((f for f in found if f), None)
    return None if there == now else f"{name} {_told(there)} there, {_told(now)} now"


def _told(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else "none" if value is None else str(value)
