"""Refine a similarity by Gauss-Newton steps on a robust error, whatever part of the picture was edited.

First on what stands out from its surroundings, which a change of tones leaves alone (`refine`); then on the colours
themselves, in the tones that most of the picture has taken on (`polish`), which is more exact. Steps use the mean of
both pictures' slopes (Benhimane and Malis 2004). Weights are Tukey's biweight: what does not fit counts nothing.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from inkontext.evaluation.alignment.resampling import Similarity, inside, soften, warp

_SOFT: Final = 0.8  # pixels: both pictures are softened so that resampling is exact
_WINDOW: Final = 3.0  # pixels: standard deviation of the surroundings
_FAINT: Final = 0.02  # of full range: contrast of the surroundings that is not raised further
_SLOPE: Final = 0.02  # of full range a pixel: a steeper pixel can tell where it is
_QUIET, _QUIET_TONES = 0.05, 0.008  # differences that are never taken for an edit; of contrast, of full range
_JITTER: Final = 0.1  # pixels by which resampled pictures differ from each other
_LOW, _LOW_NORMAL = 0.4, 0.5244  # the share of differences that surely is no edit's; that quantile of a normal size
_TUKEY: Final = 4.685  # standard deviations at which Tukey's weight reaches zero
_KNOTS: Final = 9  # of a tone curve
_TONE: Final = 0.02  # of full range: tones that differ less are taken to agree
_SETTLED: Final = 0.002  # pixels that a corner moves in the last step
_FAR: Final = 4.0  # pixels that polishing may move a corner; edits drew `refine` as far as two from the truth
_FEWEST: Final = 64  # steep pixels below which nothing can be told


class Level(NamedTuple):
    """Both pictures `[H, W, 3]` in [0, 1] at one resolution; `centre` (x, y) of the whole, in this level's pixels."""

    before: np.ndarray
    after: np.ndarray
    centre: tuple[float, float]


class Fit(NamedTuple):
    """A similarity and what speaks for it.

    Attributes:
        weight: `[H, W]` in [0, 1], of BEFORE's pixels: how well each fits.
        agreement: in [-1, 1], how alike the pictures are where BEFORE has structure that AFTER still shows.
        determined: smallest over largest certainty of the four numbers; 0 where a motion changes nothing.
    """

    similarity: Similarity
    weight: np.ndarray
    agreement: float = 0.0
    determined: float = 0.0


class _Grid(NamedTuple):
    """Places `x`, `y` `[H, W]` from the centre, the farthest of them, and where BEFORE is steep."""

    x: np.ndarray
    y: np.ndarray
    radius: float
    steep: np.ndarray


def refine(level: Level, start: Similarity, rounds: int) -> Fit:
    """Steps from `start` on what stands out; agreement 0 where it leads nowhere."""
    soft, soft_after = soften(level.before, _SOFT), soften(level.after, _SOFT * abs(start.a))
    before, after = _standing_out(soft, _WINDOW), _standing_out(soft_after, _WINDOW * abs(start.a))
    grid = _grid(level, soft)
    ours = _slopes(before)
    lost = Fit(start, np.zeros(before.shape[:2], np.float32))
    similarity, fit = start, lost
    for _ in range(rounds):
        moved, seen = warp(after, similarity, level.centre)
        seen = inside(seen)
        if (seen & grid.steep).sum() < _FEWEST:
            return lost
        theirs = _slopes(moved)
        mean = [(a + b) / 2 for a, b in zip(ours, theirs, strict=True)]
        error = moved - before
        doubt = _QUIET**2 + _JITTER**2 * _steepness(mean)
        weight = _weights(error, doubt, seen, grid.steep)
        agreement, determined = _agreement(before, moved, seen & grid.steep), _determined(ours, theirs, weight, grid)
        fit = Fit(similarity, weight, agreement, determined)
        change = _step(mean, error, weight / doubt, grid)
        similarity = similarity.after(change)
        if not 0.6 < abs(similarity.a) < 1.6:
            return lost
        if _reach(change, grid.radius) < _SETTLED:
            break
    return fit._replace(similarity=similarity)


def polish(level: Level, start: Fit, rounds: int) -> Fit:
    """Steps from `start` on the colours, BEFORE's brought to AFTER's tones; `start` itself where they lead away."""
    similarity, weight = start.similarity, start.weight
    before, after = soften(level.before, _SOFT), soften(level.after, _SOFT * abs(similarity.a))
    grid = _grid(level, before)
    for k in range(rounds):
        moved, seen = warp(after, similarity, level.centre)
        seen = inside(seen)
        if (seen & grid.steep).sum() < _FEWEST or weight.sum() < _FEWEST:
            return start
        expected = retoned(before, moved, _main_tones(before, moved, weight) if k == 0 else weight)
        mean = [(a + b) / 2 for a, b in zip(_slopes(expected), _slopes(moved), strict=True)]
        error, steepness = moved - expected, _steepness(mean)
        doubt = _QUIET_TONES**2 + _JITTER**2 * steepness
        weight = _weights(error, doubt, seen, grid.steep)
        change = _step(mean, error, weight / doubt * steepness / (steepness + _SLOPE**2), grid)
        similarity = similarity.after(change)
        apart = Similarity(1 + similarity.a - start.similarity.a, similarity.b - start.similarity.b)
        if _reach(apart, grid.radius) > _FAR:
            return start
        if _reach(change, grid.radius) < _SETTLED:
            break
    return start._replace(similarity=similarity)


