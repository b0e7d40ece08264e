"""The metrics by name, and the alignment's adaptor."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from inkontext.cli.eval_kontextbench import _METRICS
from inkontext.errors import OptionError
from inkontext.evaluation.kontextbench_data import PUBLISHED, Item
from inkontext.evaluation.kontextbench_metrics import NAMES, Last, metrics_named
from tests.evaluation.kontextbench_fixture import stand_in

ITEM = Item("k", "local", "add a hat", "k.png", Path("k.png"), 0, 0)
BEFORE = Image.fromarray(np.full((20, 30, 3), 100, np.uint8))
AFTER = Image.fromarray(np.full((20, 30, 3), 110, np.uint8))


def test_every_name_gives_a_metric_that_says_what_it_is() -> None:
    metrics = metrics_named(NAMES)
    assert [m.name for m in metrics] == list(NAMES) == _METRICS.split(",")
    for metric in metrics:
        assert metric.unit and set(metric.categories) <= set(PUBLISHED) and metric.categories
    better = {m.name: m.higher_is_better for m in metrics}
    assert not better.pop("shift") and all(better.values())
    why = {m.name: m.available() for m in metrics}
    assert "--face-model" in (why["identity"] or "") and "--clip" in (why["clip_text"] or "")
    assert "--dino" in (why["dino"] or "")


@pytest.mark.parametrize(
    ("names", "words"), [((), "each metric once"), (("dino", "dino"), "once"), (("x",), "metric 'x'")]
)
def test_impossible_names(names: tuple[str, ...], words: str) -> None:
    with pytest.raises(OptionError, match=words):
        metrics_named(names)


def test_the_alignment_is_measured_once_for_both_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[Any, ...]] = []

    def measure(before: np.ndarray, after: np.ndarray) -> SimpleNamespace:
        seen.append((before.shape, after.shape, before.dtype, int(before[0, 0, 0]), int(after[0, 0, 0])))
        return SimpleNamespace(shift_x=-3.0, shift_y=4.0, scale=1.01, rotation=0.2, untouched_psnr=28.13)

    stand_in(monkeypatch, measure)
    psnr, shift = metrics_named(("untouched_psnr", "shift"))
    assert psnr.available() is None and shift.available() is None
    score = psnr.score(ITEM, BEFORE, AFTER)
    assert score.value == 28.13 and score.evidence["scale"] == 1.01 and score.evidence["rotation"] == 0.2
    assert shift.score(ITEM, BEFORE, AFTER).value == 5.0
    assert seen == [((20, 30, 3), (20, 30, 3), np.uint8, 100, 110)]
    psnr.score(ITEM, BEFORE, AFTER.resize((60, 41)))
    assert seen[1][1] == (20, 30, 3)  # brought to the reference's size


@pytest.mark.parametrize(
    ("psnr", "expected"), [(None, None), (math.nan, None), (math.inf, 99.0), (0.0, 0.0), (120.0, 99.0)]
)
def test_no_untouched_region_is_missing_and_no_error_is_the_highest(
    psnr: float | None, expected: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = SimpleNamespace(shift_x=None, shift_y=0.0, scale=None, rotation=math.nan, untouched_psnr=psnr)
    stand_in(monkeypatch, lambda before, after: answer)
    metric, shift = metrics_named(("untouched_psnr", "shift"))
    score = metric.score(ITEM, BEFORE, AFTER)
    assert score.value == expected and (score.reason is None) == (expected is not None)
    assert score.evidence["rotation"] is None
    assert shift.score(ITEM, BEFORE, AFTER).reason == "the pictures could not be aligned"


def test_the_last_result_is_kept_for_the_same_pictures_only() -> None:
    calls: list[int] = []
    last = Last(lambda *pictures: calls.append(len(pictures)) or len(calls))
    same = [last(BEFORE, AFTER), last(BEFORE, AFTER)]
    assert same == [1, 1] and last(AFTER, BEFORE) == 2 and last(BEFORE, AFTER) == 3 and last(BEFORE) == 4
