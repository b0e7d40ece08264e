"""Batches depend on the seed and their number alone, and keep their shares."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from inkontext.data.examples import Example, Group
from inkontext.data.stream import ImageSource, Mixture, WorldSource, batches, world_parts
from inkontext.errors import ConfigError, DataError


class Numbered:
    def example(self, number: int, task: str | None) -> Example:
        return Example(np.full((2, 2, 3), number % 256, np.uint8), instruction=str(number), category=str(task))


def flat(groups: list[Group]) -> list[str]:
    return [text for group in groups for text in group.instructions]


@pytest.mark.parametrize("workers", [0, 2])
def test_going_on_is_starting_there(workers: int) -> None:
    mixture = Mixture([(Numbered(), "a", 1.0)])
    first = batches(mixture, 7, 5, 0, 0)
    whole = [flat(next(first)) for _ in range(6)]
    later = batches(mixture, 7, 5, 3, workers)
    assert [flat(next(later)) for _ in range(3)] == whole[3:]
    assert len({text for batch in whole for text in batch}) == 30
    assert flat(next(batches(mixture, 8, 5))) != whole[0]


def test_shares_are_kept_in_each_batch_and_over_many() -> None:
    mixture = Mixture([(Numbered(), "a", 5.0), (Numbered(), "b", 2.5), (Numbered(), "c", 0.3)])
    stream, total = batches(mixture, 0, 8), Counter()
    for _ in range(200):
        counts = Counter(c for group in next(stream) for c in group.categories)
        assert abs(counts["a"] - 8 * 5 / 7.8) <= 1
        total += counts
    assert total["c"] / 1600 == pytest.approx(0.3 / 7.8, abs=0.005)


def test_layouts_are_stacked_apart() -> None:
    source = WorldSource(32)
    groups = next(batches(Mixture(world_parts(source, 1.0, {"t2i": 1, "local": 1, "multi": 1})), 0, 12))
    assert sorted(len(g.references) for g in groups)[:2] == [0, 1]
    for group in groups:
        assert group.target.shape == (len(group), 32, 32, 3)
        assert group.target.dtype == torch.uint8


def test_unknown_task() -> None:
    with pytest.raises(ConfigError, match="no task 'lokal'"):
        world_parts(WorldSource(32), 1.0, {"lokal": 1})


def test_crops_of_pictures(tmp_path: Path, photo: Image.Image) -> None:
    photo.save(tmp_path / "a.png")
    photo.resize((20, 400)).save(tmp_path / "b.jpg")
    source = ImageSource(tmp_path, 32)
    made = [source.example(i, None).target for i in range(20)]
    assert {m.shape for m in made} == {(32, 32, 3)}
    assert np.array_equal(made[3], source.example(3, None).target)
    assert len({m.tobytes() for m in made}) > 15
    with pytest.raises(DataError, match="holds no pictures"):
        ImageSource(tmp_path / "none", 32)
