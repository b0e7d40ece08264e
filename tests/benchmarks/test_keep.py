"""The measures of the keep benchmark where the answer is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from benchmarks.keep import RULES, Case, cases, measure, summary
from benchmarks.keep_rules import differs

from inkontext.pipeline import Pipeline


@pytest.fixture(scope="module")
def edits(pipeline: Pipeline) -> list[Case]:
    return list(cases(pipeline, 0, 1, 1))


def test_the_truth_keeps_all_and_lets_all_through(pipeline: Pipeline, edits: list[Case]) -> None:
    for case in edits[:2]:
        mask = (np.asarray(case.pair.mask) > 0).astype(np.float32)
        row = measure(pipeline, case, mask)
        assert (row["asked"], row["kept"], row["untouched dB"]) == (1, 1, 99)
        assert row["right"] == row["through"] == mask.sum()
        none = measure(pipeline, case, np.zeros_like(mask))
        assert (none["asked"], none["kept"], none["through"], none["followed"]) == (0, 1, 0, 0)
        assert measure(pipeline, case, 1 - mask)["right"] == 0


def test_an_edit_of_everything_is_measured_as_a_whole(pipeline: Pipeline, edits: list[Case]) -> None:
    weight = RULES["nothing kept"](edits[2])
    assert edits[2].pair.task == "global" and measure(pipeline, edits[2], weight) == {"whole": 1.0}
    weight[0, 0] = 0
    assert measure(pipeline, edits[2], weight) == {"whole": 0.0}


def test_a_row_is_the_mean_over_its_kind(pipeline: Pipeline, edits: list[Case]) -> None:
    found = [measure(pipeline, case, RULES["nothing kept"](case)) for case in edits]
    row = summary("nothing kept", found)
    assert row["asked"] == 1 and row["whole"] == 1 and row["exact"] == 0
    shares = [np.mean(np.asarray(case.pair.mask) > 0) for case in edits[:2]]
    assert row["precise"] == pytest.approx(np.mean(shares))
    assert summary("none", [])["precise"] is None


def test_diffedit_cuts_the_scaled_map_at_one_half() -> None:
    hoped = torch.zeros(1, 16, 2, 3)
    hoped[0, :, 0] = torch.tensor([1.0, 0.4, 0.6])
    mask = differs(hoped, torch.zeros_like(hoped))
    assert mask.shape == (16, 24)
    assert (mask[:8, :8] == 1).all() and (mask[:8, 16:] == 1).all() and mask.sum() == 128
