"""The blotch in a picture's bottom right corner: how much of it the autoencoder makes alone, and how much is in edits.

    python -m benchmarks.corner --photos FOLDER --json FILE [--autoencoder FILE_OR_FOLDER] [--edits 12]

The error of a round trip, its mean over pictures, differs from cell to cell of 8 x 8 pixels (one latent) only by what
the place does. The figure of a cell is the root mean square of that mean within the cell, less the cell's own mean, in
grey levels; of an edit, of what it adds to the round trip of its picture under the best linear change of tones.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from PIL import Image

from benchmarks.table import show
from inkontext.model.autoencoder import AutoEncoder
from inkontext.pipeline import Pipeline
from inkontext.pixels import to_float

CELL: Final = 8
LIGHTS: Final = {"as it is": (1.0, 1.0, 1.0), "night": (0.35, 0.4, 0.6)}


def square(file: Path, side: int) -> np.ndarray:
    """The picture's top left square, uint8 `[side, side, 3]`."""
    picture = Image.open(file).convert("RGB")
    least = min(picture.size)
    return np.asarray(picture.crop((0, 0, least, least)).resize((side, side), Image.Resampling.LANCZOS))


@torch.no_grad()
def round_trip(autoencoder: AutoEncoder, pictures: np.ndarray) -> np.ndarray:
    """Pictures uint8 `[N, H, W, 3]` coded and decoded, float."""
    x = to_float(pictures)
    decoded = [autoencoder.decode(autoencoder.encode(part)) for part in x.split(8)]
    return (torch.cat(decoded).clamp(-1, 1).permute(0, 2, 3, 1).numpy() + 1) * 127.5


def pattern(errors: np.ndarray) -> np.ndarray:
    """Errors `[N, H, W, 3]` to a figure for every cell, `[H / 8, W / 8]`."""
    height, width = (side // CELL for side in errors.shape[1:3])
    cells = errors.mean(axis=0).reshape(height, CELL, width, CELL, 3)
    cells = cells - cells.mean(axis=(1, 3), keepdims=True)
    return np.sqrt((cells**2).mean(axis=(1, 3, 4)))


def row(what: str, side: int, pictures: int, figures: np.ndarray) -> dict[str, Any]:
    """The four corners beside the median of all cells."""
    names = ("top left", "top right", "bottom left", "bottom right")
    corners = (figures[0, 0], figures[0, -1], figures[-1, 0], figures[-1, -1])
    found = {name: float(figure) for name, figure in zip(names, corners, strict=True)}
    return {"what": what, "side, px": side, "pictures": pictures} | found | {"median": float(np.median(figures))}


def edits(pipeline: Pipeline, pictures: np.ndarray, prompt: str) -> np.ndarray:
    """What edits add to a linear change of tones, `[N, H, W, 3]`."""
    left = []
    for seed, picture in enumerate(pictures):
        made = np.asarray(pipeline.edit(Image.fromarray(picture), prompt, seed=seed).images[0], float)
        tones = [np.polyfit(picture[..., c].ravel(), made[..., c].ravel(), 1) for c in range(3)]
        left.append(made - np.stack([np.polyval(tones[c], picture[..., c]) for c in range(3)], axis=-1))
    return np.stack(left)


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--autoencoder", help="another one than the model's own")
    parser.add_argument("--edits", type=int, default=0, help="photographs to edit as well")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    pipeline = Pipeline.from_pretrained("tiny", autoencoder=args.autoencoder)
    files = sorted(args.photos.glob("*.jpg"))
    rows = []
    for side in (64, 128, 192):
        for light, gains in LIGHTS.items():
            pictures = np.stack([square(file, side) * np.array(gains) for file in files]).astype(np.uint8)
            errors = round_trip(pipeline.autoencoder, pictures) - pictures
            rows.append(row(f"round trip, {light}", side, len(files), pattern(errors)))
    if args.edits:
        pictures = np.stack([square(file, pipeline.resolution) for file in files[: args.edits]])
        for prompt in ("make it night", "make it autumn"):
            made = pattern(edits(pipeline, pictures, prompt))
            rows.append(row(f"edit, {prompt}", pipeline.resolution, len(pictures), made))
    show("The corners of coded pictures", rows, args.json)


if __name__ == "__main__":
    main()
