"""What a call gives back, and what it tells while it works."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

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

    def save(self, path: str | Path) -> list[Path]:
        """Write the pictures with their records inside; several are numbered name-1.png, name-2.png, ...

        Raises:
            OptionError: an unknown suffix, or one that would change what an exact mask kept.
            StorageError: the disk refuses.
        """
        paths = numbered(Path(path), len(self.images))
        if "mask" in self.records[0]:
            check_keeps_bytes(Path(path), self.records[0]["mask"]["mode"])
        for target, image, record in zip(paths, self.images, self.records, strict=True):
            save_picture(image, target, record)
        return paths


def numbered(path: Path, count: int) -> list[Path]:
    """The names that `count` pictures saved as `path` get."""
    return [path] if count == 1 else [path.with_stem(f"{path.stem}-{i + 1}") for i in range(count)]
