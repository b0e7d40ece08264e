"""Find the similarity (shift, scale, rotation) that takes one picture to another of its size.

All similarities are tried on small copies, by the correlation of slopes over all shifts. The best are refined from
level to level (`fit`).
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from inkontext.evaluation.alignment.fit import Fit, Level, polish, refine
from inkontext.evaluation.alignment.resampling import Similarity, halve, inside, reduced, warp

_SMALLEST: Final = 16  # pixels of a side, below which nothing is searched
_LARGEST: Final = 450_000  # pixels of the finest level; larger pictures are averaged over squares
_COARSE: Final = 64  # pixels of the longer side at which all similarities are tried
_TURN: Final = np.radians(3.0)  # steps of the grid of similarities that is tried
_GROWTH: Final = 0.054
_TURNS: Final = _TURN * np.arange(-6, 7)
_SCALES: Final = np.exp(_GROWTH * np.arange(-5, 6))
_NEAR: Final = (-1, 0, 1)
_REACH: Final = 0.23  # of a side: the largest shift that is tried
_STARTS, _MORE_STARTS = 4, 16  # best guesses that are carried on; if none of them agrees clearly
_CLEAR: Final = 0.6
_AS_WELL: Final = 0.02  # of agreement: what repeats agrees about as well at several places; then the nearest counts
_DULL: Final = 0.005  # of full range a pixel: slopes below are held back in the search
_TEXTURE: Final = 0.02  # of full range a pixel: a steeper pixel has texture
_LEAST: Final = 64  # pixels with texture, at least
_AGREE: Final = 0.35  # agreement from which on a fit is believed; unrelated pictures reached 0.21
_DETERMINED: Final = 0.003  # a fit with less leaves a motion open, as along stripes


class Found(NamedTuple):
    """The similarity from BEFORE to AFTER in pixels, with its quality from 0 to 1; or None with a reason."""

    similarity: Similarity | None
    quality: float | None
    reason: str | None


def register(before: np.ndarray, after: np.ndarray) -> Found:
    """Find how AFTER lies over BEFORE, uint8 `[H, W, 3]` both, of one size."""
    if min(before.shape[:2]) < _SMALLEST:
        return Found(None, None, f"a picture less than {_SMALLEST} pixels wide or high tells too little")
    levels, factor = pyramid(before, after)
    for name, picture in (("BEFORE", levels[0].before), ("AFTER", levels[0].after)):
        across, down = np.gradient(picture, axis=(1, 0))
        if (np.sqrt((across**2 + down**2).sum(2)) > _TEXTURE).sum() < _LEAST:
            return Found(None, None, f"{name} has too little texture to tell where it lies")
    if np.array_equal(before, after):
        levels = levels[:1]
        fit = refine(levels[0], Similarity(), 1)._replace(similarity=Similarity())
    else:
        fit = find(levels)
    if fit.agreement < _AGREE:
        return Found(None, max(fit.agreement, 0.0), "the pictures have too little in common")
    if fit.determined < _DETERMINED:
        return Found(None, fit.agreement, "what the pictures have in common leaves a motion open, as along stripes")
    return Found(Similarity(fit.similarity.a, fit.similarity.b * factor), min(fit.agreement, 1.0), None)


def pyramid(before: np.ndarray, after: np.ndarray) -> tuple[list[Level], int]:
    """Levels, finest first, down to about 64 pixels, each half the one before; and how much the first is reduced."""
    height, width = before.shape[:2]
    factor = int(np.ceil(np.sqrt(height * width / _LARGEST)))
    while factor > 1 and min(height, width) // factor < _SMALLEST:
        factor -= 1
    first, second = (reduced(picture, factor) / np.float32(255) for picture in (before, after))
    x, y = width / 2 / factor, height / 2 / factor
    levels = [Level(first, second, (x, y))]
    while max(first.shape[:2]) > _COARSE and min(first.shape[:2]) >= 2 * _SMALLEST:
        first, second, x, y = halve(first), halve(second), x / 2, y / 2
        levels.append(Level(first, second, (x, y)))
    return levels, factor


def find(levels: list[Level]) -> Fit:
    """The similarity that takes BEFORE to AFTER, in pixels of the first level."""
    turns, scales = (g.ravel() for g in np.meshgrid(_TURNS, _SCALES))
    starts = search(levels[-1], [complex(s * np.exp(1j * t)) for t, s in zip(turns, scales, strict=True)])
    finer = levels[:-2]
    best = _best_near([Similarity(), *starts[:_STARTS]], levels[len(finer)])
    if best.agreement < _CLEAR:
        others = _best_near(starts[_STARTS:_MORE_STARTS], levels[len(finer)])
        best = max(best, others, key=lambda fit: fit.agreement)
    for level in reversed(finer):
        best = refine(level, Similarity(best.similarity.a, best.similarity.b * 2), 12)
    return polish(levels[0], best, 16)


def _best_near(starts: list[Similarity], level: Level) -> Fit:
    """The fit that agrees best, from the best similarities around the starts; the one at rest where it is as good."""
    near = {_near(s.a, i, j) for s in starts for i in _NEAR for j in _NEAR}
    nearest = search(level, sorted(near, key=lambda a: (a.real, a.imag)))[: max(_STARTS, len(starts) // 2)]
    at_rest = refine(level, Similarity(), 12)
    best = max((refine(level, s, 12) for s in nearest), key=lambda fit: fit.agreement)
    return best if best.agreement > at_rest.agreement + _AS_WELL else at_rest


def _near(a: complex, i: int, j: int) -> complex:
    return a * complex(np.exp(1j * _TURN / 3 * i + _GROWTH / 3 * j))


def search(level: Level, factors: list[complex]) -> list[Similarity]:
    """For each factor a the shift that correlates slopes best; the best of all first."""
    height, width = level.before.shape[:2]
    reach = [max(2, round(_REACH * side) + 1) for side in (height, width)]
    padded = (height + 2 * reach[0], width + 2 * reach[1])
    goal = _directions(level.after)
    spectrum = np.fft.fft2(goal, padded, axes=(0, 1))
    energy = np.fft.rfft2((np.abs(goal) ** 2).sum(2), padded)
    found = []
    for a in factors:
        moved, seen = warp(level.before, Similarity(1 / a), level.centre)
        kept = inside(seen)
        start = _directions(moved) * kept[..., None]
        cross = np.fft.ifft2((spectrum * np.fft.fft2(start, padded, axes=(0, 1)).conj()).sum(2)).real
        under = np.fft.irfft2(energy * np.fft.rfft2(kept.astype(float), padded).conj(), padded)
        own = (np.abs(start) ** 2).sum()
        score = cross / np.sqrt(np.maximum(own * under, 1e-6 + 0.05 * own**2))
        rows, columns = (np.arange(-r, r + 1) for r in reach)
        window = score[np.ix_(rows, columns)]
        i, j = np.unravel_index(int(window.argmax()), window.shape)
        found.append((float(window[i, j]), Similarity(a, complex(columns[j], rows[i]))))
    found.sort(key=lambda one: -one[0])
    return [similarity for _, similarity in found]


def _directions(picture: np.ndarray) -> np.ndarray:
    """Slopes as complex numbers `[H, W, 3]`, steep ones held back."""
    across, down = np.gradient(picture, axis=(1, 0))
    size = np.sqrt((across**2 + down**2).sum(2, keepdims=True))
    soft = max(float(size.mean()), _DULL)
    return (across + 1j * down) / np.sqrt(size * soft + soft**2)
