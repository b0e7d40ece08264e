"""What a KontextBench row is scored by: the protocol of a metric, and the ones that there are.

A metric says what it measures and of which categories, whether it can work here, and scores one picture at a time.
A score that could not be taken is None with a reason; it is never zero.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, TypeVar

import numpy as np
from PIL import Image

from inkontext.errors import OptionError
from inkontext.evaluation.kontextbench_data import PUBLISHED, Item

if TYPE_CHECKING:
    from inkontext.evaluation.alignment import Alignment

NAMES: Final = (
    "untouched_psnr", "shift", "text_similarity", "text_exact", "identity", "clip_image", "clip_text", "dino",
)  # fmt: skip
ALL: Final = tuple(PUBLISHED)
T = TypeVar("T")


@dataclass(frozen=True)
class Score:
    """A value, or None and why there is none; with the raw evidence behind it, as plain values."""

    value: float | None
    reason: str | None = None
    evidence: dict[str, Any] = field(default_factory=dict)


class Metric(Protocol):
    """One measure of an edited picture.

    Attributes:
        categories: short names of the categories it applies to.
        is_share: every score is 0 or 1, so that the mean is a share.
        identity: what its values depend on besides the pictures: weights, versions.
    """

    name: str
    unit: str
    higher_is_better: bool
    categories: tuple[str, ...]
    is_share: bool
    identity: dict[str, Any]

    def available(self) -> str | None:
        """None where it can work, else why not."""
        ...

    def score(self, item: Item, reference: Image.Image, output: Image.Image) -> Score:
        """The score of a picture in its own size."""
        ...


class Last(Generic[T]):
    """A function of pictures that keeps its last result, for metrics that share one measurement."""

    def __init__(self, function: Callable[..., T]) -> None:
        self._function = function
        self._kept: tuple[tuple[Image.Image, ...], T] | None = None

    def __call__(self, *pictures: Image.Image) -> T:
        if self._kept is None or [*map(id, self._kept[0])] != [*map(id, pictures)]:
            self._kept = pictures, self._function(*pictures)
        return self._kept[1]


class _Alignment:
    """How the output lies over the reference (`evaluation/alignment.py`); an output of another size is resized."""

    categories: tuple[str, ...] = ("local", "text")
    is_share = False

    def __init__(self, measured: Last[Alignment]) -> None:
        self._measured = measured
        self.identity: dict[str, Any] = {}

    def available(self) -> str | None:
        return None


class UntouchedPSNR(_Alignment):
    """PSNR against the reference over the part that the edit left alone, 99 dB where not a value differs."""

    name, unit, higher_is_better = "untouched_psnr", "dB", True

    def score(self, item: Item, reference: Image.Image, output: Image.Image) -> Score:
        found = self._measured(reference, output)
        return Score(found.untouched_psnr, found.untouched_reason, found.as_dict())


class Shift(_Alignment):
    """How far the picture as a whole has moved, pixels of the reference."""

    name, unit, higher_is_better = "shift", "px", False

    def score(self, item: Item, reference: Image.Image, output: Image.Image) -> Score:
        found = self._measured(reference, output).as_dict()
        if found["shift_x"] is None:
            return Score(None, f"not aligned: {found['reason']}")
        return Score(math.hypot(found["shift_x"], found["shift_y"]))


def _aligned(reference: Image.Image, output: Image.Image) -> Alignment:
    from inkontext.evaluation.alignment import measure

    after = output if output.size == reference.size else output.resize(reference.size, Image.Resampling.BICUBIC)
    return measure(np.asarray(reference.convert("RGB")), np.asarray(after.convert("RGB")))


def metrics_named(
    names: Sequence[str],
    face_model: Path | None = None,
    clip: Path | None = None,
    dino: Path | None = None,
    device: str | None = None,
) -> list[Metric]:
    """The metrics of these names, those that cannot work included: they say so.

    Args:
        face_model: AuraFace's folder. clip, dino: folders of a CLIPModel and of a self-supervised image model.
        device: where the embedding networks run.

    Raises:
        OptionError: no such metric, or a folder holds no such model.
    """
    if not names or len(set(names)) < len(names):
        raise OptionError(f"name each metric once, among {', '.join(NAMES)}")
    if unknown := [name for name in names if name not in NAMES]:
        raise OptionError(f"there is no metric '{unknown[0]}'; choose among {', '.join(NAMES)}")
    from inkontext.evaluation.kontextbench_embeddings import Clip, ClipImage, ClipText, Dino, DinoImage
    from inkontext.evaluation.kontextbench_faces import AuraFace, Identity
    from inkontext.evaluation.kontextbench_text import Reader, TextExact, TextSimilarity

    reader, aligned = Reader(), Last(_aligned)
    clip_model = Clip(clip, device) if clip and {"clip_image", "clip_text"} & set(names) else None
    dino_model = Dino(dino, device) if dino and "dino" in names else None
    face = AuraFace(face_model) if face_model and "identity" in names else None
    every: tuple[Metric, ...] = (
        UntouchedPSNR(aligned), Shift(aligned), TextSimilarity(reader), TextExact(reader), Identity(face),
        ClipImage(clip_model), ClipText(clip_model), DinoImage(dino_model),
    )  # fmt: skip
    return [metric for metric in every if metric.name in names]
