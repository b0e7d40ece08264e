"""Everything that is wrong with a set, by name, before a run finds it out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inkontext.data.formats import open_set
from inkontext.data.pairs import Layout, blame_picture, measure
from inkontext.data.rows import FATAL, MILD, Blob, Listing, Problem, Row
from inkontext.errors import DataError, PictureError
from inkontext.geometry import Size, ratio_buckets

_WIDEST = 4.0  # width : height of the widest canvas
_SMALLEST = 0.5  # of the training size, for the geometric mean of the sides


@dataclass(frozen=True)
class Checked:
    """The outcome of a check.

    Attributes:
        references: rows by their number of references.
        layouts: rows by the canvases of target and references.
    """

    path: Path
    format: str
    rows: int
    problems: list[Problem]
    references: dict[int, int]
    categories: dict[str, int]
    layouts: dict[Layout, int]

    @property
    def fatal(self) -> list[Problem]:
        """What would stop training."""
        return [problem for problem in self.problems if problem.fatal]

    def require(self) -> None:
        """Raises DataError where training would refuse the set."""
        if bad := self.fatal:
            raise DataError(
                f"'{self.path}' has {len(bad)} problem{'s' * (len(bad) > 1)} that would stop training, "
                f"the first: {bad[0].brief}; {FATAL[bad[0].kind]}"
            )
        if not self.rows:
            raise DataError(f"'{self.path}' holds no rows; check the path")

    def as_dict(self) -> dict[str, Any]:
        """For --json."""
        return {
            "path": str(self.path),
            "format": self.format,
            "rows": self.rows,
            "ok": bool(self.rows) and not self.fatal,
            "references": {str(count): rows for count, rows in sorted(self.references.items())},
            "categories": self.categories,
            "layouts": [{"canvases": list(layout), "rows": rows} for layout, rows in self.layouts.items()],
            "problems": [{"kind": p.kind, "name": p.name, "detail": p.detail, "fatal": p.fatal} for p in self.problems],
        }


def check(path: Path, size: int, decode: bool = True, tick: Callable[[int, int], None] | None = None) -> Checked:
    """Check a set for training at `size` pixels.

    Args:
        decode: decode every picture whole, which finds those that are cut short; else read headers only.
        tick: called with (rows done, rows).

    Raises:
        DataError: there is no set at all.
    """
    listing = open_set(path)
    layouts = measure(listing, ratio_buckets(size))
    for done, (row, layout) in enumerate(zip(listing.rows, layouts, strict=True), 1):
        if layout is not None:
            _check_row(listing, row, size, decode)
        if tick is not None:
            tick(done, len(listing.rows))
    return Checked(
        path,
        listing.format,
        len(listing.rows),
        sorted(listing.problems, key=lambda p: [*FATAL, *MILD].index(p.kind)),
        dict(Counter(len(row.references) for row in listing.rows)),
        dict(Counter(row.category for row in listing.rows)),
        dict(Counter(layout for layout in layouts if layout is not None).most_common()),
    )


def _check_row(listing: Listing, row: Row, size: int, decode: bool) -> None:
    """Shapes of a row whose headers can be read, and its pixels where asked."""
    try:
        sizes = [_size(blob, decode) for blob in row.pictures]
        mask = _size(row.mask, decode) if row.mask else sizes[0]
    except PictureError as error:
        blame_picture(listing, row, error)
        return
    for blob, (width, height) in zip(row.pictures, sizes, strict=True):
        if (width * height) ** 0.5 < _SMALLEST * size:
            listing.blame("too small", blob.name, f"{width}x{height} for {size}")
        if max(width, height) > _WIDEST * min(width, height):
            listing.blame("extreme shape", blob.name, f"{width}x{height}")
    if odd := [shape for shape in sizes[1:] if shape != sizes[0]]:
        (width, height), (other, tall) = sizes[0], odd[0]
        listing.blame("sizes differ", row.key, f"target {width}x{height}, reference {other}x{tall}")
    if mask != sizes[0]:
        listing.blame("mask of another size", row.key, f"{mask[0]}x{mask[1]} for {sizes[0][0]}x{sizes[0][1]}")


def _size(blob: Blob, decode: bool) -> Size:
    return blob.picture().size if decode else blob.size()
