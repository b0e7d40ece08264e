"""The quality of a set of pairs: how much each edit changes, whether the rest stayed in place, and what repeats.

Target and base are compared at the target's shape, shrunk to at most 256 pixels. The base is the reference most like
the target. Shift is measured by phase correlation, in pixels of the target, and counts only where undoing it makes what
should have stayed more alike: a thing that was moved on purpose is no shift.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image, ImageFilter

from inkontext.data.formats import open_set
from inkontext.data.rows import Row
from inkontext.decibel import psnr_of
from inkontext.errors import InKontextError

_SIDE: Final = 256
_CHANGED: Final = 0.1  # of full range, in any channel, after a slight blur: beyond what JPEG does
_GROWN: Final = 5  # pixels around a change that belong to its soft edge
_COMPARABLE: Final = 0.5  # a pair that changed more has too little left to tell a shift by
_MOVED: Final = 0.5  # pixels: a larger shift of what should have stayed is a fault of the pair
_BETTER: Final = 0.5  # of the error: what undoing a true shift leaves at most
_ENOUGH: Final = 256  # pixels that must have stayed for a shift to be told
_HASH: Final = 16  # side of the perceptual hash: 16 x 16 brightness steps to the right in each channel


@dataclass(frozen=True)
class Measured:
    """Figures of one row. `changed` share of pixels; `shift` pixels and `psnr` dB of the rest, None without one."""

    key: str
    category: str
    words: int
    characters: int
    target_hash: bytes
    pair_hash: bytes
    changed: float | None = None
    shift: float | None = None
    psnr: float | None = None


def measure_row(row: Row) -> Measured:
    """Read the pictures of a row and compare them.

    Raises:
        PictureError: one cannot be read.
    """
    target = row.target.picture()
    references = [blob.picture() for blob in row.references]
    text = row.instruction
    hashed = perceptual_hash(target)
    pair = blake2b(hashed + b"".join(map(perceptual_hash, references)) + text.casefold().encode()).digest()
    figures = compare(target, references) if references else (None, None, None)
    return Measured(row.key, row.category, len(text.split()), len(text), hashed, pair, *figures)


def perceptual_hash(picture: Image.Image) -> bytes:
    """Difference hash of 768 bits: survives scaling and JPEG, tells colours apart."""
    small = np.asarray(picture.convert("RGB").resize((_HASH + 1, _HASH), Image.Resampling.BOX), dtype=np.int16)
    steps = np.diff(small, axis=1)
    return np.packbits(steps > 2).tobytes() + np.packbits(steps < -2).tobytes()  # flat parts count as flat


def compare(target: Image.Image, references: Sequence[Image.Image]) -> tuple[float, float | None, float | None]:
    """(share changed, shift in pixels of the target, PSNR outside the change in dB) against the most similar reference.

    The last is None where more than half changed, and so is the shift unless it explains the change. PSNR of equal
    pixels counts as 99 dB.
    """
    scale = min(1.0, _SIDE / max(target.size))
    size = max(8, round(target.width * scale)), max(8, round(target.height * scale))
    after = _array(target, size)
    before = min((_array(reference, size) for reference in references), key=lambda b: float(np.abs(b - after).mean()))
    changed = _changed(before, after)
    share = float(changed.mean())
    if share > _COMPARABLE:  # a change of everything, unless undoing a shift explains it
        shift = _shift_of_rest(before, after, np.ones_like(changed)) / scale
        return share, shift or None, None
    kept = ~_grow(changed)
    if not kept.any():
        return share, None, None
    error = float(np.mean((before - after)[kept] ** 2))
    return share, _shift_of_rest(before, after, kept) / scale, psnr_of(error, 1.0)


def _array(picture: Image.Image, size: tuple[int, int]) -> np.ndarray:
    """float32 `[h, w, 3]` in [0, 1]."""
    return np.asarray(picture.convert("RGB").resize(size, Image.Resampling.LANCZOS), dtype=np.float32) / 255


def _changed(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Bool `[h, w]`."""
    difference = np.abs(before - after).max(axis=2)
    soft = Image.fromarray((np.clip(difference, 0, 1) * 255).astype(np.uint8)).filter(ImageFilter.BoxBlur(1))
    return np.asarray(soft) > 255 * _CHANGED


def _grow(mask: np.ndarray) -> np.ndarray:
    grown = Image.fromarray(mask.astype(np.uint8) * 255).filter(ImageFilter.MaxFilter(2 * _GROWN + 1))
    return np.asarray(grown) > 0


