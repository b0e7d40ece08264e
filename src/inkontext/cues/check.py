"""Are the lines of the cues gone from the result, in whatever colour?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from PIL import Image, ImageFilter

from inkontext.cues.cue import Cue
from inkontext.cues.drawing import coverage, line_width, settle
from inkontext.cues.trace import Spot, contrast, new_contrast, spot_at
from inkontext.errors import CueError

_SIDE: Final = 256  # pictures are looked at no larger than this
_COVERED: Final = 128  # of 255: a pixel that is mostly line
_ALIKE: Final = 60  # colours this near (of 441) are not told apart
_ENOUGH: Final = 8  # pixels
_POINTS: Final = 120  # a longer line is sampled
SEEN: Final = 25  # of 441: a line that differs so much from both of its sides is seen
LEFT_SHARE: Final = 0.25
LEFT_OPACITY: Final = 0.35


@dataclass(frozen=True)
class CueFinding:
    """What is left of one cue.

    Attributes:
        name: such as `red ellipse`.
        verdict: `gone`, `left` or `cannot tell`.
        share: of its line, what differs visibly from both of its sides; None if unknown.
        opacity: how much it differs from them, as a share of what the drawn line does, 0 to 1; None if unknown.
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
    """Look for the line of every cue in the result, at its place and in any colour (`trace`).

    A line is left where its place differs from what lies on both of its sides, along enough of its length, and that
    was not so before; or by enough of what the drawn line differs, where that is little.

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
    union = Image.fromarray((np.maximum.reduce(lines) > 0).astype(np.uint8) * 255)
    look = _Look(*pictures, off=np.asarray(union.filter(ImageFilter.MaxFilter(3))) == 0)
    return CueReport(tuple(_find(c, line, look) for c, line in zip(settled, lines, strict=True)))


@dataclass(frozen=True)
class _Look:
    """The pictures, `[H, W, 3]`, and what of them is off every line."""

    before: np.ndarray
    ink: np.ndarray
    result: np.ndarray
    off: np.ndarray


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
    reach = max(1, math.ceil((cue.width or line_width(1024)) * math.sqrt(line.size)))
    least = min(_COVERED, int(line.max()))
    ys, xs = np.nonzero(line >= least)
    visible = np.linalg.norm(look.ink[ys, xs] - look.before[ys, xs], axis=1) >= _ALIKE
    total = len(ys)
    ys, xs = ys[visible], xs[visible]
    if len(ys) < max(_ENOUGH, total / 2):
        return CueFinding(cue.name, "cannot tell", None, None, "its colour was there before")
    step = -(-len(ys) // _POINTS)
    cover = np.minimum(line, least)
    places = list(zip(ys[::step], xs[::step], strict=True))
    spots = [spot_at(y, x, cover, look.off, reach) for y, x in places]
    if sum(spot is not None for spot in spots) < max(_ENOUGH, len(spots) / 2):
        return CueFinding(cue.name, "cannot tell", None, None, "there is too little of the picture beside it")
    seen = [_at(look, *place, spot, reach) for place, spot in zip(places, spots, strict=True) if spot]
    known = np.array([s for s in seen if s is not None])
    if len(known) < max(_ENOUGH, len(seen) / 2):
        return CueFinding(cue.name, "cannot tell", None, None, "the result has its colour beside the line as well")
    new, drawn = known.T
    share, opacity = float((new >= SEEN).mean()), float(np.clip(new / np.maximum(drawn, SEEN), 0, 1).mean())
    left = share >= LEFT_SHARE or opacity >= LEFT_OPACITY
    return CueFinding(cue.name, "left" if left else "gone", round(share, 4), round(opacity, 4))


def _at(look: _Look, y: int, x: int, spot: Spot, reach: int) -> tuple[float, float] | None:
    """Contrast of the line in the result, and of the drawn line; None where the result has its ink beside it too."""
    k = look.ink[y, x]
    if np.linalg.norm(look.result[y, x] - k) < _ALIKE:
        here = np.s_[max(0, y - reach - 2) : y + reach + 3, max(0, x - reach - 2) : x + reach + 3]
        free = look.off[here]
        new = _like(look.result[here][free], k) & ~_like(look.before[here][free], k)
        if len(new) and new.mean() > 0.2:
            return None
    before, ink, result = (p.reshape(-1, 3) for p in (look.before, look.ink, look.result))
    return new_contrast(before, result, spot), contrast(ink, spot)


def _like(colours: np.ndarray, k: np.ndarray) -> np.ndarray:
    return np.linalg.norm(colours - k, axis=1) < _ALIKE
