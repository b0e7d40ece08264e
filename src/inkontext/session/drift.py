"""How far a turn has come from the first picture where nothing was asked of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

import numpy as np
from PIL import Image

from inkontext.safety.pictures import read_picture
from inkontext.session.manifest import Drift

SAME: Final = 99.0  # dB reported for the same bytes


class Embedder(Protocol):
    """A network that turns a picture into a vector whose direction says who or what is on it."""

    def __call__(self, image: Image.Image, /) -> np.ndarray: ...


def measure(
    first: Image.Image,
    made: Image.Image,
    turn: Image.Image,
    changes: Sequence[Image.Image],
    embedder: Embedder | None = None,
) -> Drift:
    """The drift of a turn.

    Args:
        first: the session's first picture.
        made: the turn's picture as the model made it.
        turn: the turn's picture as it is kept.
        changes: what every turn on the way changed, this one included; mode L, 0 = nothing.
    """
    untouched = ~np.any([np.asarray(change) > 0 for change in changes], axis=0)
    before, raw, after = (np.asarray(read_picture(image).rgb) for image in (first, made, turn))
    cosine = None
    if embedder is not None:
        cosine = round(cosine_of(embedder(first), embedder(turn)), 6)
    return Drift(
        untouched_share=round(float(untouched.mean()), 6),
        untouched_psnr=psnr(before, after, untouched),
        made_psnr=psnr(before, raw, untouched),
        cosine=cosine,
    )


def psnr(a: np.ndarray, b: np.ndarray, where: np.ndarray) -> float | None:
    """PSNR in dB of uint8 pictures `[H, W, 3]` over the pixels of `where`; None where there are none, at most 99."""
    if not where.any():
        return None
    error = float(np.square(a.astype(np.float64) - b)[where].mean())
    return SAME if error == 0 else round(min(SAME, 10 * float(np.log10(255.0**2 / error))), 6)


def cosine_of(a: np.ndarray, b: np.ndarray) -> float:
    """The cosine between two vectors; 0 where one has no length."""
    lengths = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(np.dot(np.ravel(a), np.ravel(b))) / lengths if lengths else 0.0
