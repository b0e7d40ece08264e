"""A small set in KontextBench's layout, a system that needs no model, and a stand-in for the alignment."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from inkontext.data.world.bench import write_bench
from inkontext.evaluation.alignment.measure import Alignment
from inkontext.evaluation.keyed import noise_seed
from inkontext.evaluation.kontextbench.data import Item
from inkontext.evaluation.world.systems import NoPicture

ROWS = (0, 1, 2, 416, 417, 678, 679, 871, 872, 873, 874, 963)  # 3 local, 2 global, 2 character, 4 text, 1 style


def small_bench(folder: Path) -> Path:
    """Twelve rows of the world's bench, 32 pixels a side."""
    write_bench(folder, seed=3, size=32, only=ROWS)
    return folder


def lines_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "test/metadata.jsonl").read_text().splitlines()]


def write_lines(folder: Path, rows: list[dict[str, Any] | str]) -> None:
    text = "".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows)
    (folder / "test/metadata.jsonl").write_text(text)


class Noisy:
    """The reference with a little noise of the row's seed; dies after `life` pictures, refuses `refuses`."""

    is_timed = True

    def __init__(self, seed: int = 0, life: int = 10**6, refuses: str = "") -> None:
        self.seed, self.left, self.refuses, self.made = seed, life, refuses, 0
        self.identity: dict[str, Any] = {"kind": "model", "name": "noisy"}

    def make(self, item: Item, reference: Image.Image) -> Image.Image | NoPicture:
        if self.left == 0:
            raise KeyboardInterrupt
        self.left, self.made = self.left - 1, self.made + 1
        if item.key == self.refuses:
            return NoPicture("too long", refused=True)
        noise = np.random.default_rng(noise_seed(self.seed, item.key)).integers(-9, 10, (*reference.size[::-1], 3))
        return Image.fromarray(np.clip(np.asarray(reference).astype(int) + noise, 0, 255).astype(np.uint8))


def whole_psnr(before: np.ndarray, after: np.ndarray) -> Alignment:
    """The alignment's shape of answer: a constant shift of (3, 4), PSNR over all pixels; none for equal pictures."""
    error = float(((before.astype(float) - after) ** 2).mean())
    psnr = None if error == 0 else 10 * float(np.log10(255**2 / error))
    why = None if psnr is not None else "no untouched region was found"
    return Alignment(3.0, 4.0, 1.0, 0.0, psnr, 1.0, 1.0, 1.0, None, why)


def stand_in(monkeypatch: pytest.MonkeyPatch, measure: Callable[..., Alignment] = whole_psnr) -> None:
    """Put `measure` in place of `alignment.measure.measure`."""
    monkeypatch.setattr("inkontext.evaluation.alignment.measure.measure", measure)
