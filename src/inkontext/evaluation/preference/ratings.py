"""Strengths out of pairwise votes: Bradley-Terry, Elo, shares of wins, and how far each can be trusted.

Both models are evalica's. What is added here: which numbers exist at all, and intervals that say so where they do not.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from inkontext.errors import OptionError

MEAN: Final = 1000.0  # of the strengths, and where Elo starts
K: Final = 4.0  # points that one vote moves Elo at most
ORDERS: Final = 100  # random orders of the votes over which Elo is averaged
_LEVEL: Final = 0.95


@dataclass(frozen=True)
class Ballot:
    """One vote between two systems, by number. `outcome`: 1 where x won, 2 where y won, 0 for a tie, as in evalica.

    `trial` is what is drawn again in the bootstrap: votes on the same two pictures are no independent evidence.
    """

    x: int
    y: int
    outcome: int
    trial: str


@dataclass(frozen=True)
class Rating:
    """A system's strength with the ends of its 95 % interval; None where there is no finite number."""

    value: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Ratings:
    """What votes say. `wins[i][j]`: votes for i against j; `ties` likewise. `notes`: why numbers are missing."""

    bradley_terry: list[Rating]
    elo: list[Rating]
    wins: list[list[int]]
    ties: list[list[int]]
    notes: list[str]


def rate(names: Sequence[str], ballots: Sequence[Ballot], resamples: int, seed: int) -> Ratings:
    """Rate systems by votes; a tie is half a win for each.

    Bradley-Terry: P(i over j) = s_i / (s_i + s_j), by maximum likelihood, told as 400 log10 s with mean 1000. A finite
    maximum needs every system to have won and lost, directly or through others, against every other (Ford 1957):
    systems of which this is not true get no number. Elo: from 1000 with K = 4, the mean over random orders.

    The intervals are percentiles of a bootstrap over trials within each pair of systems. A draw in which the maximum
    is not finite counts as unbounded at both ends.

    Raises:
        OptionError: evalica is not installed.
    """
    count = len(names)
    wins, ties = _tables(count, ballots)
    notes: list[str] = []
    met = _largest((wins + wins.T + ties) > 0)
    notes += _unconnected(names, met, (wins + ties + wins.T).sum(axis=1) > 0)
    finite = _largest(_reach((wins + ties / 2) > 0, met))
    notes += _unbounded(names, met, finite)
    strata = _strata(ballots)
    rng = np.random.default_rng(seed)
    bt, elo = [Rating()] * count, [Rating()] * count
    if finite:
        bt = _bradley_terry_ratings(count, ballots, strata, finite, resamples, rng)
    if met:
        elo = _elo_ratings(count, ballots, strata, met, resamples, rng)
    return Ratings(bt, elo, wins.astype(int).tolist(), ties.astype(int).tolist(), notes)


def _tables(count: int, ballots: Sequence[Ballot]) -> tuple[np.ndarray, np.ndarray]:
    wins, ties = np.zeros((count, count)), np.zeros((count, count))
    for b in ballots:
        if b.outcome == 0:
            ties[b.x, b.y] += 1
            ties[b.y, b.x] += 1
        else:
            winner, loser = (b.x, b.y) if b.outcome == 1 else (b.y, b.x)
            wins[winner, loser] += 1
    return wins, ties


# --- which numbers exist ---------------------------------------------------------------------------------------


def _paths(beats: np.ndarray) -> np.ndarray:
    """Who can be reached from whom, themselves included."""
    reach = beats | np.eye(len(beats), dtype=bool)
    for _ in range(len(beats)):
        reach = reach | ((reach.astype(int) @ reach.astype(int)) > 0)
    return reach


def _reach(beats: np.ndarray, among: Sequence[int]) -> np.ndarray:
    """Both have paths of wins to each other, for systems of `among`."""
    inside = np.zeros(len(beats), dtype=bool)
    inside[list(among)] = True
    reach = _paths(beats & np.outer(inside, inside))
    return reach & reach.T


def _largest(together: np.ndarray) -> list[int]:
    """The largest group of a relation, two or more, in order; none where two are equally large."""
    reach = _paths(together)
    groups = sorted({tuple(np.flatnonzero(row).tolist()) for row in reach}, key=len, reverse=True)
    if not groups or len(groups[0]) < 2 or (len(groups) > 1 and len(groups[1]) == len(groups[0])):
        return []
    return list(groups[0])


def _unconnected(names: Sequence[str], met: Sequence[int], any_votes: np.ndarray) -> list[str]:
    if not met and any_votes.any():
        return ["the systems fall into groups that were never compared with each other; there are no ratings"]
    never = [name for i, name in enumerate(names) if i not in met]
    if not any_votes.any():
        return ["no votes"]
    return [f"never compared with the others, so without a rating: {', '.join(never)}"] if never else []


