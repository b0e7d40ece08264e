"""Which comparison a voter gets: evenly spread while voters come one after the other and leave when they like."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from inkontext.evaluation.preference.database import Standing
from inkontext.evaluation.preference.order import next_trial
from tests.server.conftest import make_study


@pytest.mark.parametrize("stays", [1, 3, 5])
def test_voters_one_after_the_other_compare_everything_alike(tmp_path: Path, stays: int) -> None:
    study = make_study(tmp_path)
    raters: Counter[str] = Counter()
    for n in range(12 // stays * 3):
        own: dict[str, frozenset[str]] = {}
        while len(own) < stays:
            trial = next_trial(study, f"rater {n}", Standing(own, raters))
            assert trial is not None and trial.id not in own
            own[trial.id] = frozenset(trial.dimensions)
            raters[trial.id] += 1
        by_pair: dict[frozenset[str], list[int]] = {}
        for compared in study.compared:
            by_pair.setdefault(frozenset((compared.left, compared.right)), []).append(raters[compared.id])
        totals = [sum(counts) for counts in by_pair.values()]
        assert len(totals) == 3 and max(totals) - min(totals) <= 1
        assert all(len(counts) == 4 and max(counts) - min(counts) <= 1 for counts in by_pair.values())


def test_a_begun_comparison_is_finished_first_and_nobody_is_asked_twice(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    begun = study.compared[-1]
    own = {begun.id: frozenset(begun.dimensions[:1])}
    assert next_trial(study, "ann", Standing(own, {begun.id: 9})) == begun
    seen = {}
    while (trial := next_trial(study, "ann", Standing(seen, {}))) is not None:
        assert trial.id not in seen
        seen[trial.id] = frozenset(trial.dimensions)
    assert seen.keys() == {t.id for t in study.trials}
