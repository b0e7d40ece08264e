"""Rows on disk as a source of examples, each picture on the canvas nearest to its own shape."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Protocol

import numpy as np

from inkontext.data.examples import Example
from inkontext.data.formats import open_set
from inkontext.data.rows import Blob, Listing, Row
from inkontext.errors import InKontextError
from inkontext.geometry import Size, frame_for, nearest_canvas, ratio_buckets

# Training pictures are cut to their canvas, never padded: a model shown mirrored borders learns to paint them. The
# cut is the same for pictures of one size, so a reference stays aligned with its target.
FIT = "crop"
Layout = tuple[Size, ...]


class RowSource(ABC):
    """Rows that each have a layout. Numbers are drawn evenly, so every row is as likely as any other."""

    def __init__(self, layouts: Sequence[Hashable]) -> None:
        self.layouts = layouts

    @cached_property
    def _kin(self) -> dict[Hashable, np.ndarray]:
        """Layout -> numbers of its rows."""
        rows: dict[Hashable, list[int]] = {}
        for number, layout in enumerate(self.layouts):
            rows.setdefault(layout, []).append(number)
        return {layout: np.array(numbers) for layout, numbers in rows.items()}

    def __len__(self) -> int:
        return len(self.layouts)

    @abstractmethod
    def load(self, number: int) -> Example:
        """Row `number` of the set."""
        ...

    def example(self, number: int, task: str | None = None) -> Example:
        """The row that a number draws."""
        return self.load(number % len(self.layouts))

    def of_one_layout(self, number: int) -> Part:
        """The rows of one layout; a layout is drawn as often as its share of the rows says."""
        return Part(self, self._kin[self.layouts[number % len(self.layouts)]])


class _Loads(Protocol):
    def load(self, number: int) -> Example: ...


class Part:
    """Some rows of a source."""

    def __init__(self, source: _Loads, rows: np.ndarray) -> None:
        self.source, self.rows = source, rows

    def example(self, number: int, task: str | None = None) -> Example:
        """The row that a number draws."""
        return self.source.load(int(self.rows[number % len(self.rows)]))


class PairSource(RowSource):
    """A set on disk at about `size` squared pixels a picture; target and references have canvases of their own.

    With `square` there is one canvas, as the autoencoder's stage needs.

    Raises:
        DataError: the set is empty, half-written, or a picture cannot be opened.
    """

    def __init__(self, path: Path | str, size: int, square: bool = False) -> None:
        listing = open_set(path)
        layouts = measure(listing, ((size, size),) if square else ratio_buckets(size))
        self.rows: list[Row] = listing.sound()
        super().__init__([layout for layout in layouts if layout is not None])

    def load(self, number: int) -> Example:
        row, layout = self.rows[number], self.layouts[number]
        target, *references = (
            placed(blob, canvas)
            for blob, canvas in zip(row.pictures, layout, strict=True)  # type: ignore[arg-type]
        )
        return Example(target, tuple(references), row.instruction, row.category)


def placed(blob: Blob, canvas: Size) -> np.ndarray:
    """A picture on its canvas, uint8 `[H, W, 3]`."""
    picture = blob.picture()
    return np.asarray(frame_for(picture.size, canvas, FIT).place(picture))


def measure(listing: Listing, buckets: Sequence[Size]) -> list[Layout | None]:
    """Canvases of every row's target and references, by their headers; None, and a problem noted, where one fails."""
    canvas = lru_cache(lambda shape: nearest_canvas(shape, buckets))
    layouts: list[Layout | None] = []
    for row in listing.rows:
        try:
            layouts.append(tuple(canvas(blob.size()) for blob in row.pictures))
        except InKontextError as error:
            blame_picture(listing, row, error)
            layouts.append(None)
    return layouts


def blame_picture(listing: Listing, row: Row, error: InKontextError) -> None:
    """Note that a picture of a row cannot be used, and why."""
    reason = str(error).partition(";")[0]
    listing.blame("missing file" if reason.endswith("does not exist") else "broken picture", row.key, reason)
