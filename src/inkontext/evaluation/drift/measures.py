"""What a picture has lost after some turns, measured against the world's truth."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import numpy as np
from PIL import Image

from inkontext.data.world.chain import Chain
from inkontext.data.world.dice import Dice
from inkontext.data.world.identity import draw_identity
from inkontext.data.world.render import render
from inkontext.data.world.scene import Figure
from inkontext.data.world.score import CHANGED_AT_LEAST

SAME: Final = 99.0  # dB reported for the same bytes
STRANGERS: Final = 8
_DIFFERS: Final = 24  # grey levels; where two renderings are nearer than this they do not tell apart
_SIGMA, _RADIUS = 1.5, 5  # of the Gaussian window in Wang et al. 2004
_DIGITS: Final = 6


class Judge:
    """Measures the pictures of one chain."""

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        self.first = np.asarray(chain.first)
        hero, dice = chain.scene.thing(chain.hero), Dice(7, chain.seed)
        assert isinstance(hero, Figure)
        strangers = (replace(hero, who=draw_identity(dice, "test")) for _ in range(STRANGERS))
        self.strangers = [np.asarray(render(chain.scene.swap(who), chain.size)) for who in strangers]

    def measure(self, picture: Image.Image, turn: int, before: Image.Image) -> dict[str, Any]:
        """The measures of the picture after `turn` turns, from 1; `before` is the one it was made from.

        untouched_psnr: dB against the first picture outside all masks so far, at most 99.
        identity: SSIM against the first picture, mean over the pixels of the character nobody asked to change.
        recognised: it is nearer to that character than to every one of `STRANGERS` others in its place.
        followed: inside this turn's mask at least half of the squared error of `before` against what was asked is gone.
        """
        got, was = (
            np.asarray(im.convert("RGB").resize((self.chain.size, self.chain.size), Image.Resampling.BICUBIC))
            for im in (picture, before)
        )
        asked = self.chain.turns[turn - 1]
        untouched = self.chain.untouched(turn)
        return {
            "untouched_psnr": psnr(got, self.first, untouched),
            "identity": round(float(ssim(got, self.first)[self.chain.silhouette].mean()), _DIGITS),
            "recognised": all(_nearer(got, self.first, other, untouched) for other in self.strangers),
            "followed": _changed(got, was, np.asarray(asked.target), asked.mask),
        }


def _nearer(got: np.ndarray, right: np.ndarray, wrong: np.ndarray, where: np.ndarray) -> bool:
    """Whether `got` is nearer to `right` than to `wrong`, where these differ; uint8 `[H, W, 3]`."""
    differ = (np.abs(right.astype(int) - wrong).max(axis=-1) > _DIFFERS) & where
    if not differ.any():
        return True
    to_right, to_wrong = (np.square(got[differ].astype(np.float64) - other[differ]).mean() for other in (right, wrong))
    return bool(to_right < to_wrong)


def _changed(got: np.ndarray, was: np.ndarray, target: np.ndarray, where: np.ndarray) -> bool:
    """Whether `got` came so much nearer to `target` than `was`, as the world's bench asks of an edit."""
    now, then = (np.square(im[where].astype(np.float64) - target[where]).sum() for im in (got, was))
    return bool(now <= (1 - CHANGED_AT_LEAST) * then)


def psnr(a: np.ndarray, b: np.ndarray, where: np.ndarray) -> float | None:
    """PSNR in dB of uint8 pictures `[H, W, 3]` over `where`, at most 99; None where there is no pixel."""
    if not where.any():
        return None
    error = float(np.square(a.astype(np.float64) - b)[where].mean())
    return SAME if error == 0 else round(min(SAME, 10 * float(np.log10(255.0**2 / error))), _DIGITS)


def ssim(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """SSIM of uint8 pictures `[H, W, 3]` at every pixel, mean of the channels, `[H, W]` in [-1, 1].

    Wang, Bovik, Sheikh, Simoncelli 2004: a Gaussian window of 11 pixels with sigma 1.5, K = 0.01 and 0.03; at the
    border the picture is mirrored.
    """
    x, y = a.astype(np.float64), b.astype(np.float64)
    mx, my = _smooth(x), _smooth(y)
    vx, vy = _smooth(x * x) - mx * mx, _smooth(y * y) - my * my
    both = _smooth(x * y) - mx * my
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    out = (2 * mx * my + c1) * (2 * both + c2) / ((mx * mx + my * my + c1) * (vx + vy + c2))
    return out.mean(axis=-1)


def _smooth(x: np.ndarray) -> np.ndarray:
    """`[H, W, C]` under the Gaussian window."""
    taps = np.exp(-0.5 * (np.arange(-_RADIUS, _RADIUS + 1) / _SIGMA) ** 2)
    taps /= taps.sum()
    for axis in (0, 1):
        padded = np.pad(x, [(_RADIUS, _RADIUS) if a == axis else (0, 0) for a in range(3)], mode="symmetric")
        length = x.shape[axis]
        x = sum(tap * padded.take(range(i, i + length), axis) for i, tap in enumerate(taps))  # type: ignore[assignment]
    return x