def _unbounded(names: Sequence[str], met: Sequence[int], finite: Sequence[int]) -> list[str]:
    lost = [names[i] for i in met if i not in finite]
    if not lost:
        return []
    if not finite:
        return ["one side won all its votes against the other: Bradley-Terry has no finite maximum for any system"]
    return [f"won or lost every vote against the rest, so Bradley-Terry has no finite number for: {', '.join(lost)}"]


# --- the models ------------------------------------------------------------------------------------------------


def bradley_terry(wins: np.ndarray, among: Sequence[int]) -> np.ndarray:
    """400 log10 of the strengths of the systems `among`, mean 1000. `wins[i, j]` may hold halves."""
    inside = wins[np.ix_(among, among)]
    xs, ys = np.nonzero(inside)
    result = _evalica().bradley_terry(
        xs.tolist(), ys.tolist(), [_evalica().Winner.X] * len(xs), weights=inside[xs, ys].tolist(),
        tolerance=1e-9, limit=10_000,
    )  # fmt: skip
    points = 400 * np.log10(np.array([result.scores[i] for i in range(len(among))]))
    return points - points.mean() + MEAN


def elo(ballots: Sequence[Ballot], order: Iterable[int], among: Sequence[int]) -> np.ndarray:
    """Elo of the systems `among` after the votes in this order."""
    chosen = [ballots[i] for i in order]
    winners = _evalica().WINNERS
    result = _evalica().elo(
        [b.x for b in chosen], [b.y for b in chosen], [winners[b.outcome] for b in chosen], initial=MEAN, k=K
    )
    return np.array([result.scores.get(i, MEAN) for i in among])


def _evalica() -> Any:
    try:
        import evalica
    except ImportError as error:
        raise OptionError("ratings need evalica; pip install 'inkontext[eval]'") from error
    return evalica


# --- intervals -------------------------------------------------------------------------------------------------


def _strata(ballots: Sequence[Ballot]) -> list[list[list[int]]]:
    """Numbers of ballots, by trial, by pair of systems."""
    pairs: dict[tuple[int, int], dict[str, list[int]]] = {}
    for number, b in enumerate(ballots):
        pair = (min(b.x, b.y), max(b.x, b.y))
        pairs.setdefault(pair, {}).setdefault(b.trial, []).append(number)
    return [list(pairs[pair].values()) for pair in sorted(pairs)]


def _resample(strata: list[list[list[int]]], rng: np.random.Generator) -> list[int]:
    """Ballots of a draw with replacement, as many trials of each pair as there are."""
    return [n for trials in strata for i in rng.integers(len(trials), size=len(trials)) for n in trials[i]]


def _bradley_terry_ratings(
    count: int, ballots: Sequence[Ballot], strata: list, among: list[int], resamples: int, rng: np.random.Generator
) -> list[Rating]:
    def fit(numbers: Sequence[int]) -> np.ndarray | None:
        wins, ties = _tables(count, [ballots[n] for n in numbers])
        scores = wins + ties / 2
        if not _reach(scores > 0, among)[np.ix_(among, among)].all():
            return None
        return bradley_terry(scores, among)

    value = fit(range(len(ballots)))
    assert value is not None
    draws = [fit(_resample(strata, rng)) for _ in range(resamples)]
    return _spread(count, among, value, draws)


def _elo_ratings(
    count: int, ballots: Sequence[Ballot], strata: list, among: list[int], resamples: int, rng: np.random.Generator
) -> list[Rating]:
    value = np.mean([elo(ballots, rng.permutation(len(ballots)), among) for _ in range(ORDERS)], axis=0)
    draws = [elo(ballots, rng.permutation(_resample(strata, rng)), among) for _ in range(resamples)]
    return _spread(count, among, value, draws)


def _spread(
    count: int, among: Sequence[int], value: np.ndarray, draws: Sequence[np.ndarray | None]
) -> list[Rating]:  # fmt: skip
    """Ratings with percentile intervals; a draw that is None lies below and above everything."""
    unbounded = np.full(len(among), np.inf)
    tail = (1 - _LEVEL) / 2
    low, high = -unbounded, unbounded
    if draws:
        low = np.quantile([-unbounded if d is None else d for d in draws], tail, axis=0, method="lower")
        high = np.quantile([unbounded if d is None else d for d in draws], 1 - tail, axis=0, method="higher")
    out = [Rating()] * count
    for i, system in enumerate(among):
        ends = (float(end) if np.isfinite(end) else None for end in (low[i], high[i]))
        out[system] = Rating(float(value[i]), *ends)
    return out