def _grid(level: Level, soft: np.ndarray) -> _Grid:
    places = (np.arange(n, dtype=np.float32) + np.float32(0.5) for n in soft.shape[1::-1])
    x, y = (g - np.float32(c) for g, c in zip(np.meshgrid(*places), level.centre, strict=True))
    return _Grid(x, y, float(np.hypot(x, y).max()), np.sqrt(_steepness(_slopes(soft))) > _SLOPE)


def _standing_out(picture: np.ndarray, window: float) -> np.ndarray:
    """The picture less its surroundings, over their contrast: a change of tones hardly changes it."""
    out = picture - soften(picture, window)
    contrast = soften((out**2).mean(2, keepdims=True), window)
    return out / np.sqrt(contrast + _FAINT**2)


def _slopes(picture: np.ndarray) -> list[np.ndarray]:
    """Across and down."""
    return list(np.gradient(picture, axis=(1, 0)))


def _steepness(slopes: list[np.ndarray]) -> np.ndarray:
    across, down = slopes
    return (across**2).sum(2) + (down**2).sum(2)


def _weights(error: np.ndarray, doubt: np.ndarray, seen: np.ndarray, steep: np.ndarray) -> np.ndarray:
    """Tukey's weights `[H, W]`, each the least of the pixel and its four neighbours: near an edit nothing is sure."""
    size = np.sqrt((error**2).mean(2) / doubt)
    sigma = max(float(np.quantile(size[seen & steep], _LOW)) / _LOW_NORMAL, 1.0)
    weight = np.square(np.clip(1 - (size / (_TUKEY * sigma)) ** 2, 0, None)) * seen
    least = weight.copy()
    for axis in (0, 1):
        for by in (-1, 1):
            np.minimum(least, np.roll(weight, by, axis), out=least)
    return least


def _step(slopes: list[np.ndarray], error: np.ndarray, weight: np.ndarray, grid: _Grid) -> Similarity:
    """The weighted least squares solution of error + slopes · motion = 0."""
    columns = _columns(slopes, grid)
    weighted = columns * weight[..., None]
    flat = columns.reshape(4, -1)
    normal = (weighted.reshape(4, -1) @ flat.T).astype(np.float64)
    normal += 1e-6 * np.trace(normal) * np.eye(4) + 1e-12 * np.eye(4)
    step = -np.linalg.solve(normal, weighted.reshape(4, -1).astype(np.float64) @ error.reshape(-1).astype(np.float64))
    return Similarity(1 + complex(step[0], step[1]) / grid.radius, complex(step[2], step[3]))


def _reach(change: Similarity, radius: float) -> float:
    """How far a corner moves at most."""
    return abs(change.a - 1) * radius + abs(change.b)


def _columns(slopes: list[np.ndarray], grid: _Grid) -> np.ndarray:
    """Derivatives `[4, H, W, 3]` of a picture by growth, turn (at the radius), x and y."""
    across, down = slopes
    x, y = grid.x[..., None] / grid.radius, grid.y[..., None] / grid.radius
    return np.stack([across * x + down * y, down * x - across * y, across, down])


def _agreement(before: np.ndarray, moved: np.ndarray, where: np.ndarray) -> float:
    """Mean over `where` of what both have in common over what they have."""
    a, b = before[where], moved[where]
    return float((2 * (a * b).sum(1) / np.maximum((a**2).sum(1) + (b**2).sum(1), 1e-12)).mean())


def _determined(ours: list[np.ndarray], theirs: list[np.ndarray], weight: np.ndarray, grid: _Grid) -> float:
    a, b = (_columns(s, grid).reshape(4, -1) for s in (ours, theirs))
    cross = ((a * np.repeat(weight.reshape(-1), 3)) @ b.T).astype(np.float64)
    values = np.linalg.eigvalsh((cross + cross.T) / 2)
    return float(values[0] / max(values[-1], 1e-12))


def _main_tones(before: np.ndarray, after: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Weights that leave the tones of the larger part, by reweighting from least absolute deviation on."""
    out = weight
    for power in (1, 1, 1, 1, 2, 2, 2, 2):
        error = np.sqrt(((retoned(before, after, out) - after) ** 2).sum(2))
        out = weight / (error + _TONE) ** power
    return out


def retoned(before: np.ndarray, after: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """`before` in the tones of `after`: in each channel the smooth curve through nine knots that fits best.

    Weighted least squares of a piecewise linear curve. Where no value tells its course it goes on straight.
    """
    out = np.empty_like(before)
    flat = weight.reshape(-1)
    bend = np.diff(np.eye(_KNOTS), 2, axis=0)
    pull = 1e-4 * (float(flat.sum()) + 1e-6) * (bend.T @ bend + 1e-2 * np.eye(_KNOTS))
    straight = np.linspace(0, 1, _KNOTS)
    for channel in range(before.shape[2]):
        place = np.clip(before[..., channel].reshape(-1) * (_KNOTS - 1), 0, _KNOTS - 1)
        goal = after[..., channel].reshape(-1)
        below = np.minimum(place.astype(np.intp), _KNOTS - 2)
        up = place - below
        down = 1 - up
        sums = [np.bincount(below, flat * f, _KNOTS) for f in (down * down, up * down, up * up, down * goal, up * goal)]
        normal = np.diag(sums[0] + np.roll(sums[2], 1)) + np.diag(sums[1][:-1], 1) + np.diag(sums[1][:-1], -1)
        curve = np.linalg.solve(normal + pull, sums[3] + np.roll(sums[4], 1) + pull @ straight)
        out[..., channel] = (curve[below] * down + curve[below + 1] * up).reshape(before.shape[:2])
    return out
