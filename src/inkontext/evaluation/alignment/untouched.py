"""The error of what an edit left alone, and errors over places that the edited picture has no say in.

A pixel was left alone where AFTER resembles BEFORE, either at the same place or at the place that the content came
from; so that a picture that drifted as a whole is not taken for one that was edited everywhere. The error over these
pixels is then that of the plain comparison, at the same place: a drift counts. What is judged is so chosen from the
judged picture: error that looks like an edit does not count. Therefore the share goes with the figure, and `psnr_over`
the whole picture, or outside a mask that was given, beside it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np

from inkontext.decibel import psnr_of
from inkontext.evaluation.alignment.resampling import Similarity, reduced, soften, warp

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
    lines, columns = (np.minimum(np.arange(n) // factor, m - 1) for n, m in zip(before.shape, kept.shape, strict=False))
    return Untouched(psnr_over(before, after, lambda rows: kept[np.ix_(lines[rows], columns)]), share, None)


def psnr_over(
    before: np.ndarray, after: np.ndarray, where: Callable[[slice], np.ndarray] | None = None
) -> float | None:
    """PSNR (peak 255) of uint8 pictures `[H, W, 3]` at the same place, at most `HIGHEST` dB; None over no pixel.

    Args:
        where: the pixels that count of some rows, bool `[rows, W]`; None for all.
    """
    total, count = 0.0, 0
    for top in range(0, before.shape[0], _ROWS):
        rows = slice(top, top + _ROWS)
        of = slice(None) if where is None else where(rows)
        error = before[rows][of].astype(np.float64) - after[rows][of]
        total, count = total + float((error**2).sum()), count + error.size
    if not count:
        return None
    return psnr_of(total / count)


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
