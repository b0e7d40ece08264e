"""Is the ink of the cues gone from the result?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from PIL import Image, ImageFilter

from inkontext.cues.cue import Cue
from inkontext.cues.drawing import coverage, line_width, settle
from inkontext.errors import CueError

_SIDE: Final = 256  # pictures are looked at no larger than this
_COVERED: Final = 128  # of 255: a pixel that is mostly line
_ALIKE: Final = 60  # colours this near (of 441) are not told apart
_ENOUGH: Final = 8  # pixels
_NOISE: Final = 25  # what an autoencoder may change of a colour
_POINTS: Final = 400  # a longer line is sampled
LEFT_SHARE: Final = 0.10
LEFT_OPACITY: Final = 0.20


@dataclass(frozen=True)
class CueFinding:
    """What is left of one cue.

    Attributes:
        name: such as `red ellipse`.
        verdict: `gone`, `left` or `cannot tell`.
        share: of its line, what is nearer to ink than to anything that may be there instead; None if unknown.
        opacity: mean strength of the ink along the line, 0 to 1; None if unknown.
        reason: why it cannot be told, else empty.
    """

    name: str
    verdict: str
    share: float | None
    opacity: float | None
    reason: str = ""

    def sentence(self) -> str:
        """For people."""
        if self.verdict == "cannot tell":
            return f"the {self.name}: cannot tell whether it is gone, {self.reason}"
        if self.verdict == "gone":
            return f"the {self.name} is gone"
        return f"the {self.name} is not gone: {self.share:.0%} of its line is still there; try another seed"


@dataclass(frozen=True)
class CueReport:
    """The findings, a cue each."""

    findings: tuple[CueFinding, ...]

    @property
    def gone(self) -> bool | None:
        """True where every cue is gone, False where one is left, None where it cannot be told."""
        verdicts = {f.verdict for f in self.findings}
        return False if "left" in verdicts else None if "cannot tell" in verdicts else True

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {"gone": self.gone, "cues": [asdict(f) for f in self.findings]}


def gone(before: Image.Image, with_cues: Image.Image, result: Image.Image, cues: Sequence[Cue]) -> CueReport:
    """Look for the ink of every cue in the result.

    At a pixel of the line, alpha is how far the result lies from other content towards the ink. The other content is
    what was there before, or anything that the result shows beside the line: where the place was edited, the new
    content reaches to both sides of the line, and ink does not. The smallest alpha counts.

    Args:
        before: the picture without cues, mode RGB.
        with_cues: what the model saw, `draw(before, cues)`.
        result: what it made, mode RGB. Of another size, nothing can be told.
        cues: as `settle` gave them, which is how they were drawn.

    Raises:
        CueError: `with_cues` is of another size than `before`.
    """
    if before.size != with_cues.size:
        raise CueError(f"the picture with cues is {with_cues.size}, the one without {before.size}; give the same")
    settled = settle(before, cues)
    if result.size != before.size:
        reason = "the result has another size than the picture"
        return CueReport(tuple(CueFinding(c.name, "cannot tell", None, None, reason) for c in settled))
    scale = min(1.0, _SIDE / max(before.size))
    size = (max(1, round(before.width * scale)), max(1, round(before.height * scale)))
    pictures = [_pixels(p, size) for p in (before, with_cues, result)]
    lines = [_line(cue, size) for cue in settled]
    reach = max(1, math.ceil(max((c.width or line_width(1024)) for c in settled) * math.sqrt(size[0] * size[1])))
    union = Image.fromarray((np.maximum.reduce(lines) > 0).astype(np.uint8) * 255)
    off, beside = (np.asarray(union.filter(ImageFilter.MaxFilter(2 * r + 1))) == 0 for r in (1, reach))
    look = _Look(*pictures, off=off, beside=beside, reach=reach)
    return CueReport(tuple(_find(c, line, look) for c, line in zip(settled, lines, strict=True)))


@dataclass(frozen=True)
class _Look:
    """The pictures, `[H, W, 3]`, and what of them is not line: just off it, and a line's width beside it."""

    before: np.ndarray
    ink: np.ndarray
    result: np.ndarray
    off: np.ndarray
    beside: np.ndarray
    reach: int


