"""Scores of the words in a picture, of what `inkontext.reading` reads."""

from __future__ import annotations

from collections.abc import Sequence

from inkontext import reading
from inkontext.evaluation.score import Last, Score
from inkontext.reading import is_hit, similarity


class Reader(reading.Reader):
    """A reader that keeps its last picture's lines, for both scores of it."""

    def __init__(self) -> None:
        super().__init__()
        self.lines = Last(self.read)


def near_score(wanted: Sequence[str], read: Sequence[str]) -> Score:
    """Mean of `similarity` over the words wanted."""
    each = [similarity(word, read) for word in wanted]
    told = {"wanted": list(wanted), "read": list(read), "each": [round(e, 6) for e in each]}
    return Score(sum(each) / len(each), evidence=told)


def exact_score(wanted: Sequence[str], read: Sequence[str]) -> Score:
    """1 where every word wanted was read exactly, else 0."""
    hits = [is_hit(word, read) for word in wanted]
    return Score(float(all(hits)), evidence={"hits": hits})
