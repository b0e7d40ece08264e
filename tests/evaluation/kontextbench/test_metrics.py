"""The metrics by name, and the alignment's adaptor."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from skimage import data

from inkontext.cli.eval_kontextbench import _METRICS
from inkontext.errors import OptionError
from inkontext.evaluation.alignment.measure import Alignment
from inkontext.evaluation.faces import Face
from inkontext.evaluation.kontextbench.data import PUBLISHED, Item
from inkontext.evaluation.kontextbench.metrics import NAMES, Identity, IdentityOrZero, metrics_named
from inkontext.evaluation.score import Last
from tests.evaluation.kontextbench.fixture import stand_in

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

    def measure(before: np.ndarray, after: np.ndarray) -> Alignment:
        seen.append((before.shape, after.shape, before.dtype, int(before[0, 0, 0]), int(after[0, 0, 0])))
        return Alignment(-3.0, 4.0, 1.01, 0.2, 28.13, 0.9, 0.98, 0.7, None, None, 21.5)

    stand_in(monkeypatch, measure)
    psnr, whole, shift = metrics_named(("untouched_psnr", "whole_psnr", "shift"))
    assert psnr.available() is None and shift.available() is None
    score = psnr.score(ITEM, BEFORE, AFTER)
    assert score.judged == 0.7 and whole.score(ITEM, BEFORE, AFTER).value == 21.5
    assert score.value == 28.13 and score.evidence["scale"] == 1.01 and score.evidence["rotation"] == 0.2
    assert shift.score(ITEM, BEFORE, AFTER).value == 5.0
    assert seen == [((20, 30, 3), (20, 30, 3), np.uint8, 100, 110)]
    psnr.score(ITEM, BEFORE, AFTER.resize((60, 41)))
    assert seen[1][1] == (20, 30, 3)  # brought to the reference's size


def test_the_alignment_of_pictures_that_moved() -> None:
    picture = Image.fromarray(np.asarray(Image.fromarray(data.astronaut()).resize((140, 140)))).convert("RGB")
    reference, output = picture.crop((10, 10, 130, 110)), picture.crop((13, 6, 133, 106))
    psnr, shift = metrics_named(("untouched_psnr", "shift"))
    score = psnr.score(ITEM, reference, output)
    assert shift.score(ITEM, reference, output).value == pytest.approx(5, abs=0.05)
    assert (score.evidence["shift_x"], score.evidence["shift_y"]) == pytest.approx((-3, 4), abs=0.05)
    assert score.value is not None and 10 < score.value < 30
    assert psnr.score(ITEM, reference, reference).value == 99.0
    assert shift.score(ITEM, reference, reference).value == 0.0


def test_what_cannot_be_measured_is_missing_with_its_reason() -> None:
    psnr, shift = metrics_named(("untouched_psnr", "shift"))
    moved = shift.score(ITEM, BEFORE, AFTER)
    assert moved.value is None and "BEFORE has too little texture" in (moved.reason or "")
    assert psnr.score(ITEM, BEFORE, AFTER).value == pytest.approx(20 * math.log10(255 / 10))
    black = Image.new("RGB", BEFORE.size)
    lost = psnr.score(ITEM, BEFORE, black)
    assert lost.value is None and lost.reason == "no untouched region was found"
    assert lost.evidence["untouched_share"] == 0 and lost.evidence["rotation"] is None


def test_the_last_result_is_kept_for_the_same_pictures_only() -> None:
    calls: list[int] = []
    last = Last(lambda *pictures: calls.append(len(pictures)) or len(calls))
    same = [last(BEFORE, AFTER), last(BEFORE, AFTER)]
    assert same == [1, 1] and last(AFTER, BEFORE) == 2 and last(BEFORE, AFTER) == 3 and last(BEFORE) == 4


class Fair:
    """A face wherever the picture is bright."""

    identity: dict[str, Any] = {}  # noqa: RUF012

    def available(self) -> str | None:
        return None

    def embed(self, picture: Image.Image) -> Face | None:
        pixels = np.asarray(picture, float).mean((0, 1))
        return Face(pixels / np.linalg.norm(pixels), 1) if pixels.mean() > 50 else None


def test_an_output_without_a_face_cannot_leave_the_mean() -> None:
    identity, strict = Identity(Fair()), IdentityOrZero(Fair())
    black = Image.new("RGB", (20, 30))
    lost = identity.score(ITEM, BEFORE, black)
    assert lost.value is None and lost.judged == 0 and strict.score(ITEM, BEFORE, black).value == 0
    assert strict.score(ITEM, BEFORE, AFTER).value == identity.score(ITEM, BEFORE, AFTER).value == pytest.approx(1)
    neither = strict.score(ITEM, black, AFTER)  # nothing could be asked of it
    assert neither.value is None and neither.reason == "no face in the reference"


def test_outside_a_mask_nothing_is_chosen_by_the_output(tmp_path: Path) -> None:
    mask = np.zeros((20, 30), np.uint8)
    mask[:, :10] = 255
    Image.fromarray(mask).save(tmp_path / "k.png")
    (outside,) = metrics_named(("outside_psnr",), masks=tmp_path)
    assert outside.available() is None and outside.identity["masks"]
    after = np.asarray(AFTER).copy()
    after[:, :10] = 255
    value = outside.score(ITEM, BEFORE, Image.fromarray(after)).value
    assert value == pytest.approx(20 * math.log10(255 / 10))  # AFTER is 10 grey levels away
    assert outside.score(replace(ITEM, key="other"), BEFORE, AFTER).reason == "no usable mask"
    Image.new("L", (30, 20), 255).save(tmp_path / "all.png")
    covered = outside.score(replace(ITEM, key="all"), BEFORE, AFTER)
    assert covered.value is None and covered.reason == "the mask covers the whole picture"
    (without,) = metrics_named(("outside_psnr",))
    assert without.available() == "no masks; --masks FOLDER"
    with pytest.raises(OptionError, match="no folder with masks"):
        metrics_named(("outside_psnr",), masks=tmp_path / "none")
