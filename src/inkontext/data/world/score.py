"""Exact success of a produced picture: was the asked change made, and did everything else stay.

Because the truth is known, both are measured, not judged. The change: how much nearer the picture
came to the target, and whether it is nearer to the target than to every picture of a wrong answer
(`alternatives.py`). The rest: PSNR outside the mask against the unedited reference.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from PIL import Image, ImageFilter

from inkontext.data.world.alternatives import alternatives, told_alternatives
from inkontext.data.world.outside import Outside
from inkontext.data.world.pair import Pair
from inkontext.data.world.render import render
from inkontext.decibel import HIGHEST, psnr_of

CHANGED_AT_LEAST: Final = 0.5  # of the squared error between reference and target must be gone
TOLD_AT_LEAST: Final = 0.25  # the same where only words fix the layout: character, style, t2i
KEPT_AT_LEAST: Final = 16.0  # dB outside the mask; what coding alone costs on a busy background
SPILT_AT_MOST: Final = 0.008  # of the cells outside the mask may change their mean colour
NEARER_BY: Final = 1.0  # the error to the target over that to the nearest wrong answer stays below
TOLD_NEARER_BY: Final = 0.85  # the same where only words fix the layout
_CELLS: Final = 16  # cells across the picture in which spilling is looked for
_SPILL: Final = 26.0  # grey levels by which a cell's mean colour must move to count
_TOLD: Final = frozenset({"character", "style", "t2i"})
_DIFFERS: Final = 24.0  # grey levels; where two renderings are nearer than this they do not tell apart
_DIFFERS_SHARE: Final = 0.001  # of the pixels; an alternative that differs less is left out


@dataclass(frozen=True, slots=True)
class Score:
    """The measure of one produced picture.

    success: enough changed, rightly, and the rest was kept.
    changed: 1 is the target, 0 the unedited reference (without one, the target's mean colour).
    right: nearer to the target than to any wrong answer.
    nearest: the error to the target over that to the nearest wrong answer.
    kept_psnr: dB outside the mask; 99 where nothing changed or all may change.
    spilt: share of the picture that changed visibly outside the mask.
    enough, stayed: whether `changed`, and `kept_psnr` with `spilt`, are within their bounds.
    """

    success: bool
    changed: float
    right: bool
    nearest: float
    kept_psnr: float
    spilt: float
    enough: bool
    stayed: bool


def score(pair: Pair, produced: Image.Image, outside: Outside | None = None) -> Score:
    """How well `produced` answers the pair's instruction; pictures of other sizes are brought to its size."""
    got, target = _pixels(_fitted(produced, pair), pair), _pixels(pair.target, pair)
    before = _pixels(pair.references[pair.base], pair) if pair.base >= 0 else _mean_of(target)
    inside = np.asarray(pair.mask) > 0
    changed = 1.0 - _error(got, target, inside) / max(_error(before, target, inside), 1e-9)
    nearest = _nearest(pair, got, target, before, outside)
    told = pair.task in _TOLD
    kept, spilt = _kept(pair, produced, ~inside)
    right = nearest < (TOLD_NEARER_BY if told else NEARER_BY)
    enough = changed >= (TOLD_AT_LEAST if told else CHANGED_AT_LEAST)
    stayed = kept >= KEPT_AT_LEAST and spilt <= SPILT_AT_MOST
    return Score(enough and right and stayed, changed, right, nearest, kept, spilt, enough, stayed)


def attributes(pair: Pair, produced: Image.Image, outside: Outside | None = None) -> list[tuple[str, bool]]:
    """Every attribute the caption of a t2i pair tells, by name, and whether the picture has it right.

    Right is: nearer to the target than to every scene that is wrong in that attribute alone, compared where
    the two differ. Attributes that cannot be told apart at this size are left out.
    """
    got, target = _pixels(_fitted(produced, pair), pair), _pixels(pair.target, pair)
    out = []
    for name, scenes in told_alternatives(pair):
        wrong = [_pixels(render(scene, pair.size, outside), pair) for scene in scenes]
        ratio = _worst(got, target, wrong)
        if ratio is not None:
            out.append((name, ratio < TOLD_NEARER_BY))
    return out


def _fitted(produced: Image.Image, pair: Pair) -> Image.Image:
    return produced.convert("RGB").resize((pair.size, pair.size), Image.Resampling.BICUBIC)


def _pixels(picture: Image.Image, pair: Pair) -> np.ndarray:
    """float32 `[H, W, 3]`, softened: a little, or more where the layout is only told in words."""
    soft = max(1, pair.size // (32 if pair.task in _TOLD else 128))
    return np.asarray(picture.filter(ImageFilter.BoxBlur(soft)), dtype=np.float32)


def _mean_of(target: np.ndarray) -> np.ndarray:
    return np.broadcast_to(target.mean(axis=(0, 1)), target.shape)


def _error(a: np.ndarray, b: np.ndarray, where: np.ndarray) -> float:
    """Mean squared difference over the pixels of `where`; 0 where there are none."""
    return float(np.square(a - b)[where].mean()) if where.any() else 0.0


def _nearest(pair: Pair, got: np.ndarray, target: np.ndarray, before: np.ndarray, outside: Outside | None) -> float:
    """Error to the target over the error to the most similar wrong answer, where those two differ."""
    # Nothing at all, a plain colour, and everything that might have been asked instead.
    wrong = [before, _mean_of(target)]
    wrong += [_pixels(render(s, pair.size, outside), pair) for s in alternatives(pair)]
    return _worst(got, target, wrong) or 0.0


def _worst(got: np.ndarray, target: np.ndarray, wrong: list[np.ndarray]) -> float | None:
    """The greatest ratio of the two errors over the wrong pictures; None where none differs from the target."""
    ratios = []
    for other in wrong:
        differ = np.abs(other - target).max(axis=-1) > _DIFFERS
        if np.count_nonzero(differ) >= _DIFFERS_SHARE * differ.size:
            ratios.append(_error(got, target, differ) / max(_error(got, other, differ), 1e-9))
    return max(ratios, default=None)


def _kept(pair: Pair, produced: Image.Image, where: np.ndarray) -> tuple[float, float]:
    """Over the pixels of `where`: PSNR in dB against the reference, and the share of cells that moved.

    Coding noise costs PSNR but averages out in a cell; a thing that came, went or changed does not.
    """
    if pair.base < 0 or not where.any():
        return HIGHEST, 0.0
    got = np.asarray(_fitted(produced, pair), dtype=np.float32)
    moved = (got - np.asarray(pair.references[pair.base], dtype=np.float32)) * where[..., None]
    cells = Image.fromarray(np.clip(moved / 2 + 128.5, 0, 255).astype(np.uint8)).reduce(pair.size // _CELLS)
    shift = np.abs(np.asarray(cells, dtype=np.float32) - 128).max(axis=-1) * 2
    error = float(np.square(moved).sum()) / (3 * np.count_nonzero(where))
    return psnr_of(error), float((shift > _SPILL).mean())
