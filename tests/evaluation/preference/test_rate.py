"""Ratings against closed forms, Newton's method and other definitions of the same."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from inkontext.errors import DataError, OptionError
from inkontext.evaluation.preference.database import Vote
from inkontext.evaluation.preference.rate import agreement, judge_raters, results
from inkontext.evaluation.preference.ratings import Ballot, elo, rate
from inkontext.evaluation.preference.report import preference_report
from inkontext.evaluation.preference.study import Study, Trial
from tests.evaluation.preference.test_votes import trial


def ballots(wins: Sequence[Sequence[int]], ties: Sequence[Sequence[int]] | None = None) -> list[Ballot]:
    """`wins[i][j]` votes for i over j, and ties above the diagonal; every vote a trial of its own."""
    out: list[Ballot] = []
    for i, row in enumerate(wins):
        for j, count in enumerate(row):
            # the winner stands left and right by turns
            out += [Ballot(i, j, 1, f"{i}{j}{n}") if n % 2 else Ballot(j, i, 2, f"{i}{j}{n}") for n in range(count)]
            out += [Ballot(i, j, 0, f"{i}{j}t{n}") for n in range(ties[i][j] if ties else 0)]
    return out


def newton(wins: np.ndarray) -> np.ndarray:
    """Maximum of the Bradley-Terry likelihood in natural units, sum 0, by Newton's method."""
    theta = np.zeros(len(wins))
    total = wins + wins.T
    for _ in range(50):
        p = 1 / (1 + np.exp(theta[None, :] - theta[:, None]))
        gradient = (wins - total * p).sum(axis=1)
        weight = total * p * (1 - p)
        hessian = weight - np.diag(weight.sum(axis=1))
        theta -= np.linalg.pinv(hessian) @ gradient
        theta -= theta.mean()
    return theta


def test_two_systems_have_a_closed_form() -> None:
    """9 wins, 3 losses and 4 ties: the odds are (9 + 2) / (3 + 2)."""
    rated = rate(("a", "b"), ballots([[0, 9], [3, 0]], [[0, 4], [0, 0]]), 200, 0)
    gap = 400 * math.log10(11 / 5)
    a, b = rated.bradley_terry
    assert a.value == pytest.approx(1000 + gap / 2, abs=1e-3) and b.value == pytest.approx(1000 - gap / 2, abs=1e-3)
    assert a.low is not None and a.high is not None and a.low < a.value < a.high
    assert rated.wins == [[0, 9], [3, 0]] and rated.ties == [[0, 4], [4, 0]] and rated.notes == []


@pytest.mark.parametrize("wins", [[[0, 7, 9], [3, 0, 6], [1, 4, 0]], [[0, 2, 0], [5, 0, 1], [1, 1, 0]]])
def test_three_systems_against_newton(wins: list[list[int]]) -> None:
    rated = rate(("a", "b", "c"), ballots(wins), 100, 0)
    expected = 1000 + 400 / math.log(10) * newton(np.array(wins, float))
    assert [r.value for r in rated.bradley_terry] == pytest.approx(expected.tolist(), abs=1e-3)


def test_elo_is_the_formula() -> None:
    votes = ballots([[0, 5, 2], [1, 0, 3], [2, 2, 0]], [[0, 1, 1], [0, 0, 1], [0, 0, 0]])
    order = np.random.default_rng(1).permutation(len(votes)).tolist()
    score = [1000.0] * 3
    for b in (votes[i] for i in order):
        expected = 1 / (1 + 10 ** ((score[b.y] - score[b.x]) / 400))
        moved = 4 * ({1: 1.0, 2: 0.0, 0: 0.5}[b.outcome] - expected)
        score[b.x] += moved
        score[b.y] -= moved
    assert elo(votes, order, (0, 1, 2)).tolist() == pytest.approx(score, abs=1e-6)


def test_the_interval_covers_what_theory_says() -> None:
    """Two systems, 400 votes, no ties: the standard error of the log odds is sqrt(1/w + 1/l)."""
    (a, _) = rate(("a", "b"), ballots([[0, 240], [160, 0]]), 2000, 0).bradley_terry
    assert a.value is not None and a.low is not None and a.high is not None
    half = 1.96 * math.sqrt(1 / 240 + 1 / 160) * 400 / math.log(10) / 2
    assert a.high - a.value == pytest.approx(half, rel=0.15) and a.value - a.low == pytest.approx(half, rel=0.15)


