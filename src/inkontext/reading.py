"""Which words an instruction asks for, and whether they can be read in a picture by optical character recognition."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from itertools import pairwise
from typing import Any, Final, Generic, TypeVar

import numpy as np
from PIL import Image

from inkontext.errors import OptionError
from inkontext.plugins import told

T = TypeVar("T")

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
_ASKS: Final = re.compile(
    r"\b(?:say|says|saying|said|reads?|reading|words?|text|letters?|lettering|signs?|written|writes?|writing|wrote"
    r"|spell(?:s|ed|ing)?|caption(?:s|ed)?|titled?|label(?:s|ed|led)?|called|name|logo|phrase|quote|message|slogan"
    r"|print(?:s|ed)?|paint(?:s|ed)?|engraved|inscription|inscribed|display(?:s|ed|ing)?)\b",
    re.IGNORECASE,
)
_DENIES: Final = re.compile(
    r"\b(?:without|not|no|instead of|rather than)"
    r"(?:\s+(?:the|an?|any|words?|text|letters|name|say(?:ing)?|read(?:ing)?))*\W*$",
    re.IGNORECASE,
)
_PLAIN: Final = str.maketrans({"‘": "'", "’": "'", "“": '"', "”": '"', "–": "-", "—": "-", "…": "..."})  # fmt: skip


def quotations(text: str) -> list[tuple[int, int]]:
    """Where the quotations of a text begin and end, marks included."""
    return [match.span() for match in _QUOTED.finditer(text)]


def asked_words(instruction: str) -> list[str]:
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


def described_words(prompt: str) -> list[str]:
    """The words in quotation marks that a picture of this description shows, in order.

    Only where the description speaks of writing anywhere ("a sign that says 'A'", "with 'A' printed on it"), and not
    those that it denies ("without the word 'A'", "not 'A'"). A rule of thumb on English phrasing.
    """
    if not _ASKS.search(_QUOTED.sub(" ", prompt)):
        return []
    wanted, gone = [], set()
    for quotation in _QUOTED.finditer(prompt):
        word = next(group for group in quotation.groups() if group).strip()
        denied = _DENIES.search(prompt[: quotation.start()])
        if denied:
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
    """Reads the text in a picture with RapidOCR, whose wheel holds its models; they are loaded at the first picture."""

    def __init__(self) -> None:
        self._engine: Any = None

    @staticmethod
    def available() -> str | None:
        """None where RapidOCR is installed."""
        there = find_spec("rapidocr_onnxruntime") is not None
        return None if there else "rapidocr-onnxruntime is not installed; pip install 'inkontext[eval]'"

    def identity(self) -> dict[str, Any]:
        """The versions that the text depends on."""
        names = () if self.available() else ("rapidocr-onnxruntime", "onnxruntime")
        return {name: version(name) for name in names}

    def read(self, picture: Image.Image) -> list[str]:
        """The lines of text in an RGB picture, from top to bottom. Raises OptionError where RapidOCR is missing."""
        if self._engine is None:
            if missing := self.available():
                raise OptionError(missing)
            from rapidocr_onnxruntime import RapidOCR

            self._engine = RapidOCR()
        pixels = np.ascontiguousarray(np.asarray(picture)[..., ::-1])  # blue first
        found, _ = self._engine(pixels, use_cls=False)  # its guess of what stands upside down turned upright words
        return [line[1] for line in found or ()]


@dataclass(frozen=True)
class TextReport:
    """What was read of the words asked for.

    Attributes:
        words: asked for, in order.
        read: the lines of text found in the picture.
        found: for every word, whether it stands there letter by letter (`is_hit`).
        similarity: for every word, how near the nearest text comes (`similarity`).
        unread: why the picture could not be read; empty where it was.
    """

    words: tuple[str, ...]
    read: tuple[str, ...]
    found: tuple[bool, ...]
    similarity: tuple[float, ...]
    unread: str = ""

    @property
    def right(self) -> bool:
        return all(self.found)

    @property
    def score(self) -> tuple[int, float]:
        """For comparing reports of the same words: words found, then how near all come."""
        return sum(self.found), sum(self.similarity)

    def sentence(self) -> str:
        """For people."""
        if self.unread:
            return f"the words could not be looked for: {self.unread}"
        seen = ", ".join(f'"{line}"' for line in self.read) or "no text"
        if self.right:
            return "read as asked: " + ", ".join(f'"{word}"' for word in self.words)
        missing = ", ".join(f'"{word}"' for word, hit in zip(self.words, self.found, strict=True) if not hit)
        return f"did not read {missing}; read {seen}"

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        near = [round(s, 4) for s in self.similarity]
        plain = {"words": [*self.words], "read": [*self.read], "found": [*self.found], "similarity": near}
        return plain | ({"unread": self.unread} if self.unread else {})


def need_letters(words: Sequence[str]) -> None:
    """Raises OptionError where there are no words, or one has no letters to look for."""
    if not words or not all(map(_letters, words)):
        raise OptionError("there are no words to look for; put them in quotation marks in the prompt")


def check(picture: Image.Image, words: Sequence[str], reader: Reader | None = None) -> TextReport:
    """Read an RGB picture and look for the words. Where the engine fails, the report says so: the picture is good.

    Raises:
        OptionError: no words, one without letters, or RapidOCR is not installed.
    """
    need_letters(words)
    try:
        read = (reader or Reader()).read(picture)
        found, near = [is_hit(w, read) for w in words], [similarity(w, read) for w in words]
        return TextReport(tuple(words), tuple(read), tuple(found), tuple(near))
    except OptionError:
        raise
    except (Exception, SystemExit) as error:  # noqa: BLE001 - however it fails, what took minutes to make is kept
        nothing = len(words)
        return TextReport(
            tuple(words), (), (False,) * nothing, (0.0,) * nothing, f"text recognition failed ({told(error)})"
        )


@dataclass(frozen=True)
class Attempts(Generic[T]):
    """What came of several seeds.

    Attributes:
        result: of the seed that was kept.
        seed: that seed.
        reports: (seed, report) of every try, in order.
    """

    result: T
    seed: int
    reports: tuple[tuple[int, TextReport], ...]

    @property
    def report(self) -> TextReport:
        """Of the seed that was kept."""
        return dict(self.reports)[self.seed]

    def sentence(self) -> str:
        """Which seed was kept and why."""
        if len(self.reports) == 1:
            return f"seed {self.seed}: {self.report.sentence()}"
        tried = f"after {len(self.reports)} seeds"
        why = f"the first that {self.report.sentence()}" if self.report.right else (
            f"the nearest {tried}, none of which showed every word; it {self.report.sentence()}"
        )  # fmt: skip
        last = self.reports[-1][1].unread
        return f"seed {self.seed} was kept, {why}" + (f"; then {last}, which ended the search" if last else "")

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        tries = [{"seed": seed} | report.as_dict() for seed, report in self.reports]
        return {"kept": self.seed, "right": self.report.right, "tries": tries}


def until_right(make: Callable[[int], T], check_it: Callable[[T], TextReport], seeds: Sequence[int]) -> Attempts[T]:
    """Try seeds until the text is right, or cannot be read; else keep the nearest, the earlier of equals.

    Args:
        make: the result of a seed.
        check_it: its report.
        seeds: at least one, all different, in the order to try.
    """
    best: tuple[T, int, TextReport] | None = None
    reports: list[tuple[int, TextReport]] = []
    for seed in seeds:
        result = make(seed)
        report = check_it(result)
        reports.append((seed, report))
        if best is None or report.score > best[2].score:
            best = result, seed, report
        if report.right or report.unread:
            break
    if best is None:
        raise OptionError("there is no seed to try; give at least one")
    return Attempts(best[0], best[1], tuple(reports))
