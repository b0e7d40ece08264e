"""The scorer: truth passes, doing nothing fails, another answer fails, spilling fails."""

from __future__ import annotations

from itertools import pairwise

import pytest
from PIL import Image, ImageFilter

from inkontext.data.world import TASKS, sample_pair
from inkontext.data.world.alternatives import alternatives
from inkontext.data.world.render import render
from inkontext.data.world.score import score

COUNT = 16


@pytest.mark.parametrize("task", TASKS)
def test_the_target_succeeds_and_the_reference_fails(task: str) -> None:
    for seed in range(COUNT):
        pair = sample_pair(seed, task, 64, "test" if seed % 2 else "train")
        best = score(pair, pair.target)
        assert best.success, (seed, pair.edit, best)
        assert best.changed == pytest.approx(1)
        assert best.kept_psnr == 99.0
        if pair.base >= 0:
            assert not score(pair, pair.references[pair.base]).success, (seed, pair.edit)


@pytest.mark.parametrize("task", TASKS)
def test_another_answer_seldom_succeeds(task: str) -> None:
    pairs = [sample_pair(seed, task, 64) for seed in range(COUNT)]
    lucky = sum(score(a, b.target).success for a, b in pairwise(pairs))
    assert lucky <= 2


@pytest.mark.parametrize("task", TASKS)
def test_a_softened_target_succeeds(task: str) -> None:
    """A model's own blur is no mistake."""
    good = 0
    for seed in range(COUNT):
        pair = sample_pair(seed, task, 128)
        good += score(pair, pair.target.filter(ImageFilter.BoxBlur(1))).success
    assert good >= COUNT - 2


def test_wrong_answers_fail() -> None:
    """Another colour, another word, another font, another place: near, but not what was asked."""
    tried = passed = 0
    for task in ("local", "text", "global"):
        for seed in range(25):
            pair = sample_pair(seed, task, 64)
            for scene in alternatives(pair)[:5]:
                tried += 1
                passed += score(pair, render(scene, 64)).success
    assert tried > 200
    assert passed <= tried * 0.03  # some differ too little to be seen


def test_harm_elsewhere_fails() -> None:
    """The edit is right, but another thing of the picture is gone."""
    tried = passed = 0
    for seed in range(60):
        pair = sample_pair(seed, "local", 64)
        assert pair.scene_before is not None
        for thing in pair.scene_after.things:
            if thing in pair.scene_before.things and pair.edit.attribute != "count":
                tried += 1
                passed += score(pair, render(pair.scene_after.without(thing.id), 64)).success
    assert tried > 60
    assert passed <= tried * 0.05


def test_other_sizes_are_brought_to_the_pair() -> None:
    pair = sample_pair(2, "local", 64)
    assert score(pair, pair.target.resize((96, 96), Image.Resampling.BICUBIC)).success
    assert not score(pair, Image.new("RGB", (64, 64))).success
