"""What a call gives back, and what it tells while it works."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from inkontext.errors import StorageError
from inkontext.safety.provenance import check_keeps_bytes, save_picture

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Progress:
    """Where a call stands, given to its callback after every step; the callback returns False to cancel.

    `image` of `images` and `step` of `steps` count from 1. `preview()` decodes the present estimate of the
    picture, on its canvas; it costs a run of the decoder.
    """

    image: int
    images: int
    step: int
    steps: int
    preview: Callable[[], Image.Image]


Callback = Callable[[Progress], bool | None]


@dataclass(frozen=True)
class Result:
    """Pictures, and a record of how each was made.

    `metadata` is the first picture's record with all records under `images`. `latents` are what the pictures were
    decoded from, float32 `[1, C, h, w]` on the CPU: given back as `context_latents`, they save
    the next edit an encoding. `expected`, of the same shapes: see `Pipeline.edit`.
    """

    images: list[Image.Image]
    records: list[dict[str, Any]]
    latents: list[Tensor] = field(default_factory=list)
    expected: list[Tensor] = field(default_factory=list)

    @property
    def metadata(self) -> dict[str, Any]:
        return self.records[0] | {"images": self.records}

    def save(self, path: str | Path, *, overwrite: bool = True) -> list[Path]:
        """Write the pictures with their records inside; several are numbered name-1.png, name-2.png, ...

        Without `overwrite` a name that is taken becomes name-2.png, name-3.png, ...; several processes that save at
        once get a name each.

        Raises:
            OptionError: an unknown suffix, or one that would change what an exact mask kept.
            StorageError: the disk refuses; the sentence says in which folder of the system's temporary files the
                pictures are, unless that refuses too.
        """
        if "mask" in self.records[0]:
            check_keeps_bytes(Path(path), self.records[0]["mask"]["mode"])
        try:
            return self._save(Path(path), True) if overwrite else self._save_beside(Path(path))
        except StorageError as error:
            raise StorageError(f"{error}{self._rescued(Path(path).name)}") from error

    def _save_beside(self, path: Path) -> list[Path]:
        for candidate in variants(path):
            if not any(p.exists() for p in numbered(candidate, len(self.images))):
                with suppress(FileExistsError):
                    return self._save(candidate, False)
        raise AssertionError("there are names without end")

    def _rescued(self, name: str) -> str:
        """What to say of pictures that could not be written where they were wanted: work that took minutes."""
        try:
            folder = Path(tempfile.mkdtemp(prefix="inkontext-"))
        except OSError:
            return ""
        try:
            self._save(folder / name, True)
        except StorageError:
            shutil.rmtree(folder, ignore_errors=True)
            return ""
        return f"; what was made is kept in '{folder}'"

    def _save(self, path: Path, overwrite: bool) -> list[Path]:
        paths = numbered(path, len(self.images))
        for place, (target, image, record) in enumerate(zip(paths, self.images, self.records, strict=True)):
            try:
                save_picture(image, target, record, overwrite=overwrite)
            except FileExistsError:  # another process was quicker; ours shall stand together under one name
                for written in paths[:place]:
                    written.unlink(missing_ok=True)
                raise
        return paths


def variants(path: Path) -> Iterator[Path]:
    """`path`, then name-2, name-3, ... without end."""
    yield path
    for number in count(2):
        yield path.with_stem(f"{path.stem}-{number}")


def numbered(path: Path, count: int) -> list[Path]:
    """The names that `count` pictures saved as `path` get."""
    return [path] if count == 1 else [path.with_stem(f"{path.stem}-{i + 1}") for i in range(count)]