def test_several_votes_on_a_trial_do_not_narrow_the_interval() -> None:
    alone = ballots([[0, 24], [16, 0]])
    together = [b for b in alone for _ in range(9)]

    def width(votes: Sequence[Ballot]) -> float:
        rating = rate(("a", "b"), votes, 500, 0).bradley_terry[0]
        assert rating.low is not None and rating.high is not None
        return rating.high - rating.low

    assert width(together) == pytest.approx(width(alone), rel=0.1)


def test_who_was_never_compared_has_no_number() -> None:
    rated = rate(("a", "b", "c"), ballots([[0, 3, 0], [2, 0, 0], [0, 0, 0]]), 100, 0)
    assert rated.bradley_terry[2].value is None and rated.elo[2].value is None
    assert rated.bradley_terry[0].value is not None and rated.elo[1].value is not None
    assert rated.notes == ["never compared with the others, so without a rating: c"]


def test_two_groups_that_never_met_have_no_numbers() -> None:
    wins = np.zeros((4, 4), int)
    wins[0, 1], wins[1, 0], wins[2, 3], wins[3, 2] = 3, 2, 2, 2
    rated = rate(tuple("abcd"), ballots(wins.tolist()), 100, 0)
    assert all(r.value is None for r in (*rated.bradley_terry, *rated.elo))
    assert len(rated.notes) == 1 and "never compared with each other" in rated.notes[0]


def test_who_always_wins_has_no_finite_number_but_the_others_have() -> None:
    """The limit of the maximum for the others is the maximum over their own votes."""
    wins = [[0, 4, 4], [0, 0, 6], [0, 2, 0]]
    rated = rate(("best", "b", "c"), ballots(wins), 100, 0)
    assert rated.bradley_terry[0].value is None and rated.elo[0].value is not None
    gap = 400 * math.log10(6 / 2)
    assert rated.bradley_terry[1].value == pytest.approx(1000 + gap / 2, abs=1e-3)
    assert rated.notes == ["won or lost every vote against the rest, so Bradley-Terry has no finite number for: best"]
    always = rate(("a", "b"), ballots([[0, 5], [0, 0]]), 100, 0)
    assert [r.value for r in always.bradley_terry] == [None, None] and "no finite maximum" in always.notes[0]


def test_few_votes_leave_the_interval_open() -> None:
    (a, _) = rate(("a", "b"), ballots([[0, 3], [1, 0]]), 500, 0).bradley_terry
    assert a.value is not None and a.high is None  # a third of the draws have no vote for b


def study(count: int = 12, category: str = "") -> Study:
    """`count` trials of a (left) and b, and four checks of which the right answer is left."""
    trials = tuple(trial(n, category=category if n % 2 else "") for n in range(count))
    checks = tuple(trial(100 + n, "a", "a", "left") for n in range(4))
    return Study("s1", 0, ("a", "b"), {"instruction": "?", "aesthetics": "??"}, trials + checks, None, {})


def said(rater: str, trials: Sequence[Trial], choices: Sequence[str], dimension: str = "instruction") -> list[Vote]:
    return [Vote(rater, t.id, dimension, c) for t, c in zip(trials, choices, strict=True)]


def test_who_fails_the_checks_is_named_and_not_counted() -> None:
    there = study()
    checks, real = there.trials[12:], there.compared
    good = said("ann", real, ["left"] * 9 + ["right"] * 3) + said("ann", checks, ["left"] * 3 + ["tie"])
    bad = said("bob", real, ["right"] * 12) + said("bob", checks, ["left"] * 2 + ["right"] * 2)
    unseen = said("eve", real[:1], ["left"])
    raters = judge_raters({t.id: t for t in there.trials}, good + bad + unseen)
    assert [(r["rater"], r["checks"], r["right"], r["dropped"]) for r in raters] == [
        ("ann", 4, 3, False), ("bob", 4, 2, True), ("eve", 0, 0, False),
    ]  # fmt: skip
    body = results(there, good + bad + unseen, 100)
    assert body["overall"]["wins"] == [[0, 10], [3, 0]]
    assert body["overall"]["systems"]["a"]["win_rate"] == pytest.approx(10 / 13, abs=1e-6)
    with pytest.raises(DataError, match="failed the attention checks: bob"):
        results(there, bad, 100)
    with pytest.raises(DataError, match="there are no votes"):
        results(there, [], 100)
    with pytest.raises(OptionError, match="at least 100"):
        results(there, good, 10)


