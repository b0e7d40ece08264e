"""Which pictures meet: every pair of systems and every key equally often, both sides equally often, checks between."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, combinations
from typing import Final

from inkontext.errors import OptionError
from inkontext.evaluation.preference.study import Side

USUAL_PER_PAIR: Final = 30
USUAL_CHECKS: Final = 0.1


@dataclass(frozen=True)
class Meeting:
    """Two systems' pictures of one key; a check where `answer` says which side must be preferred."""

    key: str
    left: str
    right: str
    block: int
    answer: Side | None = None


def per_pair_of(wanted: int | None, keys: int) -> int:
    """Meetings of every pair of systems. Raises OptionError where there are not as many keys."""
    if wanted is None:
        return min(USUAL_PER_PAIR, keys)
    if wanted < 1:
        raise OptionError(f"--per-pair is {wanted}; it must be a whole number of at least 1")
    if wanted > keys:
        raise OptionError(f"--per-pair is {wanted} and there are {keys} keys; ask for at most {keys}")
    return wanted


def check_count(share: float, meetings: int) -> int:
    """Attention checks beside so many meetings: `share` of these, at least one unless the share is 0."""
    if not 0 <= share <= 0.5:
        raise OptionError(f"--checks is {share}; it must be between 0 and 0.5")
    return max(1, round(share * meetings)) if share else 0


def draw(systems: Sequence[str], keys: Sequence[str], per_pair: int, share: float, seed: int) -> list[Meeting]:
    """The meetings of a study, in their blocks, in order.

    Exactly: every pair meets `per_pair` times, on different keys. To within one: how often each key is used, overall
    and by each pair; how often each of a pair stands left; how often each system does in all; how often a pair meets
    in each block. A block holds one check.

    Args:
        per_pair: at most the number of keys.
        share: of checks beside the meetings, in [0, 0.5].
    """
    rng = random.Random(seed)
    order = rng.sample(list(keys), len(keys))
    pairs = list(combinations(range(len(systems)), 2))
    columns = [_pair(systems, pair, order, n * per_pair, per_pair, rng) for n, pair in enumerate(pairs)]
    dealt = list(chain.from_iterable(zip(*columns, strict=True)))
    checks = check_count(share, len(dealt))
    blocks = max(1, checks)
    meetings = []
    for block in range(blocks):
        part = dealt[block * len(dealt) // blocks : (block + 1) * len(dealt) // blocks]
        shown = [Meeting(key, left, right, block) for key, left, right in part]
        if checks:
            system, key = systems[block % len(systems)], order[-1 - block % len(order)]
            shown.append(Meeting(key, system, system, block, "left" if block % 2 else "right"))
        meetings += rng.sample(shown, len(shown))
    return meetings


def _pair(
    systems: Sequence[str], pair: tuple[int, int], order: Sequence[str], start: int, count: int, rng: random.Random
) -> list[tuple[str, str, str]]:
    """(key, left, right) of all meetings of a pair. Keys go round, so that none is used twice before all were."""
    first, second = pair
    lefts = count // 2 + (count % 2) * _leads(first, second, len(systems))
    sides = rng.sample([True] * lefts + [False] * (count - lefts), count)
    a, b = systems[first], systems[second]
    keys = [order[(start + i) % len(order)] for i in range(count)]
    return [(key, a, b) if left else (key, b, a) for key, left in zip(keys, sides, strict=True)]


def _leads(first: int, second: int, count: int) -> bool:
    """Whether the odd meeting of a pair has `first` (the smaller) left: round a circle, each leads those in the half
    after it, so that all lead equally many, to within one."""
    return second - first <= count // 2
