"""From a study's votes to its results: who may be counted, ratings by question and category, agreement."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import combinations
from typing import Any, Final

from inkontext import __version__
from inkontext.errors import DataError, OptionError
from inkontext.evaluation.preference.database import Vote
from inkontext.evaluation.preference.ratings import Ballot, Rating, Ratings, rate
from inkontext.evaluation.preference.study import CHOICES, Study, Trial
from inkontext.evaluation.statistics import rounded, share

PASS: Final = 0.75  # share of a rater's answers to checks that must be right
RESAMPLES: Final = 1000
Watch = Callable[[int, int], None]


def results(
    study: Study, votes: Sequence[Vote], resamples: int = RESAMPLES, seed: int = 0, watch: Watch | None = None
) -> dict[str, Any]:
    """All figures of a study, as they go into JSON; the same votes and seed give the same.

    Args:
        resamples: draws of the bootstrap.
        seed: of the bootstrap and of Elo's random orders.
        watch: called with (done, of how many) after every table.

    Raises:
        DataError: no votes, or nobody passed the attention checks.
        OptionError: fewer than a hundred resamples.
    """
    if resamples < 100:
        raise OptionError(f"--resamples is {resamples}; percentiles of an interval need at least 100")
    trials = {trial.id: trial for trial in study.trials}
    raters = judge_raters(trials, votes)
    kept = {r["rater"] for r in raters if not r["dropped"]}
    counted = [v for v in votes if v.rater in kept and trials[v.trial].answer is None]
    if not counted:
        failed = ", ".join(r["rater"] for r in raters if r["dropped"])
        raise DataError(
            f"nobody's votes can be counted; these failed the attention checks: {failed}" if failed
            else "there are no votes on anything but attention checks; import some"
        )  # fmt: skip
    parts: dict[tuple[str, str], list[Vote]] = {("overall", ""): counted}
    for name in study.questions:
        parts["by_dimension", name] = [v for v in counted if v.dimension == name]
    for category in sorted({t.category for t in study.compared if t.category}):
        parts["by_category", category] = [v for v in counted if trials[v.trial].category == category]
    body: dict[str, Any] = {
        "benchmark": "preference", "study": study.id, "systems": list(study.systems), "questions": study.questions,
        "resamples": resamples, "seed": seed, "version": __version__, "trials": len(study.compared),
        "left_out": study.left_out, "overall": {}, "by_dimension": {}, "by_category": {},
        "agreement": _agreements(study, counted), "raters": raters,
    }  # fmt: skip
    for done, ((kind, name), part) in enumerate(parts.items(), 1):
        table = _table(study, trials, part, resamples, seed)
        if name:
            body[kind][name] = table
        else:
            body[kind] = table
        if watch is not None:
            watch(done, len(parts))
    return body


def judge_raters(trials: dict[str, Trial], votes: Iterable[Vote]) -> list[dict[str, Any]]:
    """Every rater with the checks they answered and got right; dropped where fewer than `PASS` of these are right.

    A tie at a check is wrong. Who answered no check is kept: nothing speaks against them.
    """
    said: dict[str, Counter[str]] = {}
    for vote in votes:
        count = said.setdefault(vote.rater, Counter())
        answer = trials[vote.trial].answer
        count["votes" if answer is None else "checks"] += 1
        count["right"] += answer is not None and vote.choice == answer
    return [
        {
            "rater": name,
            "votes": n["votes"],
            "checks": n["checks"],
            "right": n["right"],
            "dropped": n["right"] < PASS * n["checks"],
        }
        for name, n in sorted(said.items())
    ]


def _table(
    study: Study, trials: dict[str, Trial], votes: Sequence[Vote], resamples: int, seed: int
) -> dict[str, Any]:  # fmt: skip
    """Ratings of all systems by some of the votes."""
    number = {name: n for n, name in enumerate(study.systems)}
    ballots = [
        Ballot(number[trials[v.trial].left], number[trials[v.trial].right],
               {"tie": 0, "left": 1, "right": 2}[v.choice], v.trial)
        for v in votes
    ]  # fmt: skip
    rated = rate(study.systems, ballots, resamples, seed)
    return {
        "votes": len(votes),
        "notes": rated.notes,
        "systems": {name: _system(rated, n) for name, n in number.items()},
        "wins": rated.wins,
        "ties": rated.ties,
        "win_rate": [[_win_rate(rated, i, [j]) for j in number.values()] for i in number.values()],
    }


def _system(rated: Ratings, i: int) -> dict[str, Any]:
    wins, ties = sum(rated.wins[i]), sum(rated.ties[i])
    losses = sum(row[i] for row in rated.wins)
    return {
        "bradley_terry": rounded(rated.bradley_terry[i].value),
        "bradley_terry_interval": _ends(rated.bradley_terry[i]),
        "elo": rounded(rated.elo[i].value),
        "elo_interval": _ends(rated.elo[i]),
        "win_rate": _win_rate(rated, i, range(len(rated.wins))),
        "wins": wins,
        "ties": ties,
        "losses": losses,
    }


def _win_rate(rated: Ratings, i: int, others: Sequence[int]) -> float | None:
    """Wins and half the ties over all votes between i and the others; None where there is none."""
    wins, ties = sum(rated.wins[i][j] for j in others), sum(rated.ties[i][j] for j in others)
    total = wins + ties + sum(rated.wins[j][i] for j in others)
    return rounded((wins + ties / 2) / total) if total else None


def _ends(rating: Rating) -> list[float | None] | None:
    return None if rating.value is None else [rounded(rating.low), rounded(rating.high)]


# --- agreement -------------------------------------------------------------------------------------------------


def _agreements(study: Study, votes: Sequence[Vote]) -> dict[str, Any]:
    """Agreement over all questions and for each."""
    by_dimension = {name: agreement([v for v in votes if v.dimension == name]) for name in study.questions}
    return {**agreement(votes), "by_dimension": by_dimension}


def agreement(votes: Sequence[Vote]) -> dict[str, Any]:
    """How far raters agree where several answered the same question of the same trial.

    alpha: Krippendorff's, over left, right and tie as names without order. same: share of pairs of answers to the same
    question that are equal. Both None, with the reason in `missing`, where they are not defined.
    """
    units: dict[tuple[str, str], dict[str, str]] = {}
    for vote in votes:
        units.setdefault((vote.trial, vote.dimension), {})[vote.rater] = vote.choice
    shared = {unit: answers for unit, answers in units.items() if len(answers) > 1}
    pairs = [a == b for answers in shared.values() for a, b in combinations(answers.values(), 2)]
    body: dict[str, Any] = {"questions": len(shared), "same": rounded(share(sum(pairs), len(pairs))), "alpha": None}
    if not shared:
        alone = len({vote.rater for vote in votes}) < 2
        reason = "there is one rater" if alone else "no two raters answered the same question"
        return body | {"missing": reason}
    if len({choice for answers in shared.values() for choice in answers.values()}) < 2:
        return body | {"missing": "all answers are the same, which leaves nothing to agree on"}
    return body | {"alpha": rounded(_alpha(shared)), "missing": None}


def _alpha(units: dict[tuple[str, str], dict[str, str]]) -> float:
    try:
        import evalica
        import pandas as pd
    except ImportError as error:
        raise OptionError("agreement needs evalica; pip install 'inkontext[eval]'") from error
    raters = sorted({rater for answers in units.values() for rater in answers})
    code = {choice: float(n) for n, choice in enumerate(CHOICES)}
    columns = [[code.get(answers.get(rater, "")) for rater in raters] for answers in units.values()]
    table = pd.DataFrame({n: pd.Series(column, dtype=float) for n, column in enumerate(columns)})
    return float(evalica.alpha(table, distance="nominal").alpha)