def test_by_question_and_by_category() -> None:
    there = study(category="Text Editing")
    votes = said("ann", there.compared, ["left", "right", "left"] * 4)
    votes += said("ann", there.compared, ["tie", "right", "right"] * 4, "aesthetics")
    body = results(there, votes, 100)
    assert {name: t["votes"] for name, t in body["by_dimension"].items()} == {"instruction": 12, "aesthetics": 12}
    assert body["overall"]["votes"] == 24 and body["by_category"]["Text Editing"]["votes"] == 12
    assert body["by_dimension"]["aesthetics"]["systems"]["b"]["win_rate"] == pytest.approx((8 + 2) / 12, abs=1e-6)
    assert body["by_dimension"]["instruction"]["win_rate"] == [[None, 0.666667], [0.333333, None]]
    assert body == results(there, votes, 100) and body != results(there, votes, 100, seed=1)


def krippendorff(units: Sequence[Sequence[str]]) -> float:
    """1 - observed / expected disagreement, summed over pairs of values as in the definition."""
    units = [u for u in units if len(u) > 1]
    values = [v for u in units for v in u]
    observed = sum(2 * sum(a != b for a, b in combinations(u, 2)) / (len(u) - 1) for u in units) / len(values)
    expected = 2 * sum(a != b for a, b in combinations(values, 2)) / (len(values) * (len(values) - 1))
    return 1 - observed / expected


def test_agreement_is_krippendorffs() -> None:
    rng = np.random.default_rng(0)
    trials = study(20).compared
    votes = [
        Vote(rater, t.id, d, str(rng.choice(["left", "right", "tie"], p=[0.6, 0.3, 0.1])))
        for t in trials for d in ("instruction", "aesthetics") for rater in ("ann", "bob", "eve") if rng.random() < 0.7
    ]  # fmt: skip
    units: dict[tuple[str, str], list[str]] = {}
    for v in votes:
        units.setdefault((v.trial, v.dimension), []).append(v.choice)
    body = agreement(votes)
    pairs = [a == b for u in units.values() for a, b in combinations(u, 2)]
    assert body["alpha"] == pytest.approx(krippendorff(list(units.values())), abs=1e-6)
    assert body["same"] == pytest.approx(np.mean(pairs), abs=1e-6) and body["missing"] is None
    assert body["questions"] == sum(len(u) > 1 for u in units.values())


def test_one_rater_has_nobody_to_agree_with() -> None:
    trials = study().compared
    votes = said("ann", trials, ["left", "right"] * 6)
    assert agreement(votes) == {"questions": 0, "same": None, "alpha": None, "missing": "there is one rater"}
    apart = [*votes[:6], *(replace(v, rater="bob") for v in votes[6:])]
    assert agreement(apart)["missing"] == "no two raters answered the same question"
    unanimous = said("ann", trials, ["left"] * 12) + said("bob", trials, ["left"] * 12)
    assert agreement(unanimous)["alpha"] is None and agreement(unanimous)["same"] == 1.0


def test_the_report_shows_everything(tmp_path: Path) -> None:
    there = study(category="Local")
    votes = said("ann", there.compared, ["left", "right", "left"] * 4)
    votes += said("bob", there.compared, ["left", "left", "right"] * 4) + said("ann", there.trials[12:], ["left"] * 4)
    votes += said("zoe", there.compared, ["tie"] * 12) + said("zoe", there.trials[12:], ["right"] * 4)
    report = preference_report(results(there, votes, 100))
    console = Console(width=100, record=True, file=io.StringIO())
    report.show(console)
    text = console.export_text()
    for words in ("All questions", "Category Local", "Krippendorff", "not counted: zoe", "counted: bob"):
        assert words in text
    first = report.write(tmp_path / "a").read_bytes()
    assert first == preference_report(results(there, votes, 100)).write(tmp_path / "b").read_bytes()
    assert b"<svg" in first and b"points above 1000" in first
