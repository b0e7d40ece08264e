"""What a KontextBench row is scored by: the protocol of a metric, and the ones that there are.

A metric says what it measures and of which categories, whether it can work here, and scores one picture at a time.
A score that could not be taken is None with a reason; it is never zero.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, TypeVar

import numpy as np
from PIL import Image

from inkontext.errors import OptionError
from inkontext.evaluation.faces import NEEDS, AuraFace, Embedder, likeness
from inkontext.evaluation.kontextbench.data import PUBLISHED, Item
from inkontext.evaluation.reading import Reader, exact_score, near_score
from inkontext.evaluation.score import Last, Score
from inkontext.reading import asked_words

if TYPE_CHECKING:
    from inkontext.evaluation.alignment.measure import Alignment
    from inkontext.evaluation.embeddings import Clip, Dino

Network = TypeVar("Network", "Clip", "Dino")
NAMES: Final = (
    "untouched_psnr", "shift", "text_similarity", "text_exact", "identity", "clip_image", "clip_text", "dino",
)  # fmt: skip
ALL: Final = tuple(PUBLISHED)


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


class _Alignment:
    """How the output lies over the reference (`evaluation/alignment`); an output of another size is resized."""

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
    from inkontext.evaluation.alignment.measure import measure

    after = output if output.size == reference.size else output.resize(reference.size, Image.Resampling.BICUBIC)
    return measure(np.asarray(reference.convert("RGB")), np.asarray(after.convert("RGB")))


class Identity:
    """Cosine between the faces of reference and output, in [−1, 1]."""

    name, unit, higher_is_better, is_share = "identity", "cosine", True, False
    categories: tuple[str, ...] = ("character",)

    def __init__(self, embedder: Embedder | None) -> None:
        self.embedder = embedder
        self.identity: dict[str, Any] = embedder.identity if embedder else {}

    def available(self) -> str | None:
        return NEEDS if self.embedder is None else self.embedder.available()

    def score(self, item: Item, reference: Image.Image, output: Image.Image) -> Score:
        assert self.embedder is not None
        return likeness(self.embedder, reference, output)


class _Text:
    """What both scores of the text share."""

    categories: tuple[str, ...] = ("text",)
    higher_is_better = True

    def __init__(self, reader: Reader) -> None:
        self.reader, self.identity = reader, reader.identity()

    def available(self) -> str | None:
        return self.reader.available()


_NOTHING: Final = Score(None, "the instruction quotes no word to show")


class TextSimilarity(_Text):
    """Mean over the words wanted of how much of each was read."""

    name, unit, is_share = "text_similarity", "0–1", False

    def score(self, item: Item, reference: Image.Image, output: Image.Image) -> Score:
        wanted = asked_words(item.instruction)
        return near_score(wanted, self.reader.lines(output)) if wanted else _NOTHING


class TextExact(_Text):
    """1 where every word wanted was read exactly, else 0."""

    name, unit, is_share = "text_exact", "share", True

    def score(self, item: Item, reference: Image.Image, output: Image.Image) -> Score:
        wanted = asked_words(item.instruction)
        return exact_score(wanted, self.reader.lines(output)) if wanted else _NOTHING


class _Cosine(Generic[Network]):
    """What the scores by an embedding network share: they need one that was given."""

    unit, higher_is_better, is_share, categories = "cosine", True, False, ALL
    needs = ""

    def __init__(self, model: Network | None) -> None:
        self.model = model
        self.identity: dict[str, Any] = model.identity if model else {}

    def available(self) -> str | None:
        return self.needs if self.model is None else None


class ClipImage(_Cosine["Clip"]):
    """CLIP's image embeddings of reference and output."""

    name, needs = "clip_image", "no CLIP model; --clip FOLDER"

    def score(self, item: Item, reference: Image.Image, output: Image.Image) -> Score:
        assert self.model is not None
        return Score(self.model.cosines(reference, output))


class ClipText(_Cosine["Clip"]):
    """CLIP's embeddings of instruction and output."""

    name, needs = "clip_text", "no CLIP model; --clip FOLDER"

    def score(self, item: Item, reference: Image.Image, output: Image.Image) -> Score:
        assert self.model is not None
        value, cut = self.model.text_cosine(item.instruction, output)
        return Score(value, evidence={"instruction_cut": cut})


class DinoImage(_Cosine["Dino"]):
    """A self-supervised model's embeddings of reference and output."""

    name, needs = "dino", "no DINO model; --dino FOLDER"

    def score(self, item: Item, reference: Image.Image, output: Image.Image) -> Score:
        assert self.model is not None
        return Score(self.model.cosine(reference, output))


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
    from inkontext.evaluation.embeddings import Clip, Dino

    reader, aligned = Reader(), Last(_aligned)
    clip_model = Clip(clip, device) if clip and {"clip_image", "clip_text"} & set(names) else None
    dino_model = Dino(dino, device) if dino and "dino" in names else None
    face = AuraFace(face_model) if face_model and "identity" in names else None
    every: tuple[Metric, ...] = (
        UntouchedPSNR(aligned), Shift(aligned), TextSimilarity(reader), TextExact(reader), Identity(face),
        ClipImage(clip_model), ClipText(clip_model), DinoImage(dino_model),
    )  # fmt: skip
    return [metric for metric in every if metric.name in names]
