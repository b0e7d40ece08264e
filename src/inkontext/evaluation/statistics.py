"""The little statistics that tables of results need."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import Any, Final

import numpy as np

DIGITS: Final = 6  # decimals kept of every figure
Z95: Final = 1.959963984540054  # standard deviations that hold 95 % of a normal distribution


def rounded(value: float | None) -> float | None:
    """A figure as tables keep it."""
    return None if value is None else round(value, DIGITS)


def wilson(successes: int, total: int, z: float = Z95) -> tuple[float, float] | None:
    """Wilson's score interval of a share, both ends in [0, 1]; None where nothing was counted.

    (p + z²/2n ± z √(p(1−p)/n + z²/4n²)) / (1 + z²/n): unlike the normal interval it stays inside [0, 1] and has a
    width at 0 and at 100 %.
    """
    if not total:
        return None
    share, spread = successes / total, z * z / total
    middle = share + spread / 2
    half = z * math.sqrt(share * (1 - share) / total + spread / (4 * total))
    low = 0.0 if not successes else (middle - half) / (1 + spread)
    high = 1.0 if successes == total else (middle + half) / (1 + spread)
    return low, high


def share(successes: int, total: int) -> float | None:
    """A share in [0, 1]; None where nothing was counted."""
    return successes / total if total else None


def middle(values: Iterable[float | None]) -> float | None:
    """The median of the values that are there; None where none is."""
    there = [v for v in values if v is not None]
    return median(there) if there else None


def apportion(sizes: Mapping[str, int], total: int) -> dict[str, int]:
    """Deal `total` out in the proportions of `sizes`: largest remainders, nobody above their size, and at least one
    each where `total` allows that (else one each to the largest)."""
    whole = sum(sizes.values())
    if total >= whole:
        return dict(sizes)
    if total < len(sizes):
        largest = sorted(sizes, key=lambda name: -sizes[name])[:total]
        return {name: 1 for name in sizes if name in largest}
    quota = {name: total * size / whole for name, size in sizes.items()}
    given = {name: max(1, math.floor(q)) for name, q in quota.items()}
    while sum(given.values()) < total:
        given[max(quota, key=lambda name: quota[name] - given[name])] += 1
    while sum(given.values()) > total:
        given[max((n for n in given if given[n] > 1), key=lambda name: given[name] - quota[name])] -= 1
    return given


def spread(count: int, among: int) -> list[int]:
    """`count` numbers spread over range(among), a larger count holding all those of a smaller one.

    The order is that of bit-reversed counting (van der Corput's sequence), in which every beginning is even.
    """
    bits = max(1, (among - 1).bit_length())
    order = (int(f"{i:0{bits}b}"[::-1], 2) for i in range(1 << bits))
    return [n for n in order if n < among][:count]


def bootstrap_mean(values: Sequence[float], draws: int = 2000, seed: int = 0) -> tuple[float, float] | None:
    """The 95 % percentile bootstrap interval of a mean; None below two values, which tell no spread.

    The values are drawn anew with replacement `draws` times; the interval holds the middle 95 % of the means. It
    stays inside the values' range, and the same values give the same interval.
    """
    if len(values) < 2:
        return None
    there = np.asarray(values, dtype=np.float64)
    picked = np.random.default_rng(seed).integers(0, len(there), (draws, len(there)))
    low, high = np.percentile(there[picked].mean(axis=1), [2.5, 97.5])
    return float(low), float(high)


def figures(scores: Sequence[float | None], reasons: Sequence[str | None], is_share: bool) -> dict[str, Any]:
    """One cell of the table.

    n: scores there are; missing: those there are not, with their reasons counted. mean, and its 95 % interval:
    Wilson's for a share, else the percentile bootstrap; None where there is too little to tell.
    """
    there = [score for score in scores if score is not None]
    ends = wilson(round(sum(there)), len(there)) if is_share else bootstrap_mean(there)
    lost = Counter(why for why, score in zip(reasons, scores, strict=True) if score is None and why is not None)
    return {
        "n": len(there),
        "missing": len(scores) - len(there),
        "reasons": dict(sorted(lost.items())),
        "mean": round(sum(there) / len(there), DIGITS) if there else None,
        "interval": [round(end, DIGITS) for end in ends] if ends else None,
        "interval_kind": "wilson" if is_share else "bootstrap",
    }
