"""How far an edit that changes nothing moves the picture: the identity pipeline on random sizes.

    python -m benchmarks.alignment [--json FILE]

And, instead, how far `inkontext eval alignment` is from N shifts, scales and rotations that were planted at random:

    python -m benchmarks.alignment --planted N [--size 64] [--share 0.15] [--seed 0] [--json FILE]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.table import show
from inkontext import geometry
from inkontext.model.presets import KONTEXT_BUCKETS

SIGMA = 9.0


def blobs(size: tuple[int, int]) -> tuple[Image.Image, np.ndarray]:
    """Gaussian spots near the corners and the centre, and their centres (x, y) in continuous pixels."""
    w, h = size
    centres = np.array([(fx * w, fy * h) for fx in (0.2, 0.8) for fy in (0.2, 0.8)] + [(w / 2, h / 2)])
    sigma = min(SIGMA, min(w, h) / 22)
    y, x = np.mgrid[0:h, 0:w] + 0.5
    field = sum(np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * sigma**2)) for cx, cy in centres)
    return Image.fromarray(np.repeat((np.clip(field, 0, 1) * 255).round().astype(np.uint8)[..., None], 3, -1)), centres


def measured(image: Image.Image, centres: np.ndarray, radius: float) -> np.ndarray:
    """Centroid of the light around every expected centre."""
    grey = np.asarray(image.convert("L"), dtype=float)
    y, x = np.mgrid[0 : grey.shape[0], 0 : grey.shape[1]] + 0.5
    found = []
    for cx, cy in centres:
        weight = grey * (np.hypot(x - cx, y - cy) <= radius)
        found.append(((weight * x).sum() / weight.sum(), (weight * y).sum() / weight.sum()))
    return np.array(found)


def row_for(name: str, buckets: tuple[tuple[int, int], ...], fit: str, count: int) -> dict:
    rng = np.random.default_rng(0)
    moved, sizes_kept = [], 0
    for _ in range(count):
        ratio = np.exp(rng.uniform(-np.log(4), np.log(4)))
        area = np.exp(rng.uniform(np.log(120**2), np.log(900**2)))
        size = (max(60, round(np.sqrt(area * ratio))), max(60, round(np.sqrt(area / ratio))))
        picture, centres = blobs(size)
        frame = geometry.frame_for(size, geometry.nearest_canvas(size, buckets), fit)
        result = frame.restore(frame.place(picture))
        sizes_kept += result.size == size
        radius = 4 * min(SIGMA, min(size) / 22)
        before, after = (measured(im, centres, radius) for im in (picture, result))
        moved.append(np.abs(before - after).max())
    return {
        "canvases": name, "fit": fit, "sizes": count, "size kept": f"{sizes_kept}/{count}",
        "median px": float(np.median(moved)), "worst px": float(np.max(moved)), "aim": "<= 0.1 px",
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description="How far alignment is off.")
    parser.add_argument("--planted", type=int, metavar="N", help="Measure N random planted motions instead.")
    parser.add_argument("--size", type=int, default=64, help="Of the pictures' sides.")
    parser.add_argument("--share", type=float, default=0.15, help="Of the area that three in four edits change.")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    if arguments.planted is None:
        sets = {"17 of Kontext, 1 MP": KONTEXT_BUCKETS, "grid at 256": geometry.ratio_buckets(256)}
        rows = [row_for(name, buckets, fit, 100) for name, buckets in sets.items() for fit in ("pad", "stretch")]
        show("Displacement of spots by picture > canvas > picture", rows, arguments.json)
        return
    if arguments.planted < 1 or arguments.size < 16 or not 0 <= arguments.share <= 1 or arguments.seed < 0:
        parser.error("--planted is at least 1, --size at least 16, --share from 0 to 1, --seed not negative")
    from benchmarks import planted

    rows = [planted.row_for(arguments.size, arguments.share, arguments.planted, arguments.seed)]
    show("Planted motions; outside is beyond 0.05 px, 0.1 % or 0.05 degrees", rows, arguments.json)


if __name__ == "__main__":
    main()
