"""The little statistics that tables of results need."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from statistics import NormalDist, median
from typing import Any, Final, NamedTuple

import numpy as np

DIGITS: Final = 6  # decimals kept of every figure
Z95: Final = 1.959963984540054  # standard deviations that hold 95 % of a normal distribution
DRAWS: Final = 2000  # of a bootstrap


def rounded(value: float | None) -> float | None:
    """A figure as tables keep it."""
    return None if value is None else round(value, DIGITS)


def wilson(successes: float, total: float, z: float = Z95) -> tuple[float, float] | None:
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


def bootstrap_mean(values: Sequence[float], draws: int = DRAWS, seed: int = 0) -> tuple[float, float] | None:
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


class Interval(NamedTuple):
    """A 95 % interval. kind: `wilson`, `bootstrap`, `bootstrap over sources` or `wilson over sources`."""

    low: float
    high: float
    kind: str


def interval(values: Sequence[float], sources: Sequence[Hashable], is_share: bool) -> Interval | None:
    """The 95 % interval of a mean of values, of which those of one source are not independent.

    Where every value has a source of its own: Wilson's for a share, the percentile bootstrap for any other mean. Else
    whole sources are drawn anew (`bootstrap_sources`), since asking a picture ten things is not looking at ten
    pictures. A share for which that has no width (all right, all wrong) gets Wilson's interval on the number of
    sources: the effective sample size n / (1 + (m - 1) rho) of n values, m a source, at its least, where the values of
    a source are all one (rho = 1; Kish 1965, Survey Sampling, section 5.4; Korn and Graubard 1998, Survey Methodology
    24, for its use inside an interval).

    Args:
        sources: of each value, whatever tells one source from another.

    Returns:
        None where there is too little to tell: no value, or, of a mean that is no share, a single source.
    """
    count = len(set(sources))
    if count == len(values):
        ends, kind = (wilson(sum(values), count), "wilson") if is_share else (bootstrap_mean(values), "bootstrap")
    else:
        ends, kind = bootstrap_sources(values, sources), "bootstrap over sources"
        if is_share and (ends is None or ends[0] == ends[1]):
            ends, kind = wilson(sum(values) / len(values) * count, count), "wilson over sources"
    return Interval(*ends, kind) if ends else None


def bootstrap_sources(
    values: Sequence[float], sources: Sequence[Hashable], draws: int = DRAWS, seed: int = 0
) -> tuple[float, float] | None:
    """The 95 % interval of a mean by drawing whole sources anew with replacement; None below two sources.

    The one-stage cluster bootstrap (Davison and Hinkley 1997, Bootstrap Methods and their Application, section 3.8):
    the mean of a draw is the sum over the values of the sources drawn, by their number. Percentiles of few sources are
    too near to each other; they are taken at Phi(-+ sqrt(G / (G - 1)) t) of G sources, t the 97.5 % quantile of
    Student's distribution with G - 1 degrees of freedom ("expanded percentile"; Hesterberg 2015, The American
    Statistician 69(4), section 4.2).
    """
    number = {source: n for n, source in enumerate(dict.fromkeys(sources))}
    count = len(number)
    if count < 2:
        return None
    own = [number[source] for source in sources]
    sums, sizes = np.bincount(own, np.asarray(values, dtype=np.float64)), np.bincount(own)
    picked = np.random.default_rng(seed).integers(0, count, (draws, count))
    means = sums[picked].sum(axis=1) / sizes[picked].sum(axis=1)
    tail = 100 * NormalDist().cdf(-math.sqrt(count / (count - 1)) * student(count - 1))
    low, high = np.percentile(means, [tail, 100 - tail])
    return float(low), float(high)


def student(freedom: int) -> float:
    """The 97.5 % quantile of Student's t distribution, to 0.2 %.

    Exact for one and two degrees of freedom, else the expansion about the normal quantile (Abramowitz and Stegun 1964,
    26.7.5).
    """
    p, x = 0.975, Z95
    if freedom == 1:
        return math.tan(math.pi * (p - 0.5))
    if freedom == 2:
        return (2 * p - 1) / math.sqrt(2 * p * (1 - p))
    terms = (
        x,
        (x**3 + x) / 4,
        (5 * x**5 + 16 * x**3 + 3 * x) / 96,
        (3 * x**7 + 19 * x**5 + 17 * x**3 - 15 * x) / 384,
        (79 * x**9 + 776 * x**7 + 1482 * x**5 - 1920 * x**3 - 945 * x) / 92160,
    )
    return sum(term / freedom**power for power, term in enumerate(terms))


def paired(a: Sequence[bool], b: Sequence[bool], sources: Sequence[Hashable]) -> tuple[float, float, float]:
    """Difference of two shares of the same rows, a less b, with the ends of its 95 % interval, all in [-1, 1].

    Whole sources are drawn anew, each with both answers to every row of it. Where all differences are alike, which has
    no width, a share w of sources like none that were seen is allowed for, w being the upper end of Wilson's interval
    of none among the sources: from (1 - w) d - w to (1 - w) d + w.
    """
    each = [float(x) - float(y) for x, y in zip(a, b, strict=True)]
    mean = sum(each) / len(each)
    ends = bootstrap_sources(each, sources)
    if ends is None or ends[0] == ends[1]:
        unseen = (wilson(0, len(set(sources))) or (0.0, 1.0))[1]
        ends = (1 - unseen) * mean - unseen, (1 - unseen) * mean + unseen
    return mean, *ends


def figures(
    scores: Sequence[float | None],
    reasons: Sequence[str | None],
    is_share: bool,
    sources: Sequence[Hashable] | None = None,
    judged: Sequence[float | None] | None = None,
) -> dict[str, Any]:
    """One cell of the table.

    n: scores there are; missing: those there are not, with their reasons counted. mean, and its 95 % `interval` over
    the sources (each score its own where none are given); None where there is too little to tell. judged: the mean
    share that was judged, where outputs decided it (`Score.judged`), with those that left nothing to judge; else None.
    """
    shares = [part for part in judged or () if part is not None]
    own = range(len(scores)) if sources is None else sources
    there = [(score, source) for score, source in zip(scores, own, strict=True) if score is not None]
    values, origin = [score for score, _ in there], [source for _, source in there]
    ends = interval(values, origin, is_share)
    lost = Counter(why for why, score in zip(reasons, scores, strict=True) if score is None and why is not None)
    return {
        "n": len(there),
        "sources": len(set(origin)),
        "missing": len(scores) - len(there),
        "judged": round(sum(shares) / len(shares), DIGITS) if shares else None,
        "reasons": dict(sorted(lost.items())),
        "mean": round(sum(values) / len(values), DIGITS) if there else None,
        "interval": [round(end, DIGITS) for end in ends[:2]] if ends else None,
        "interval_kind": ends.kind if ends else None,
    }
