"""Batches are functions of (seed, number), of one layout a source, and every row is as likely as any other."""

from __future__ import annotations

from collections import Counter
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from tests.data.conftest import painted, save

from inkontext.data.examples import Example, Group
from inkontext.data.pairs import PairSource, RowSource
from inkontext.data.stream import Mixture, WorldSource, batches


def same(a: list[Group], b: list[Group]) -> bool:
    return len(a) == len(b) and all(
        torch.equal(x.target, y.target) and x.instructions == y.instructions
        and all(map(torch.equal, x.references, y.references))
        for x, y in zip(a, b, strict=True)
    )  # fmt: skip


class Numbered(RowSource):
    """Row n is a picture whose value is n; sizes as told."""

    def load(self, number: int) -> Example:
        return Example(np.full((*self.layouts[number], 3), number, np.uint8))  # type: ignore[misc]


def test_a_batch_depends_on_its_number_alone(mixed: Path) -> None:
    mixture = Mixture([(PairSource(mixed, 64), None, 2.0), (WorldSource(64), "local", 1.0)])
    run = list(islice(batches(mixture, 5, 6), 6))
    assert same(next(batches(mixture, 5, 6, start=4)), run[4])
    assert all(same(a, b) for a, b in zip(islice(batches(mixture, 5, 6, workers=2), 6), run, strict=True))
    assert not same(next(batches(mixture, 6, 6)), run[0])


def test_one_layout_a_source_and_batch(mixed: Path) -> None:
    mixture = Mixture([(PairSource(mixed, 64), None, 1.0)])
    groups = list(islice(batches(mixture, 0, 4), 60))
    assert all(len(batch) == 1 for batch in groups)
    assert {len(batch[0].references) for batch in groups} == {0, 1, 2}
    free = Mixture([(PairSource(mixed, 64), None, 1.0)], one_layout=False)
    assert max(len(batch) for batch in islice(batches(free, 0, 8), 8)) > 2


def test_every_row_is_as_likely_as_any_other() -> None:
    source = Numbered([(16, 16)] * 12 + [(16, 32)] * 3 + [(32, 16)])
    mixture = Mixture([(source, None, 1.0)])
    seen: Counter[int] = Counter()
    for batch in range(4000):
        seen.update(int(mixture.example(1, batch, row, 4).target[0, 0, 0]) for row in range(4))
    counts = np.array([seen[n] for n in range(16)])
    # Rows of a batch share a layout, so a row of a rare one comes in clumps of up to 4 and varies more: 5 sigma.
    assert np.abs(counts - 1000).max() < 5 * (1000 * 4) ** 0.5


def test_latents_and_pictures_share_a_run(tmp_path: Path) -> None:
    class Latents(Numbered):
        def load(self, number: int) -> Example:
            return Example(torch.full((16, *self.layouts[number]), float(number), dtype=torch.bfloat16))  # type: ignore[misc]

    mixture = Mixture([(Latents([(8, 8)] * 4), None, 1.0), (Numbered([(64, 64)] * 4), None, 1.0)])
    first, second = next(batches(mixture, 0, 4))
    assert first.encoded and first.target.dtype == torch.bfloat16 and first.target.shape == (2, 16, 8, 8)
    assert not second.encoded and second.target.shape == (2, 64, 64, 3)


def test_square_pictures_for_the_autoencoder(mixed: Path) -> None:
    save(painted((200, 50)), mixed / "pictures/wide-0.png")
    source = PairSource(mixed, 64, square=True)
    assert {e.target.shape for e in map(source.load, range(12))} == {(64, 64, 3)}
