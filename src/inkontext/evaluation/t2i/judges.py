"""Who answers the paper's questions about a picture made from words: built-in scores, and functions of the user's.

A judge answers one question. It says whether it can work here, and scores one picture at a time. A question without
a judge is not measured; no answer is ever made up.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from PIL import Image

from inkontext.errors import OptionError
from inkontext.evaluation.problems import Problem
from inkontext.evaluation.reading import Reader, exact_score, near_score
from inkontext.evaluation.score import Score
from inkontext.plugins import Plugin, installed, load_entry_point, load_function, told
from inkontext.reading import described_words

if TYPE_CHECKING:
    from inkontext.evaluation.embeddings import Clip

QUESTIONS: Final = ("prompt_following", "aesthetics", "realism", "typography")
SPEED: Final = "speed"  # the fifth, answered by the clock
GROUP: Final = "inkontext.judges"  # entry points, QUESTION.NAME
FAILED: Final = "the judge failed"
_OWN: Final = "--judge {}=FILE.py:FUNCTION"
_NO_WORDS: Final = Score(None, "the prompt asks for no words in quotes")


class Judge(Protocol):
    """One measure of a picture against its prompt.

    Attributes:
        question: one of QUESTIONS.
        is_share: every score is 0 or 1, so that the mean is a share.
        identity: what its values depend on besides picture and prompt: weights, versions, code.
    """

    name: str
    question: str
    unit: str
    higher_is_better: bool
    is_share: bool
    identity: dict[str, Any]

    def available(self) -> str | None:
        """None where it can work, else why not."""
        ...

    def score(self, prompt: str, picture: Image.Image) -> Score: ...


class ClipText:
    """Cosine of CLIP's embeddings of prompt and picture."""

    name, question, unit, higher_is_better, is_share = "clip_text", "prompt_following", "cosine", True, False

    def __init__(self, clip: Clip | None) -> None:
        self.clip = clip
        self.identity: dict[str, Any] = clip.identity if clip else {}

    def available(self) -> str | None:
        return None if self.clip else "no CLIP model; --clip FOLDER"

    def score(self, prompt: str, picture: Image.Image) -> Score:
        assert self.clip is not None
        value, cut = self.clip.text_cosine(prompt, picture)
        return Score(value, evidence={"prompt_cut": cut})


class AestheticHead:
    """Linear layers, nothing between them, over CLIP's unit image vector, trained on people's ratings.

    LAION's linear predictor and the MLP after it are of this form.
    """

    name, question, unit, higher_is_better, is_share = "aesthetic_head", "aesthetics", "rating", True, False

    def __init__(self, clip: Clip | None, file: Path | None) -> None:
        """Raises OptionError, WeightsError where the layers do not lead from CLIP's vector to one number."""
        self.clip = clip
        self.identity: dict[str, Any] = {}
        self.layers = _layers(file, clip) if clip and file else None
        if clip and file:
            from inkontext.weights.hashing import fingerprint

            self.identity = {**clip.identity, "head": fingerprint([file])}

    def available(self) -> str | None:
        return None if self.layers else "no aesthetic head; --clip FOLDER with --aesthetic-head FILE.safetensors"

    def score(self, prompt: str, picture: Image.Image) -> Score:
        assert self.clip is not None and self.layers is not None
        x = self.clip.embed(picture)
        for weight, bias in self.layers:
            x = weight @ x + bias
        return Score(float(x[0]))


def _layers(file: Path, clip: Clip) -> list[tuple[Any, Any]]:
    """(weight `[out, in]`, bias `[out]`) in the order of the names, float64."""
    import re

    from inkontext.weights.tensors import TensorFiles

    tensors = TensorFiles([file])
    names = sorted((n for n in tensors if n.endswith("weight")), key=lambda n: [*map(int, re.findall(r"\d+", n))])
    layers, width = [], clip.model.config.projection_dim
    for name in names:
        weight = tensors.read(name).double().numpy()
        bias = name.removesuffix("weight") + "bias"
        if weight.ndim != 2 or weight.shape[1] != width or bias not in tensors:
            raise OptionError(
                f"'{name}' in '{file}' is no linear layer after {width} numbers; give a head for this CLIP"
            )
        layers.append((weight, tensors.read(bias).double().numpy()))
        width = len(weight)
    if not layers or width != 1:
        raise OptionError(f"the layers of '{file}' do not end in one number; give an aesthetic head")
    return layers


class _Typography:
    """What both scores of the text share: words in quotation marks that the prompt asks for, read by machine."""

    question, higher_is_better = "typography", True

    def __init__(self, reader: Reader) -> None:
        self.reader, self.identity = reader, reader.identity()

    def available(self) -> str | None:
        return self.reader.available()


