"""How far a turn has come from the first picture where nothing was asked of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from PIL import Image

from inkontext.decibel import psnr_of
from inkontext.errors import OptionError
from inkontext.plugins import told
from inkontext.safety.pictures import read_picture
from inkontext.session.manifest import Drift


class Embedder(Protocol):
    """A network that turns a picture, mode RGB, into a vector whose direction says who or what is on it.

    Where it has a `name`, that stands beside the cosines it gave.
    """

    def __call__(self, image: Image.Image, /) -> Any: ...


def incomparable(first: Image.Image, made: Image.Image, changes: Sequence[Image.Image]) -> str | None:
    """Why the drift of a turn cannot be measured, None where it can; arguments as of `measure`.

    A picture of another size is composed anew: no pixel of it has a place in the first picture to be compared with.
    """
    if made.size != first.size:
        return "another size"
    return "another size on the way" if any(change.size != first.size for change in changes) else None


def measure(
    first: Image.Image,
    made: Image.Image,
    turn: Image.Image,
    changes: Sequence[Image.Image],
    embedder: Embedder | None = None,
) -> Drift:
    """The drift of a turn. Where the embedder fails, the drift says why it has no cosine; the turn is worth keeping.

    Args:
        first: the session's first picture.
        made: the turn's picture as the model made it.
        turn: the turn's picture as it is kept.
        changes: what every turn on the way changed, this one included; mode L, 0 = nothing.
    """
    untouched = ~np.any([np.asarray(change) > 0 for change in changes], axis=0)
    before, raw, after = (np.asarray(read_picture(image).rgb) for image in (first, made, turn))
    likeness = {} if embedder is None else _likeness(embedder, first, turn)
    return Drift(
        untouched_share=round(float(untouched.mean()), 6),
        untouched_psnr=psnr(before, after, untouched),
        made_psnr=psnr(before, raw, untouched),
        **likeness,
    )


def psnr(a: np.ndarray, b: np.ndarray, where: np.ndarray) -> float | None:
    """PSNR in dB of uint8 pictures `[H, W, 3]` over the pixels of `where`; None where there are none, at most 99."""
    if not where.any():
        return None
    error = float(np.square(a.astype(np.float64) - b)[where].mean())
    return round(psnr_of(error), 6)


def embed(embedder: Embedder, picture: Image.Image) -> np.ndarray:
    """The unit vector `[D]`, float64, of a picture. Raises OptionError where the embedder fails or gives none."""
    try:
        given = embedder(read_picture(picture).rgb.copy())
    except (Exception, SystemExit) as error:  # the user's code may fail in any way
        raise OptionError(f"the embedder failed ({told(error)}); correct it") from error
    if given is None:
        raise OptionError("the embedder saw nothing on the picture; use one that sees what is on it")
    try:
        vector = np.asarray(given, np.float64).ravel()
    except Exception as error:
        kind = type(given).__name__
        raise OptionError(f"the embedder gave no vector but a {kind}; it must return numbers") from error
    length = float(np.linalg.norm(vector))
    if not np.isfinite(length) or length == 0:
        raise OptionError("the embedder's vector is empty, zero or not finite; correct it")
    return vector / length


def _likeness(embedder: Embedder, first: Image.Image, turn: Image.Image) -> dict[str, Any]:
    """The fields of `Drift` that an embedder fills."""
    name = str(getattr(embedder, "name", None) or getattr(embedder, "__name__", None) or type(embedder).__name__)
    try:
        a, b = embed(embedder, first), embed(embedder, turn)
        if a.shape != b.shape:
            raise OptionError(f"the embedder's vectors are {len(a)} and {len(b)} long; make all of one length")
    except OptionError as error:
        return {"embedder": name, "cosine_missing": str(error)}
    return {"embedder": name, "cosine": round(float(a @ b), 6)}
