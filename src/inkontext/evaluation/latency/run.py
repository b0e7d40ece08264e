"""`inkontext eval latency`: how long a picture takes, cold and warm, by stage, beside the floor of arithmetic.

Systems take turns, call by call, so that a change of the machine's speed falls on all of them. One that fails is
reported and the others go on.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Protocol

from inkontext import __version__
from inkontext.errors import OptionError, RunError
from inkontext.evaluation.keeping import kept

ELSE: Final = "else"  # the stage of everything that is no other stage
_DIGITS: Final = 9
Watch = Callable[[int, int], None]


@dataclass(frozen=True)
class Job:
    """A kind of call. `size`: side of the square, pixels; None for the system's own. No references: text-to-image."""

    size: int | None
    references: int
    steps: int | None = None

    def __post_init__(self) -> None:
        if self.size is not None and (self.size % 16 or not 16 <= self.size <= 4096):
            raise OptionError(f"the size {self.size} must be a multiple of 16 from 16 to 4096")
        if not 0 <= self.references <= 16:
            raise OptionError(f"{self.references} references are not possible; ask for 0 (text-to-image) to 16")
        if self.steps is not None and not 1 <= self.steps <= 1000:
            raise OptionError(f"steps must be a whole number from 1 to 1000, not {self.steps}")

    @property
    def name(self) -> str:
        """Such as `edit, 2 references, 64 px`."""
        kinds = {0: "text-to-image", 1: "edit"}
        kind = kinds.get(self.references, f"edit, {self.references} references")
        return kind if self.size is None else f"{kind}, {self.size} px"


@dataclass(frozen=True)
class Taken:
    """One call: seconds in all and by stage, the picture's (width, height), and the steps where they are known."""

    seconds: float
    stages: dict[str, float]
    size: tuple[int, int]
    steps: int | None = None


@dataclass(frozen=True)
class Part:
    """Arithmetic of a stage: operations a picture, and the dtype they are done in."""

    flops: int
    dtype: str


class JobFailed(Exception):  # noqa: N818 - an outcome
    """A system could not do a job; the message says why."""


class SystemGone(JobFailed):
    """A system cannot do anything any more."""


class System(Protocol):
    """What is measured."""

    name: str
    kind: str

    def start(self, job: Job) -> dict[str, float] | None:
        """Get ready and make a first picture: seconds by phase and in `total`, or None where this cannot be seen."""
        ...

    def run(self, job: Job) -> Taken: ...

    def identity(self) -> dict[str, Any]:
        """What it is: model, dtype, device."""
        ...

    def floor(self, job: Job) -> dict[str, Part] | None:
        """Arithmetic by stage; None where it is not known."""
        ...

    def rates(self) -> dict[str, float] | None:
        """Operations a second of this machine's matrix products by dtype; None where it runs elsewhere."""
        ...

    def close(self) -> None: ...


@dataclass
class _Record:
    """What is known of a system so far."""

    cold: dict[str, float] | None = None
    identity: dict[str, Any] = field(default_factory=dict)
    floors: dict[str, dict[str, Part] | None] = field(default_factory=dict)
    runs: dict[str, list[Taken]] = field(default_factory=dict)
    failed_jobs: dict[str, str] = field(default_factory=dict)
    gone: str | None = None

    def able(self, job: Job) -> bool:
        return self.gone is None and job.name not in self.failed_jobs

    def blame(self, job: Job, error: JobFailed) -> None:
        if isinstance(error, SystemGone):
            self.gone = str(error)
        else:
            self.failed_jobs[job.name] = str(error)


def measure(
    systems: Sequence[System], jobs: Sequence[Job], repeats: int, settings: dict[str, Any], watch: Watch | None = None
) -> dict[str, Any]:
    """Start every system, warm it up with one call of each job, then `repeats` rounds of all jobs on all systems.

    Args:
        settings: what was asked for, copied into the result.
        watch: called with (done, of how many calls).

    Raises:
        OptionError: nothing to measure.
        RunError: no system made a picture.
        UnfinishedError: an unforeseen failure; every call so far is in a file that it names.
    """
    if repeats < 1:
        raise OptionError(f"--repeats is {repeats}; it must be a whole number of at least 1")
    if not systems or not jobs:
        raise OptionError("there is nothing to measure; give a model or a --url")
    records = {system.name: _Record() for system in systems}
    rates: list[dict[str, float]] = []
    total, done = len(systems) * len(jobs) * (repeats + 1), 0
    with ExitStack() as stack:
        stack.enter_context(
            kept("latency", lambda: {name: asdict(r) for name, r in records.items() if r.cold or r.runs})
        )
        for system in systems:
            stack.callback(system.close)
            _start(system, records[system.name], jobs)
        for turn in range(repeats + 1):
            rates += _rates(systems, records)
            for job in jobs:
                for system in systems:
                    _turn(system, records[system.name], job, keep=turn > 0)
                    done += 1
                    if watch is not None:
                        watch(done, total)
        if not any(runs for record in records.values() for runs in record.runs.values()):
            reasons = (f"{name}: {r.gone or '; '.join(r.failed_jobs.values())}" for name, r in records.items())
            raise RunError(f"no system made a picture ({' | '.join(reasons)})")
        best = {kind: max(r[kind] for r in rates if kind in r) for kind in sorted({kind for r in rates for kind in r})}
        return {
            "benchmark": "latency",
            **settings,
            "repeats": repeats,
            "version": __version__,
            "rates": best or None,
            "systems": {system.name: _summary(system, records[system.name], jobs, best) for system in systems},
        }


