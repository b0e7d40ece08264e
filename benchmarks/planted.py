"""Random motions planted in pictures, and how far `eval alignment` is from them."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from PIL import Image
from skimage import data
from skimage.transform import AffineTransform
from skimage.transform import warp as resample

from inkontext.data.world import sample_pair
from inkontext.evaluation.alignment.measure import Alignment, measure

PHOTOGRAPHS: Final = ("astronaut", "chelsea", "coffee", "rocket")
EDITS: Final = ("none", "painted", "recoloured", "replaced")
LIMITS: Final = (0.05, 0.1, 0.05)  # pixels, per cent, degrees


class Motion(NamedTuple):
    """Pixels to the right and down, scale, degrees counter-clockwise as seen."""

    right: float
    down: float
    scale: float
    degrees: float


def row_for(size: int, share: float, count: int, seed: int) -> dict:
    """Errors over `count` pictures of `size` pixels a side, `share` of three in four of them edited."""
    errors = []
    for n in range(count):
        before, after, motion = planted(n, size, share, seed)
        found = errors_of(measure(before, after), motion)
        errors += [] if found is None else [found]
    table = np.array(errors).reshape(-1, 3)
    within = np.quantile(table, 0.9, axis=0) if errors else (None, None, None)
    return {
        "side, px": size, "edited share": share, "pictures": count, "seed": seed, "measured": len(errors),
        "of these outside": int((table > LIMITS).any(axis=1).sum()),
        "90 % within px": within[0], "%": within[1], "deg": within[2],
        "worst px": float(table[:, 0].max()) if errors else None,
    }  # fmt: skip


def planted(number: int, size: int, share: float, seed: int) -> tuple[np.ndarray, np.ndarray, Motion]:
    """A picture, the same moved, edited and with other tones, and how it was moved; uint8 `[size, size, 3]`."""
    rng = np.random.default_rng((seed, number))
    motion = Motion(
        rng.uniform(-0.2, 0.2) * size,
        rng.uniform(-0.2, 0.2) * size,
        float(np.exp(rng.uniform(np.log(0.8), np.log(1.25)))),
        rng.uniform(-15, 15),
    )
    name, other = rng.choice(PHOTOGRAPHS, 2, replace=False)
    world = rng.random() < 0.5
    before = _scene(int(rng.integers(10_000)), size) if world else _photograph(name, size)
    after = edited(moved(before, motion), EDITS[rng.integers(len(EDITS))], share, _photograph(other, size), rng)
    toned = after * rng.uniform(0.85, 1.15) + rng.uniform(-15, 15)
    return before, np.rint(np.clip(toned, 0, 255)).astype(np.uint8), motion


def moved(picture: np.ndarray, motion: Motion) -> np.ndarray:
    """Scaled and turned about the centre, then shifted, by scikit-image's splines of order 3; mirrored beyond."""
    height, width = picture.shape[:2]
    middle = np.array([(width - 1) / 2, (height - 1) / 2])
    turn = AffineTransform(scale=motion.scale, rotation=-np.radians(motion.degrees))  # theirs is clockwise as seen
    shift = AffineTransform(translation=middle + np.array([motion.right, motion.down]))
    forward = AffineTransform(translation=-middle) + turn + shift
    return np.rint(np.clip(resample(picture / 255, forward.inverse, order=3, mode="reflect"), 0, 1) * 255).astype(
        np.uint8
    )


def edited(picture: np.ndarray, kind: str, share: float, other: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A square of `share` of the area, anywhere: painted over, given other colours, or taken from `other`."""
    out, side = picture.copy(), round(len(picture) * share**0.5)
    top, left = rng.integers(len(picture) - side + 1, size=2)
    where = np.s_[top : top + side, left : left + side]
    if kind == "painted":
        out[where] = rng.integers(256, size=3)
    elif kind == "recoloured":
        out[where] = picture[where][..., [2, 0, 1]]
    elif kind == "replaced":
        out[where] = other[where]
    return out


def errors_of(found: Alignment, motion: Motion) -> tuple[float, float, float] | None:
    """Pixels (the larger of both directions), per cent of scale, degrees; None where nothing was measured."""
    if found.shift_x is None or found.shift_y is None or found.scale is None or found.rotation is None:
        return None
    pixels = max(abs(found.shift_x - motion.right), abs(found.shift_y - motion.down))
    return pixels, 100 * abs(found.scale / motion.scale - 1), abs(found.rotation - motion.degrees)


def _photograph(name: str, size: int) -> np.ndarray:
    image = Image.fromarray(getattr(data, name)())
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    box = (left, top, left + side, top + side)
    return np.asarray(image.resize((size, size), Image.Resampling.LANCZOS, box=box))


def _scene(number: int, size: int) -> np.ndarray:
    return np.asarray(sample_pair(number, "t2i", size, "test").target.convert("RGB"))
