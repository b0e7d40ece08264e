"""Pictures of rows that have a key: a model's, each from noise of its own, or another system's by their names."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from PIL import Image

from inkontext.errors import PromptError
from inkontext.evaluation.world.systems import Folder, NoPicture
from inkontext.result import Result


class Keyed(Protocol):
    """A row of a benchmark."""

    @property
    def key(self) -> str: ...


class Given:
    """Another system's pictures by key: KEY.png, KEY.jpg or KEY.webp."""

    is_timed = False

    def __init__(self, folder: Path) -> None:
        """Raises OptionError where there is no folder, or no picture in it."""
        self.folder = Folder(folder)
        self.identity = self.folder.identity

    def make(self, row: Keyed, *inputs: Image.Image) -> Image.Image | NoPicture:
        """The row's picture, whatever it was made from."""
        return self.folder.read(row.key)


def noise_seed(seed: int, key: str) -> int:
    """The seed of a row's noise: 63 bits of SHA-256, so that neither the order nor the shard matters."""
    return int.from_bytes(hashlib.sha256(f"{seed} {key}".encode()).digest()[:8], "big") >> 1


def sample(verb: Callable[..., Result], *words: Any, **options: Any) -> Image.Image | NoPicture:
    """One picture of a pipeline's `edit` or `generate`; a prompt that it refuses is an answer."""
    try:
        return verb(*words, **options).images[0]
    except PromptError as error:
        return NoPicture(str(error), refused=True)
