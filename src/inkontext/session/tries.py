"""Other seeds until the words that were asked for can be read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from inkontext.best_of import BestOf
from inkontext.numbers import read_seed
from inkontext.reading import Attempts, Reader, TextReport, until_right
from inkontext.session.manifest import Turn
from inkontext.session.session import Session


def edit_until_right(
    session: Session, prompt: str, words: Sequence[str], retries: int = 0, *, seed: int | None = None,
    reader: Reader | None = None, best: BestOf | None = None, **more: Any,
) -> Attempts[Turn]:  # fmt: skip
    """`Session.edit`, and again from the same turn with the seeds that follow, until all words stand in the picture.

    Every try is a turn, on disk before the next begins, and none is deleted: what ends the search half-way leaves the
    session at its last finished try. At its end the session and its branch stand at the first try that was right, else
    at the nearest; the others are its siblings in the tree, and `goto` leads there.

    Args:
        words: to look for, at least one.
        retries: further seeds.
        seed: the first; the new turn's number where None.
        best: as in `Session.edit`, of every try; no two tries share a candidate.
        more: further arguments of `Session.edit`.

    Raises:
        InKontextError: as `Session.edit`.
    """
    parent = session.manifest.current
    first = len(session.manifest.turns) if seed is None else read_seed(seed)
    reader, stride = reader or Reader(), best.candidates if best else 1
    seeds: list[int] = []

    def make(number: int) -> Turn:
        turn = session.edit(prompt, seed=number, words=words, reader=reader, parent=parent, best=best, **more)
        assert turn.how is not None
        seeds.append(turn.how.seed)
        return turn

    def report(turn: Turn) -> TextReport:
        assert turn.text is not None
        return turn.text

    tried = until_right(make, report, range(first, first + (retries + 1) * stride, stride))
    if tried.result.id != session.manifest.current:
        session.settle_on(tried.result.id)
    assert tried.result.how is not None
    reports = tuple(zip(seeds, (found for _, found in tried.reports), strict=True))
    return Attempts(tried.result, tried.result.how.seed, reports)