def _pixels(picture: Image.Image, size: tuple[int, int]) -> np.ndarray:
    small = picture if picture.size == size else picture.resize(size, Image.Resampling.BOX)
    return np.asarray(small, np.float32)


def _line(cue: Cue, size: tuple[int, int]) -> np.ndarray:
    """`[H, W]` uint8, how much of every pixel the cue covers."""
    mask, corner = coverage(cue, size)
    whole = Image.new("L", size)
    whole.paste(mask, corner)
    return np.asarray(whole)


def _find(cue: Cue, line: np.ndarray, look: _Look) -> CueFinding:
    """The finding of one cue whose line covers the pixels by `line`, `[H, W]` uint8."""
    ys, xs = np.nonzero(line >= min(_COVERED, int(line.max())))
    visible = np.linalg.norm(look.ink[ys, xs] - look.before[ys, xs], axis=1) >= _ALIKE
    total = len(ys)
    ys, xs = ys[visible], xs[visible]
    if len(ys) < max(_ENOUGH, total / 2):
        return CueFinding(cue.name, "cannot tell", None, None, "its colour was there before")
    step = -(-len(ys) // _POINTS)
    alphas = [_alpha(look, y, x) for y, x in zip(ys[::step], xs[::step], strict=True)]
    known = np.array([a for a in alphas if a is not None])
    if len(known) < max(_ENOUGH, len(alphas) / 2):
        return CueFinding(cue.name, "cannot tell", None, None, "the result has its colour beside the line as well")
    share, opacity = float((known > 0.5).mean()), float(known.mean())
    left = share >= LEFT_SHARE or opacity >= LEFT_OPACITY
    return CueFinding(cue.name, "left" if left else "gone", round(share, 4), round(opacity, 4))


def _alpha(look: _Look, y: int, x: int) -> float | None:
    """How much ink is at a pixel, 0 to 1; None where ink's colour is new beside the line as well."""
    k, r = look.ink[y, x], look.result[y, x]
    if np.linalg.norm(r - k) < _ALIKE:
        here = _window(y, x, look.reach + 2)
        free = look.off[here]
        new = _like(look.result[here][free], k) & ~_like(look.before[here][free], k)
        if len(new) and new.mean() > 0.2:
            return None
    here = _window(y, x, 3 * look.reach + 2)
    around = look.result[here][look.beside[here]]
    around = around[~_like(around, k)]
    alpha = float(_towards(r, look.before[y, x][None], k)[0])
    if len(around) >= _ENOUGH:
        alpha = min(alpha, float(np.percentile(_towards(r, around, k), 10)))
    return alpha


def _window(y: int, x: int, reach: int) -> tuple[slice, slice]:
    return slice(max(0, y - reach), y + reach + 1), slice(max(0, x - reach), x + reach + 1)


def _like(colours: np.ndarray, k: np.ndarray) -> np.ndarray:
    return np.linalg.norm(colours - k, axis=1) < _ALIKE


def _towards(r: np.ndarray, content: np.ndarray, k: np.ndarray) -> np.ndarray:
    """`[N]`: how far colour `r` lies on the way from each of the contents `[N, 3]` to the ink `k`, 0 to 1.

    What lies off the way beyond `_NOISE` counts against it: white is no half of a way from blue to yellow.
    """
    way = k - content
    length = np.maximum(np.linalg.norm(way, axis=1), 1e-3)
    alpha = np.clip(((r - content) * way).sum(axis=1) / length**2, 0, 1)
    aside = np.linalg.norm(r - content - alpha[:, None] * way, axis=1)
    return np.clip(alpha - np.maximum(aside - _NOISE, 0) / length, 0, 1)
