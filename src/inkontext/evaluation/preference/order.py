"""Which trial a voter sees next where a server hands them out one at a time.

Whoever comes and however early they leave, all pairs of systems are compared about equally often, and so are all
trials: each voter gets what has been voted on least. Attention checks come to every voter at the study's own rate,
at places that only a hash knows.
"""

from __future__ import annotations

import hashlib
from collections import Counter

from inkontext.evaluation.preference.database import Standing
from inkontext.evaluation.preference.study import Study, Trial


def next_trial(study: Study, rater: str, so_far: Standing) -> Trial | None:
    """The trial for this rater now, None when all are answered. A trial that was begun is finished first."""
    unanswered = [t for t in study.trials if set(t.dimensions) - so_far.own.get(t.id, frozenset())]
    for trial in unanswered:
        if trial.id in so_far.own:
            return trial
    fresh = [trial for trial in unanswered if trial.answer is None]
    checks = [trial for trial in unanswered if trial.answer is not None]
    if checks and (not fresh or _is_check_due(study, rater, so_far)):
        return min(checks, key=lambda trial: _hash(study, rater, trial.id))
    if not fresh:
        return None
    met = Counter[frozenset[str]]()
    for trial in study.compared:
        met[_pair(trial)] += so_far.raters.get(trial.id, 0)
    return min(fresh, key=lambda t: (met[_pair(t)], so_far.raters.get(t.id, 0), _hash(study, rater, t.id)))


def _is_check_due(study: Study, rater: str, so_far: Standing) -> bool:
    """Whether this rater's next check stands here: one in every run of trials, at a place of the rater's own."""
    compared = {trial.id for trial in study.compared}
    seen = sum(trial in compared for trial in so_far.own)
    checks = len(so_far.own) - seen
    run = len(compared) // (len(study.trials) - len(compared))
    return seen >= checks * run + int(_hash(study, rater, f"check {checks}"), 16) % (run + 1)


def _pair(trial: Trial) -> frozenset[str]:
    return frozenset((trial.left, trial.right))


def _hash(study: Study, rater: str, what: str) -> str:
    return hashlib.sha256(f"{study.id} {rater} {what}".encode()).hexdigest()
