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
from inkontext.evaluation.fidelity import psnr, ssim_map

STRANGERS: Final = 8
_DIFFERS: Final = 24  # grey levels; where two renderings are nearer than this they do not tell apart
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
            "untouched_psnr": _psnr(got, self.first, untouched),
            "identity": round(float(ssim_map(got, self.first)[self.chain.silhouette].mean()), _DIGITS),
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


def _psnr(a: np.ndarray, b: np.ndarray, where: np.ndarray) -> float | None:
    """PSNR in dB of uint8 pictures `[H, W, 3]` over `where`; None where there is no pixel."""
    return round(psnr(a[where], b[where]), _DIGITS) if where.any() else None