class TextSimilarity(_Typography):
    """Mean over the words wanted of how much of each was read."""

    name, unit, is_share = "text_similarity", "0–1", False

    def score(self, prompt: str, picture: Image.Image) -> Score:
        wanted = described_words(prompt)
        return near_score(wanted, self.reader.lines(picture)) if wanted else _NO_WORDS


class TextExact(_Typography):
    """1 where every word wanted was read exactly, else 0."""

    name, unit, is_share = "text_exact", "share", True

    def score(self, prompt: str, picture: Image.Image) -> Score:
        wanted = described_words(prompt)
        return exact_score(wanted, self.reader.lines(picture)) if wanted else _NO_WORDS


class FunctionJudge:
    """A function (picture, prompt) -> float. It may carry the attributes `unit` and `higher_is_better`."""

    is_share = False

    def __init__(self, name: str, question: str, plugin: Plugin) -> None:
        self.name, self.question, self.function = name, question, plugin.function
        self.unit = str(getattr(plugin.function, "unit", "score"))
        self.higher_is_better = bool(getattr(plugin.function, "higher_is_better", True))
        self.identity = plugin.identity

    def available(self) -> str | None:
        return None

    def score(self, prompt: str, picture: Image.Image) -> Score:
        given = self.function(picture.copy(), prompt)
        return Score(None, "the judge gave no score") if given is None else Score(float(given))


class Broken:
    """A judge that is installed and cannot be loaded; it says why."""

    unit, higher_is_better, is_share = "score", True, False

    def __init__(self, name: str, question: str, why: str) -> None:
        self.name, self.question, self._why = name, question, why
        self.identity: dict[str, Any] = {}

    def available(self) -> str | None:
        return self._why

    def score(self, prompt: str, picture: Image.Image) -> Score:
        return Score(None, self._why)


def judges_for(
    clip: Path | None = None, head: Path | None = None, own: Sequence[str] = (), device: str | None = None
) -> tuple[list[Judge], list[Problem]]:
    """Every judge there is, those that cannot work included; and entry points that answer no question.

    Args:
        clip: folder of a CLIPModel. head: safetensors of linear layers over its image vector.
        own: QUESTION=FILE.py:FUNCTION or QUESTION=MODULE:FUNCTION.

    Raises:
        OptionError: a folder, file or function that is none, an unknown question, or two judges of one name.
    """
    if head is not None and clip is None:
        raise OptionError("--aesthetic-head works on CLIP's vectors; give --clip FOLDER with it")
    given = [_own(text) for text in own]
    network = None
    if clip is not None:
        from inkontext.evaluation.embeddings import Clip

        network = Clip(clip, device)
    reader = Reader()
    found: list[Judge] = [
        ClipText(network), AestheticHead(network, head), TextSimilarity(reader), TextExact(reader),
    ]  # fmt: skip
    problems = []
    for point in installed(GROUP):
        question, _, name = point.name.partition(".")
        if question not in QUESTIONS or not name:
            problems.append(Problem("installed judge without a question", point.name, "name it QUESTION.NAME"))
            continue
        try:
            found.append(FunctionJudge(name, question, load_entry_point(point)))
        except OptionError as error:
            found.append(Broken(name, question, str(error)))
    found += given
    names = [judge.name for judge in found]
    if double := [name for name in names if names.count(name) > 1]:
        raise OptionError(f"two judges are called '{double[0]}'; rename a function")
    return found, problems


def _own(text: str) -> Judge:
    question, equals, spec = text.partition("=")
    if not equals or question.strip() not in QUESTIONS:
        raise OptionError(f"'{text}' is no judge; write QUESTION=FILE.py:FUNCTION with one of {', '.join(QUESTIONS)}")
    plugin = load_function(spec.strip())
    return FunctionJudge(spec.rpartition(":")[2].strip(), question.strip(), plugin)


def answer(judge: Judge, prompt: str, picture: Image.Image) -> Score:
    """The judge's score; where it fails, why, and the caller goes on."""
    try:
        score = judge.score(prompt, picture)
    except Exception as error:  # noqa: BLE001 - foreign code and networks may fail in any way
        return Score(None, f"{FAILED} ({type(error).__name__})", {"error": told(error)})
    if score.value is not None and not math.isfinite(score.value):
        return Score(None, "the judge's score is not finite", score.evidence)
    return score


def unanswered(question: str, judges: Sequence[Judge]) -> str | None:
    """Why a question is not measured; None where a judge can answer it."""
    mine = [judge for judge in judges if judge.question == question]
    if any(judge.available() is None for judge in mine):
        return None
    ways = list(dict.fromkeys(judge.available() or "" for judge in mine))
    return "; or ".join([*ways, _OWN.format(question)]) if ways else f"no judge; {_OWN.format(question)}"