def _shift_of_rest(before: np.ndarray, after: np.ndarray, kept: np.ndarray) -> float:
    """Length of the shift in pixels, 0 where the kept part is as alike without undoing it."""
    start, goal = before.mean(axis=2), after.mean(axis=2)
    shift = phase_shift(start, goal)
    margin = int(np.abs(shift).max()) + 3  # a shifted picture has nothing to show there
    inside = np.zeros_like(kept)
    inside[margin:-margin, margin:-margin] = kept[margin:-margin, margin:-margin]
    if inside.sum() < _ENOUGH:
        return 0.0
    for _ in range(4):  # Gauss-Newton steps towards the least error
        moved = _translated(start, shift)
        slope = np.stack([np.gradient(moved, axis=axis)[inside] for axis in (0, 1)])
        normal = slope @ slope.T + 1e-9 * np.eye(2)
        shift = shift - np.linalg.solve(normal, slope @ (goal - moved)[inside])
    if np.abs(shift).max() > margin:
        return 0.0
    errors = [float(np.mean((picture - goal)[inside] ** 2)) for picture in (start, _translated(start, shift))]
    return float(np.hypot(*shift)) if errors[1] < _BETTER * errors[0] else 0.0


def _translated(grey: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """A picture `[h, w]` moved by (down, right) pixels, any fraction; it wraps around."""
    down, right = np.fft.fftfreq(grey.shape[0])[:, None], np.fft.rfftfreq(grey.shape[1])[None]
    phase = np.exp(-2j * np.pi * (down * shift[0] + right * shift[1]))
    return np.fft.irfft2(np.fft.rfft2(grey) * phase, grey.shape)


def phase_shift(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Translation (down, right) from one grey picture `[h, w]` to another, to the whole pixel: (0, 0) if nothing tells.

    The peak of the normalised cross-power spectrum.
    """
    height, width = before.shape
    window = np.outer(np.hanning(height + 2)[1:-1], np.hanning(width + 2)[1:-1])
    spectra = [np.fft.rfft2((picture - picture.mean()) * window) for picture in (before, after)]
    cross = spectra[1] * spectra[0].conj()
    size = np.abs(cross)
    if size.max() < 1e-9:
        return np.zeros(2)
    # Frequencies with hardly any energy carry noise alone.
    peak = np.fft.irfft2(np.where(size > 1e-4 * size.max(), cross / np.maximum(size, 1e-12), 0), (height, width))
    y, x = np.unravel_index(int(peak.argmax()), peak.shape)
    return np.array([_signed(int(y), height), _signed(int(x), width)], dtype=float)


def _signed(index: int, length: int) -> int:
    return index - length if index > length // 2 else index


def report(path: Path, limit: int | None = None, tick: Callable[[int, int], None] | None = None) -> dict[str, Any]:
    """Figures of a set, in all and by category; the first `limit` rows where given.

    Raises:
        DataError: no set, or one that training would refuse.
    """
    rows = open_set(path).sound()[:limit]
    measured, broken = [], []
    for done, row in enumerate(rows, 1):
        try:
            measured.append(measure_row(row))
        except InKontextError as error:
            broken.append(str(error))
        if tick is not None:
            tick(done, len(rows))
    by_category: dict[str, list[Measured]] = defaultdict(list)
    for one in measured:
        by_category[one.category or "(none)"].append(one)
    return {
        "path": str(path),
        "rows": len(rows),
        "broken": broken,
        "all": summary(measured),
        "by_category": {name: summary(group) for name, group in sorted(by_category.items())},
        "duplicates": _repeats(measured, "pair_hash"),
        "same_target": _repeats(measured, "target_hash"),
        "moved": [m.key for m in measured if m.shift is not None and m.shift > _MOVED],
        "unchanged": [m.key for m in measured if m.changed is not None and m.changed == 0],
    }


def summary(rows: Sequence[Measured]) -> dict[str, Any]:
    """Medians over rows, and how many rows show a fault."""
    shifts = [m.shift for m in rows if m.shift is not None]
    return {
        "rows": len(rows),
        "changed": _median(m.changed for m in rows),
        "unchanged_rows": sum(m.changed == 0 for m in rows),
        "shift": _median(shifts),
        "moved_rows": sum(shift > _MOVED for shift in shifts),
        "psnr_outside": _median(m.psnr for m in rows),
        "duplicates": len(rows) - len({m.pair_hash for m in rows}),
        "same_target": len(rows) - len({m.target_hash for m in rows}),
        "words": _median(m.words for m in rows),
        "longest_words": max((m.words for m in rows), default=0),
    }


def _median(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.median(known)) if known else None


def _repeats(rows: Sequence[Measured], name: str) -> list[list[str]]:
    """Keys of rows that share a hash, two or more each."""
    groups: dict[bytes, list[str]] = defaultdict(list)
    for row in rows:
        groups[getattr(row, name)].append(row.key)
    return [keys for keys in groups.values() if len(keys) > 1]
