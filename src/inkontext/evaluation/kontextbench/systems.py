"""Where KontextBench's pictures come from: a model, or another system's folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from PIL import Image

from inkontext.errors import PromptError
from inkontext.evaluation.kontextbench.data import Item
from inkontext.evaluation.seeds import noise_seed
from inkontext.evaluation.world.systems import Folder, ModelSystem, NoPicture


class System(Protocol):
    """What is measured.

    Attributes:
        identity: all that its pictures depend on.
        is_timed: whether making a picture here takes the time that the system takes.
    """

    identity: dict[str, Any]
    is_timed: bool

    def make(self, item: Item, reference: Image.Image) -> Image.Image | NoPicture: ...


class Editor:
    """A pipeline that edits the reference; each row has noise of its own, whatever was made before it."""

    is_timed = True

    def __init__(self, model: ModelSystem, seed: int = 0) -> None:
        self.model, self.seed, self.identity = model, seed, model.identity

    def make(self, item: Item, reference: Image.Image) -> Image.Image | NoPicture:
        seed = noise_seed(self.seed, item.key)
        try:
            result = self.model.pipeline.edit(reference, item.instruction, seed=seed, **self.model.sampling)
        except PromptError as error:
            return NoPicture(str(error), refused=True)
        return result.images[0]


class Given:
    """Another system's pictures by key: KEY.png, KEY.jpg or KEY.webp."""

    is_timed = False

    def __init__(self, folder: Path) -> None:
        """Raises OptionError where there is no folder, or no picture in it."""
        self.folder = Folder(folder)
        self.identity = self.folder.identity

    def make(self, item: Item, reference: Image.Image) -> Image.Image | NoPicture:
        return self.folder.read(item.key)
