"""Where KontextBench's pictures come from: a model; `keyed.Given` is another system's folder."""

from __future__ import annotations

from typing import Any, Protocol

from PIL import Image

from inkontext.evaluation.keyed import noise_seed, sample
from inkontext.evaluation.kontextbench.data import Item
from inkontext.evaluation.world.systems import ModelSystem, NoPicture


class System(Protocol):
    """What is measured.

    Attributes:
        identity: all that its pictures depend on.
        is_timed: whether making a picture here takes the time that the system takes.
    """

    identity: dict[str, Any]
    is_timed: bool

    def make(self, item: Item, reference: Image.Image, /) -> Image.Image | NoPicture: ...


class Editor:
    """A pipeline that edits the reference; each row has noise of its own, whatever was made before it."""

    is_timed = True

    def __init__(self, model: ModelSystem, seed: int = 0) -> None:
        self.model, self.seed, self.identity = model, seed, model.identity

    def make(self, item: Item, reference: Image.Image) -> Image.Image | NoPicture:
        seed = noise_seed(self.seed, item.key)
        return sample(self.model.pipeline.edit, reference, item.instruction, seed=seed, **self.model.sampling)
