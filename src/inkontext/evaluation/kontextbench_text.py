"""Are the words that the instruction asks for readable in the picture? Read by optical character recognition."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from importlib.metadata import version
from importlib.util import find_spec
from itertools import pairwise
from typing import Any, Final

import numpy as np
from PIL import Image

from inkontext.evaluation.kontextbench_data import Item
from inkontext.evaluation.kontextbench_metrics import Last, Score

_QUOTED: Final = re.compile(
    r"\"([^\"\n]+)\"|“([^“”\n]+)”|„([^„“”\n]+)[“”]|«([^«»\n]+)»|「([^「」\n]+)」|`([^`\n]+)`"
    r"|(?<!\w)'(.+?)'(?!\w)|(?<!\w)‘(.+?)’(?!\w)"
)
_WRITES: Final = r"add|write|put|place|insert|include|letter|print|append|say|says|read|reads"
_REMOVES: Final = (
    r"instead of|in place of|rather than|remove|delete|erase|drop|get rid of|wipe off|wipe out|scrub out|take away"
    r"|take off|take out|without|typo in|no|(?:not|n't)(?: want to)? (?:say|read)"
)
_REPLACES: Final = r"replace|swap|exchange"
_VERB: Final = re.compile(rf"\b(?:(?P<gone>{_REMOVES})|(?P<new>{_WRITES}))\b", re.IGNORECASE)
_LINK: Final = r"with|to|into|by|as|for|becomes?|should|must|now|→|->"
_BECOMES: Final = re.compile(  # '… with the word', 'it should say', at the end of what stands between two quotations
    rf"(?:^|\W)(?:{_LINK})\s+(?:(?:the|a|an|new|word|words|text|name|phrase|title|say|says|saying|read|reads|be|it)\W*)*$"
    rf"|(?:→|->)\s*$",
    re.IGNORECASE,
)
_DESCRIBES: Final = re.compile(
    r"\b(?:saying|reading|(?:that|which|it|currently|now) (?:says|reads))\W*$", re.IGNORECASE
)
_PLAIN: Final = str.maketrans({"‘": "'", "’": "'", "“": '"', "”": '"', "–": "-", "—": "-", "…": "..."})  # fmt: skip


def wanted_words(instruction: str) -> list[str]:
    """The words in quotation marks that the picture should show after the edit, in order.

    Those that are to go ("remove 'A'", "instead of 'A'", 'replace "A" with "B"', '"A" should be "B"') are left out.
    A rule of thumb on English phrasing; what it chose is kept with every score.
    """
    found = list(_QUOTED.finditer(instruction))
    ends = [0, *(m.end() for m in found)]
    starts = [*(m.start() for m in found), len(instruction)]
    between = [instruction[a:b] for a, b in zip(ends, starts, strict=True)]  # before each quotation, and after the last
    wanted: list[str] = []
    gone: set[str] = set()
    for number, (quotation, (before, after)) in enumerate(zip(found, pairwise(between), strict=True)):
        word = next(group for group in quotation.groups() if group).strip()
        if _is_to_go(before, None if number == len(found) - 1 else after):
            gone.add(word)
        elif _letters(word):
            wanted.append(word)
    return [word for word in dict.fromkeys(wanted) if word not in gone]


def _is_to_go(before: str, after: str | None) -> bool:
    """Whether a quotation names what should no longer be there; `after` leads to a next one, None where none is."""
    sentence = re.split(r"[.;!?]\s", before)[-1]
    verbs = list(_VERB.finditer(sentence))
    if (verbs and verbs[-1]["gone"]) or re.search(r"\bnot\W*$", sentence, re.IGNORECASE):
        return True
    verb = re.search(rf"\b(?:{_REPLACES})\b(?P<rest>.*)$", sentence, re.IGNORECASE)
    if verb and not re.search(r"\b(?:with|by|for|to)\b", verb["rest"], re.IGNORECASE):
        return True
    if after is None:
        return False
    describes = _DESCRIBES.search(sentence) is not None
    if describes and re.fullmatch(r"\W*(?:say|read)\W*", after, re.IGNORECASE):
        return True
    writes = bool(verbs) and not describes
    return not writes and _BECOMES.search(after) is not None


def similarity(word: str, read: Sequence[str]) -> float:
    """1 − d / n, where n letters are wanted and d is the smallest edit distance to any part of what was read.

    Case, blanks and line ends do not count: optical recognition is unsure of all three. In [0, 1]; 0 where nothing
    was read. Sellers' algorithm: Levenshtein's table in which a match may begin and end anywhere in the text.
    """
    pattern, text = _letters(word), _letters("".join(read))
    row = [0] * (len(text) + 1)
    for i, wanted in enumerate(pattern, 1):
        above, row = row, [i]
        for j, there in enumerate(text, 1):
            row.append(min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (wanted != there)))
    return 1 - min(row) / len(pattern)


def is_hit(word: str, read: Sequence[str]) -> bool:
    """Whether it was read letter by letter and stands alone, not inside a longer word; case does not count."""
    letters = r"\s*".join(map(re.escape, _letters(word)))
    return re.search(rf"(?<!\w){letters}(?!\w)", "\n".join(map(_folded, read))) is not None


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text).translate(_PLAIN).casefold()


def _letters(text: str) -> str:
    return "".join(_folded(text).split())


class Reader:
    """Reads the text in a picture with RapidOCR, whose wheel holds its models."""

    def __init__(self) -> None:
        self._engine: Any = None
        self.lines = Last(self._read)

    @staticmethod
    def available() -> str | None:
        """None where RapidOCR is installed."""
        there = find_spec("rapidocr_onnxruntime") is not None
        return None if there else "rapidocr-onnxruntime is not installed; pip install 'inkontext[eval]'"

    def identity(self) -> dict[str, Any]:
        """The versions that the text depends on."""
        names = () if self.available() else ("rapidocr-onnxruntime", "onnxruntime")
        return {name: version(name) for name in names}

    def _read(self, picture: Image.Image) -> list[str]:
        """The lines of text, from top to bottom."""
        if self._engine is None:
            from rapidocr_onnxruntime import RapidOCR

            self._engine = RapidOCR()
        pixels = np.ascontiguousarray(np.asarray(picture)[..., ::-1])  # blue first
        found, _ = self._engine(pixels, use_cls=False)  # its guess of what stands upside down turned upright words
        return [line[1] for line in found or ()]


class _Text:
    """What both scores of the text share."""

    categories: tuple[str, ...] = ("text",)
    higher_is_better = True

    def __init__(self, reader: Reader) -> None:
        self.reader, self.identity = reader, reader.identity()

    def available(self) -> str | None:
        return self.reader.available()

    def read(self, item: Item, output: Image.Image) -> tuple[list[str], list[str]]:
        """The words wanted and the lines read."""
        wanted = wanted_words(item.instruction)
        return wanted, self.reader.lines(output) if wanted else []


_NOTHING: Final = Score(None, "the instruction quotes no word to show")


class TextSimilarity(_Text):
    """Mean of `similarity` over the words wanted."""

    name, unit, is_share = "text_similarity", "0–1", False

    def score(self, item: Item, reference: Image.Image, output: Image.Image) -> Score:
        wanted, read = self.read(item, output)
        if not wanted:
            return _NOTHING
        each = [similarity(word, read) for word in wanted]
        return Score(
            sum(each) / len(each), evidence={"wanted": wanted, "read": read, "each": [round(e, 6) for e in each]}
        )


class TextExact(_Text):
    """1 where every word wanted was read exactly, else 0."""

    name, unit, is_share = "text_exact", "share", True

    def score(self, item: Item, reference: Image.Image, output: Image.Image) -> Score:
        wanted, read = self.read(item, output)
        if not wanted:
            return _NOTHING
        hits = [is_hit(word, read) for word in wanted]
        return Score(float(all(hits)), evidence={"hits": hits})
