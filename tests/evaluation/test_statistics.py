"""Intervals, medians and shares."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy.stats import bootstrap, norm, t

from inkontext.evaluation.statistics import (
    apportion,
    bootstrap_mean,
    bootstrap_sources,
    figures,
    interval,
    middle,
    paired,
    share,
    spread,
    student,
    wilson,
)

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
    other = bootstrap((values,), np.mean, method="percentile", n_resamples=4000, rng=1).confidence_interval
    assert ends == pytest.approx((other.low, other.high), rel=0.02)
    half = 1.96 * np.std(values, ddof=1) / 300**0.5
    assert ends == pytest.approx((np.mean(values) - half, np.mean(values) + half), rel=0.03)
    assert bootstrap_mean(values) == ends  # the same values, the same interval
    assert bootstrap_mean([]) is None and bootstrap_mean([1.0]) is None and bootstrap_mean([2.0, 2.0]) == (2.0, 2.0)


# --- values that share sources -------------------------------------------------------------------------------------


def clustered(rng: np.random.Generator, share: float, concentration: float, sizes: list[int]) -> tuple[list, list]:
    """Answers in groups: each group has a rate of its own, drawn from a beta distribution around `share`."""
    rates = rng.beta(share * concentration, (1 - share) * concentration, len(sizes))
    values = [bool(x) for rate, size in zip(rates, sizes, strict=True) for x in rng.random(size) < rate]
    return values, [source for source, size in enumerate(sizes) for _ in range(size)]


def test_wilson_misses_the_truth_where_rows_share_pictures_and_drawing_pictures_does_not() -> None:
    """193 rows over 22 pictures, as the bench's character rows; the rows of a picture agree (correlation one half)."""
    rng, runs = np.random.default_rng(0), 400
    sizes = [9] * 17 + [8] * 5
    assert sum(sizes) == 193
    hits = {"alone": 0, "sources": 0}
    for _ in range(runs):
        values, sources = clustered(rng, 0.3, 1.0, sizes)
        narrow, wide = wilson(sum(values), len(values)), interval(values, sources, is_share=True)
        assert narrow is not None and wide is not None
        hits["alone"] += narrow[0] <= 0.3 <= narrow[1]
        hits["sources"] += wide.low <= 0.3 <= wide.high
    assert hits["alone"] / runs < 0.7
    assert 0.92 <= hits["sources"] / runs <= 0.98


def test_a_bootstrap_over_sources_of_one_size_is_scipys_over_their_means() -> None:
    rng = np.random.default_rng(5)
    means = rng.normal(3.0, 1.0, 24)
    values = (means[:, None] + rng.normal(0, 0.3, (24, 6))).round(6)
    flat, sources = values.ravel().tolist(), np.repeat(np.arange(24), 6).tolist()
    level = float(1 - 2 * norm.cdf(-((24 / 23) ** 0.5) * t.ppf(0.975, 23)))
    other = bootstrap(
        (values.mean(1),), np.mean, method="percentile", n_resamples=20_000, confidence_level=level, rng=2
    ).confidence_interval
    ends = bootstrap_sources(flat, sources)
    assert ends == pytest.approx((other.low, other.high), abs=0.03)
    assert bootstrap_sources(flat, sources) == ends  # the same values, the same interval
    mixed = np.random.default_rng(1).permutation(len(flat))
    assert bootstrap_sources(flat, [f"base {s}" for s in sources]) == ends  # names do not matter
    assert bootstrap_sources([flat[i] for i in mixed], [sources[i] for i in mixed]) == pytest.approx(ends, abs=0.05)


@pytest.mark.parametrize("freedom", [1, 2, 3, 4, 7, 21, 107, 5000])
def test_students_quantile_is_scipys(freedom: int) -> None:
    assert student(freedom) == pytest.approx(t.ppf(0.975, freedom), rel=2e-3)


def test_sources_of_one_value_each_change_nothing() -> None:
    values = [True, False, True, True]
    assert interval(values, range(4), is_share=True) == (*(wilson(3, 4) or ()), "wilson")
    assert interval([1.0, 2.0, 4.0], range(3), is_share=False) == (
        *(bootstrap_mean([1.0, 2.0, 4.0]) or ()),
        "bootstrap",
    )
    assert interval([], [], is_share=True) is None and interval([1.0], [0], is_share=False) is None


def test_no_spread_between_sources_is_no_certainty() -> None:
    """All 60 right over 6 pictures: as much as 6 right of 6, not as 60 of 60, and never a width of nothing."""
    sources = [n // 10 for n in range(60)]
    assert interval([True] * 60, sources, is_share=True) == (*(wilson(6, 6) or ()), "wilson over sources")
    assert interval([False] * 60, sources, is_share=True) == (*(wilson(0, 6) or ()), "wilson over sources")
    assert interval([True, False] * 30, sources, is_share=True) == (*(wilson(3, 6) or ()), "wilson over sources")
    assert interval([True, False], [0, 0], is_share=True) == (*(wilson(0.5, 1) or ()), "wilson over sources")
    assert interval([1.5] * 60, sources, is_share=False) == (1.5, 1.5, "bootstrap over sources")
    assert interval([1.0, 2.0], [0, 0], is_share=False) is None


def test_a_paired_difference_is_drawn_by_sources() -> None:
    rng = np.random.default_rng(2)
    sources = [n // 8 for n in range(160)]
    better = rng.random(20) < 0.4  # the pictures on which a is right and b is not
    a = [bool(better[s]) for s in sources]
    b = [False] * 160
    mean, low, high = paired(a, b, sources)
    alone = paired(a, b, range(160))
    assert mean == alone[0] == pytest.approx(better.mean())
    assert high - low > 2.3 * (alone[2] - alone[1])  # about sqrt(8) times as wide
    other = bootstrap((better.astype(float),), np.mean, method="percentile", rng=0).confidence_interval
    assert (low, high) == pytest.approx((other.low, other.high), abs=0.06)
    assert paired(b, a, sources) == pytest.approx((-mean, -high, -low), abs=0.03)
    unseen = (wilson(0, 20) or (0, 0))[1]
    assert paired(a, a, sources) == pytest.approx((0, -unseen, unseen))
    assert paired([True] * 160, b, sources) == pytest.approx((1, 1 - 2 * unseen, 1))


def test_a_cell_counts_sources_of_the_scores_there_are() -> None:
    cell = figures([1.0, None, 0.0, 1.0], [None, "lost", None, None], True, ["a", "a", "b", "b"])
    assert cell["n"] == 3 and cell["sources"] == 2 and cell["reasons"] == {"lost": 1}
    assert cell["interval_kind"] == "bootstrap over sources"
    assert figures([None], ["lost"], True)["interval_kind"] is None
