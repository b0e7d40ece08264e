"""What a KontextBench row is scored by: the protocol of a metric, and the ones that there are.

A metric says what it measures and of which categories, whether it can work here, and scores one picture at a time.
A score that could not be taken is None with a reason; it is never zero.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, TypeVar

import numpy as np
from PIL import Image

from inkontext.errors import MaskError, OptionError, PictureError
from inkontext.evaluation.alignment.untouched import psnr_over
from inkontext.evaluation.faces import NEEDS, AuraFace, Embedder, likeness
from inkontext.evaluation.kontextbench.data import PUBLISHED, Item
from inkontext.evaluation.reading import Reader, exact_score, near_score
from inkontext.evaluation.score import Last, Score
from inkontext.masking import read_mask
from inkontext.reading import asked_words

if TYPE_CHECKING:
    from inkontext.evaluation.alignment.measure import Alignment
    from inkontext.evaluation.embeddings import Clip, Dino

Network = TypeVar("Network", "Clip", "Dino")
NAMES: Final = (
    "untouched_psnr", "whole_psnr", "outside_psnr", "shift", "text_similarity", "text_exact", "identity",
    "identity_or_0", "clip_image", "clip_text", "dino",
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
        share = found.untouched_share
        return Score(found.untouched_psnr, found.untouched_reason, found.as_dict(), judged=share)


class WholePSNR(_Alignment):
    """PSNR against the reference over the whole picture, of which no output can choose a part; the edit counts too."""

    name, unit, higher_is_better = "whole_psnr", "dB", True

    def score(self, item: Item, reference: Image.Image, output: Image.Image) -> Score:
        return Score(self._measured(reference, output).whole_psnr)


class OutsidePSNR:
    """PSNR against the reference outside the row's mask, KEY.png, white where the edit is free."""

    name, unit, higher_is_better, is_share = "outside_psnr", "dB", True, False
    categories: tuple[str, ...] = ("local", "text")

    def __init__(self, masks: Path | None) -> None:
        """Raises OptionError where `masks` is no folder with a PNG in it."""
        self.masks = masks
        files = sorted(masks.glob("*.png")) if masks else []
        if masks and not files:
            raise OptionError(f"'{masks}' is no folder with masks; give --masks one that holds KEY.png for each row")
        digest = hashlib.sha256(b"".join(hashlib.sha256(f.name.encode() + f.read_bytes()).digest() for f in files))
        self.identity: dict[str, Any] = {"masks": digest.hexdigest()[:16]} if masks else {}

    def available(self) -> str | None:
        return "no masks; --masks FOLDER" if self.masks is None else None

    def score(self, item: Item, reference: Image.Image, output: Image.Image) -> Score:
        assert self.masks is not None
        try:
            mask = read_mask(self.masks / f"{item.key}.png", reference.size, "white")
        except (MaskError, PictureError) as error:
            return Score(None, "no usable mask", {"error": str(error).replace(str(self.masks), "masks")})
        free = np.asarray(mask) > 0
        before, after = (np.asarray(p.convert("RGB")) for p in (reference, _fitted(reference, output)))
        value = psnr_over(before, after, lambda rows: ~free[rows])
        return Score(value, "the mask covers the whole picture" if value is None else None)


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

    return measure(np.asarray(reference.convert("RGB")), np.asarray(_fitted(reference, output).convert("RGB")))


def _fitted(reference: Image.Image, output: Image.Image) -> Image.Image:
    return output if output.size == reference.size else output.resize(reference.size, Image.Resampling.BICUBIC)


class Identity:
    """Cosine between the faces of reference and output, in [−1, 1]; missing where the output has none."""

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


class IdentityOrZero(Identity):
    """The same with 0, as between strangers, where the reference has a face and the output none: no output can leave
    the mean by losing the face."""

    name = "identity_or_0"

    def score(self, item: Item, reference: Image.Image, output: Image.Image) -> Score:
        found = super().score(item, reference, output)
        return Score(0.0 if found.judged == 0 else found.value, None if found.judged == 0 else found.reason)


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
    masks: Path | None = None,
) -> list[Metric]:
    """The metrics of these names, those that cannot work included: they say so.

    Args:
        face_model: AuraFace's folder. clip, dino: folders of a CLIPModel and of a self-supervised image model.
        device: where the embedding networks run.
        masks: folder of KEY.png, white where a row's edit is free.

    Raises:
        OptionError: no such metric, or a folder holds no such model, or no mask.
    """
    if not names or len(set(names)) < len(names):
        raise OptionError(f"name each metric once, among {', '.join(NAMES)}")
    if unknown := [name for name in names if name not in NAMES]:
        raise OptionError(f"there is no metric '{unknown[0]}'; choose among {', '.join(NAMES)}")
    from inkontext.evaluation.embeddings import Clip, Dino

    reader, aligned = Reader(), Last(_aligned)
    clip_model = Clip(clip, device) if clip and {"clip_image", "clip_text"} & set(names) else None
    dino_model = Dino(dino, device) if dino and "dino" in names else None
    face = AuraFace(face_model) if face_model and {"identity", "identity_or_0"} & set(names) else None
    every: tuple[Metric, ...] = (
        UntouchedPSNR(aligned), WholePSNR(aligned), OutsidePSNR(masks if "outside_psnr" in names else None),
        Shift(aligned), TextSimilarity(reader), TextExact(reader), Identity(face), IdentityOrZero(face),
        ClipImage(clip_model), ClipText(clip_model), DinoImage(dino_model),
    )  # fmt: skip
    return [metric for metric in every if metric.name in names]
