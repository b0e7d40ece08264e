"""Intervals, medians and shares."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy.stats import bootstrap

from inkontext.evaluation.statistics import apportion, bootstrap_mean, middle, share, spread, wilson

BENCH = {"local": 416, "global": 262, "character": 193, "text": 92, "style": 63}


def test_wilson_by_hand() -> None:
    """8 of 10 with z = 2: p = 0.8, z²/n = 0.4: (1.0 ± 2 sqrt(0.016 + 0.01)) / 1.4."""
    assert wilson(8, 10, z=2.0) == pytest.approx(((1 - 2 * 0.026**0.5) / 1.4, (1 + 2 * 0.026**0.5) / 1.4))
    # Published in many tables: 0 of 10 reaches up to 27.8 %, 10 of 10 down to 72.2 %.
    assert wilson(0, 10) == pytest.approx((0.0, 0.2775), abs=1e-4)
    assert wilson(10, 10) == pytest.approx((0.7225, 1.0), abs=1e-4)
    assert wilson(0, 0) is None


def test_shares_and_medians_of_nothing() -> None:
    assert share(0, 0) is None and share(1, 4) == 0.25
    assert middle([None, 3.0, 1.0]) == 2.0 and middle([None]) is None


@pytest.mark.parametrize("total", [5, 6, 10, 30, 100, 999, 1026])
def test_a_limit_keeps_the_proportions(total: int) -> None:
    dealt = apportion(BENCH, total)
    assert sum(dealt.values()) == total
    for task, size in BENCH.items():
        assert 1 <= dealt[task] <= size
        assert abs(dealt[task] - total * size / 1026) < 1.5


def test_limits_beyond_either_end() -> None:
    assert apportion(BENCH, 5000) == BENCH
    assert apportion(BENCH, 2) == {"local": 1, "global": 1}


def test_a_larger_sample_holds_the_smaller() -> None:
    whole = spread(416, 416)
    assert sorted(whole) == list(range(416))
    assert spread(40, 416)[:10] == spread(10, 416)
    assert max(b - a for a, b in pairwise(sorted(spread(16, 416)))) <= 64


def test_the_bootstrap_of_a_mean_against_another_library_and_the_normal_interval() -> None:
    values = np.random.default_rng(3).exponential(2.0, 300).tolist()
    ends = bootstrap_mean(values)
    other = bootstrap((values,), np.mean, method="percentile", n_resamples=4000, random_state=1).confidence_interval
    assert ends == pytest.approx((other.low, other.high), rel=0.02)
    half = 1.96 * np.std(values, ddof=1) / 300**0.5
    assert ends == pytest.approx((np.mean(values) - half, np.mean(values) + half), rel=0.03)
    assert bootstrap_mean(values) == ends  # the same values, the same interval
    assert bootstrap_mean([]) is None and bootstrap_mean([1.0]) is None and bootstrap_mean([2.0, 2.0]) == (2.0, 2.0)
