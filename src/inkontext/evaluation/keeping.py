"""What was measured outlives whatever fails after it: summing up, drawing the report, writing it."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from inkontext.errors import InKontextError, StorageError, UnfinishedError, one_line
from inkontext.storage import atomic_path, write_json


@contextmanager
def kept(what: str, measured: Callable[[], Any], at: Path | None = None) -> Iterator[None]:
    """Run a block of which a failure that nobody foresaw must not lose what was measured.

    Args:
        what: the evaluation, such as `latency`.
        measured: gives plain values; where there are any, they are written into a new file in the working folder, with
            the failure.
        at: the file or folder that has them already; the failure is then written beside them.

    Raises:
        UnfinishedError: the block failed; one sentence says how, and where what was measured is.
        StorageError: the disk refused; likewise.
    """
    try:
        yield
    except StorageError as error:
        if at is not None:
            raise
        raise StorageError(f"{error}; what was measured is kept in '{_rescued(what, measured(), '')}'") from error
    except InKontextError:
        raise
    except Exception as error:
        there = measured()
        if at is None and not there:
            raise
        failure = "".join(traceback.format_exception(error))
        place = _rescued(what, there, failure) if at is None else _told(at, failure)
        raise UnfinishedError(
            f"eval {what} could not be finished ({type(error).__name__}: {one_line(error)}); "
            f"what was measured is kept in '{place}'"
        ) from error


def _rescued(what: str, measured: Any, failure: str) -> Path:
    names = (Path(f"{what}-measured{f'-{n}' if n > 1 else ''}.json") for n in range(1, 1_000_000))
    path = next(name for name in names if not name.exists())
    write_json(path, {"failure": failure, "measured": measured})
    return path


def _told(at: Path, failure: str) -> Path:
    path = at / "failure.txt" if at.is_dir() else at.with_name(f"{at.name}.failure.txt")
    with atomic_path(path) as temporary:
        temporary.write_text(failure, encoding="utf-8")
    return at
