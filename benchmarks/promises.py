"""Bytes that must be equal: seeds alone and in company, everything outside a mask, what is decoded again from metadata.

python -m benchmarks.promises [--json FILE]
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.table import report
from inkontext import Pipeline
from inkontext.safety.provenance import read_metadata
from inkontext.weights.embedded import make_untrained


def sides(rng: np.random.Generator, least: int, most: int) -> tuple[int, int]:
    return int(rng.integers(least, most)), int(rng.integers(least, most))


def picture(rng: np.random.Generator, size: tuple[int, int]) -> Image.Image:
    return Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)).resize(size)


def seeds(pipeline: Pipeline, rng: np.random.Generator) -> int:
    """Pictures that differ between alone, in a batch, and in another order; of five sizes."""
    pictures = [picture(rng, sides(rng, 30, 130)) for _ in range(5)]
    prompts, chosen = [f"edit {i}" for i in range(5)], [int(s) for s in rng.integers(0, 2**40, 5)]
    alone = [pipeline.edit(a, said, seed=s).images[0] for a, said, s in zip(pictures, prompts, chosen, strict=True)]
    batch = pipeline.edit(pictures, prompts, seed=chosen).images
    turned = pipeline.edit(pictures[::-1], prompts[::-1], seed=chosen[::-1]).images[::-1]
    return sum(a.tobytes() != x.tobytes() for other in (batch, turned) for a, x in zip(alone, other, strict=True))


def masks(pipeline: Pipeline, rng: np.random.Generator, count: int) -> int:
    """Bytes outside random masks that changed."""
    changed = 0
    for i in range(count):
        size = sides(rng, 20, 140)
        before = picture(rng, size)
        mask = (np.asarray(picture(rng, size).convert("L")) > 140) * rng.integers(17, 256)
        if not mask.any():
            mask[0, 0] = 255
        after = pipeline.edit(before, "x", mask=Image.fromarray(mask.astype(np.uint8)), seed=i).images[0]
        changed += int((np.asarray(after) != np.asarray(before))[mask == 0].sum())
    return changed


def records(pipeline: Pipeline, rng: np.random.Generator, folder: Path) -> int:
    """Pictures that, made again from the record in their file, differ."""
    before = picture(rng, (90, 50))
    differing = 0
    for suffix in ("png", "webp", "jpg"):
        (path,) = pipeline.edit(before, 'write "hé"', seed=5, steps=3, true_cfg=2.0).save(folder / f"a.{suffix}")
        record = read_metadata(path)
        assert record is not None
        keys = ("seed", "steps", "guidance", "negative", "true_cfg", "solver", "scheme", "fit", "reference_numerics")
        again = pipeline.edit(before, record["prompt"], **{k: record[k] for k in keys})
        (copy,) = again.save(folder / f"b.{suffix}")
        differing += copy.read_bytes() != path.read_bytes()
    return differing


def main() -> None:
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        pipeline = Pipeline.from_pretrained(make_untrained(folder / "debug", "debug"), device="cpu")
        rows = [
            {"what": "seeds: alone, batch, other order", "tried": 10, "aim": 0, "differing": seeds(pipeline, rng)},
            {"what": "bytes outside a mask", "tried": 60, "aim": 0, "differing": masks(pipeline, rng, 60)},
            {"what": "files made again from their record", "tried": 3, "aim": 0,
             "differing": records(pipeline, rng, folder)},
        ]  # fmt: skip
    report("Bytes that must be equal", rows)


if __name__ == "__main__":
    main()
