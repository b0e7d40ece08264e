"""The error of what an edit left alone.

A pixel was left alone where AFTER resembles BEFORE, either at the same place or at the place that the content came
from; so that a picture that drifted as a whole is not taken for one that was edited everywhere. The error over these
pixels is then that of the plain comparison, at the same place: a drift counts.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from inkontext.evaluation.alignment.resampling import Similarity, reduced, soften, warp
from inkontext.evaluation.fidelity import HIGHEST

_AREA: Final = 1_500_000  # pixels at which edits are looked for; larger pictures are reduced
_AROUND: Final = 1.5  # pixels: standard deviation of the window over which differences are averaged
_VISIBLE: Final = 12.0  # grey levels, root mean square: a difference below is never called an edit
_TYPICAL: Final = 0.25  # the share of the picture that surely was left alone
_TIMES: Final = 3.0  # an edit differs by more than this times the typical difference
_LOST: Final = 48.0  # grey levels of typical difference from which on nothing was left alone
_LEAST: Final = 0.01  # share of the picture below which there is nothing to measure on
_ROWS: Final = 256  # rows at a time, so that large pictures need little memory


class Untouched(NamedTuple):
    """`psnr` in dB or None with a `reason`; `share` of the picture judged left alone."""

    psnr: float | None
    share: float
    reason: str | None


def untouched(before: np.ndarray, after: np.ndarray, move: Similarity | None) -> Untouched:
    """PSNR (peak 255) of AFTER against BEFORE at the same place, over what was left alone.

    Args:
        before, after: uint8 `[H, W, 3]`.
        move: takes BEFORE to AFTER, where it is known.
    """
    kept, factor = left_alone(before, after, move)
    share = float(kept.mean())
    if share < _LEAST:
        return Untouched(None, share, "no untouched region was found")
    total, count = 0.0, 0
    for top in range(0, before.shape[0], _ROWS):
        rows = slice(top, top + _ROWS)
        lines = np.minimum(np.arange(before.shape[0])[rows] // factor, kept.shape[0] - 1)
        columns = np.minimum(np.arange(before.shape[1]) // factor, kept.shape[1] - 1)
        mask = kept[np.ix_(lines, columns)]
        error = before[rows][mask].astype(np.float64) - after[rows][mask]
        total, count = total + float((error**2).sum()), count + error.size
    psnr = HIGHEST if total == 0 else min(HIGHEST, 10 * float(np.log10(255**2 * count / total)))
    return Untouched(psnr, share, None)


def left_alone(before: np.ndarray, after: np.ndarray, move: Similarity | None) -> tuple[np.ndarray, int]:
    """Where the edit left the picture alone, bool `[H / factor, W / factor]`, and the factor."""
    factor = int(np.ceil(np.sqrt(before.shape[0] * before.shape[1] / _AREA)))
    first, second = (reduced(picture, factor) for picture in (before, after))
    difference = _around(((first - second) ** 2).mean(2))
    if move is not None and move != Similarity():
        height, width = before.shape[:2]
        back = Similarity(1 / move.a, -move.b / move.a / factor)
        moved, seen = warp(first, back, (width / 2 / factor, height / 2 / factor))
        apart = np.where(seen, _around(np.where(seen, ((moved - second) ** 2).mean(2), 0)), np.inf)
        difference = np.minimum(difference, apart)
    typical = float(np.sqrt(np.quantile(difference, _TYPICAL)))
    limit = max(_VISIBLE, _TIMES * typical) if typical < _LOST else 0.0
    return difference <= limit**2, factor


def _around(squares: np.ndarray) -> np.ndarray:
    return soften(squares[..., None], _AROUND)[..., 0]