def _start(system: System, record: _Record, jobs: Sequence[Job]) -> None:
    """The cold start, on the first job that the system can do."""
    for job in jobs:
        try:
            record.cold = system.start(job)
            record.identity = system.identity()
            record.floors = {job.name: system.floor(job) for job in jobs}
        except JobFailed as error:
            record.blame(job, error)
            if record.gone is not None:
                return
        else:
            return


def _rates(systems: Sequence[System], records: dict[str, _Record]) -> Iterable[dict[str, float]]:
    """What the machine can do just now, from the first system that knows."""
    for system in systems:
        if records[system.name].gone is not None:
            continue
        try:
            found = system.rates()
        except JobFailed as error:
            records[system.name].gone = str(error)
            continue
        if found:
            return [found]
    return []


def _turn(system: System, record: _Record, job: Job, keep: bool) -> None:
    if not record.able(job):
        return
    try:
        taken = system.run(job)
    except JobFailed as error:
        record.blame(job, error)
    else:
        if keep:
            record.runs.setdefault(job.name, []).append(taken)


# --- figures ---------------------------------------------------------------------------------------------------


def _summary(system: System, record: _Record, jobs: Sequence[Job], rates: dict[str, float]) -> dict[str, Any]:
    return {
        "kind": system.kind,
        **record.identity,
        "failed": record.gone,
        "cold": None if record.cold is None else {name: _round(s) for name, s in record.cold.items()},
        "jobs": {
            job.name: summary(record.runs.get(job.name, []), record.floors.get(job.name), rates)
            | {"failed": record.failed_jobs.get(job.name), "references": job.references}
            for job in jobs
        },
    }


def summary(runs: Sequence[Taken], parts: dict[str, Part] | None, rates: dict[str, float]) -> dict[str, Any]:
    """The figures of a job on a system; None for what was not measured.

    seconds, stages, step: P50 and P95, seconds. floor: operations of a picture, the seconds they take at the machine's
    rate, and which share of the measured median that is (`denoise_share`: of the network's evaluations alone).
    """
    if not runs:
        return dict.fromkeys(("size", "steps", "seconds", "stages", "step", "floor", "runs"))
    steps = runs[0].steps
    told = [(t, t.stages | {ELSE: t.seconds - sum(t.stages.values())}) for t in runs]
    names = list(dict.fromkeys(name for _, stages in told for name in stages))
    stages = {name: quantiles([s.get(name, 0.0) for _, s in told]) for name in names}
    denoise = [t.stages["denoise"] / t.steps for t in runs if t.steps and "denoise" in t.stages]
    seconds = quantiles([t.seconds for t in runs])
    return {
        "size": list(runs[0].size),
        "steps": steps,
        "seconds": seconds,
        "stages": stages,
        "step": quantiles(denoise) if denoise else None,
        "floor": _floor(parts, rates, seconds["p50"], stages.get("denoise")),
        "runs": [
            {"seconds": _round(t.seconds), "stages": {name: _round(s[name]) for name in s}} for t, s in told
        ],
    }  # fmt: skip


def _floor(
    parts: dict[str, Part] | None, rates: dict[str, float], median: float, denoise: dict[str, float] | None
) -> dict[str, Any] | None:
    if parts is None or any(part.dtype not in rates for part in parts.values()):
        return None
    least = {name: part.flops / rates[part.dtype] for name, part in parts.items()}
    total = sum(least.values())
    return {
        "flops": sum(part.flops for part in parts.values()),
        "flops_by_stage": {name: part.flops for name, part in parts.items()},
        "seconds": _round(total),
        "share": _ratio(total, median),
        "denoise_share": _ratio(least["denoise"], denoise["p50"]) if denoise and "denoise" in least else None,
    }


def _ratio(least: float, measured: float) -> float | None:
    """None where a clock saw no time pass."""
    return round(least / measured, 4) if measured else None


def quantiles(values: Sequence[float]) -> dict[str, float]:
    """The median and the 95th percentile, interpolated linearly between ranks."""
    return {"p50": _round(percentile(values, 0.5)), "p95": _round(percentile(values, 0.95))}


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` of them lie, interpolated linearly: rank share (n - 1), counted from 0."""
    ordered = sorted(values)
    rank = share * (len(ordered) - 1)
    below = math.floor(rank)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (rank - below) * (ordered[above] - ordered[below])


def _round(value: float) -> float:
    return round(value, _DIGITS)
