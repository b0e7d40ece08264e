"""Rounds in turn, percentiles, stages, floors and failures; seconds themselves are never asserted."""

from __future__ import annotations

import io
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from inkontext.errors import OptionError, RunError
from inkontext.evaluation.latency.child import Diffusers, Ours, answer
from inkontext.evaluation.latency.floor import picture_flops, tower_flops
from inkontext.evaluation.latency.report import latency_report
from inkontext.evaluation.latency.run import (
    ELSE,
    Job,
    JobFailed,
    Part,
    SystemGone,
    Taken,
    measure,
    percentile,
    summary,
)
from inkontext.evaluation.latency.stages import Stages
from inkontext.evaluation.latency.systems import Local
from inkontext.pipeline import Pipeline

CPU = torch.device("cpu")
JOBS = (Job(64, 0), Job(64, 1))


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=40), st.floats(0, 1))
def test_percentiles_are_numpys(values: list[float], share: float) -> None:
    assert percentile(values, share) == pytest.approx(np.percentile(values, 100 * share), rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("job", [(60, 0), (0, 0), (8192, 1), (64, -1), (64, 17), (64, 1, 0)])
def test_jobs_that_cannot_be(job: tuple[int, ...]) -> None:
    with pytest.raises(OptionError):
        Job(*job)


class Fake:
    """A system with a script: `fails` by (name of the job, number of the call) -> what to raise."""

    kind = "fake"

    def __init__(self, name: str, log: list[str], fails: dict[tuple[str, int], Exception] | None = None) -> None:
        self.name, self.log, self.fails = name, log, fails or {}
        self.calls: Counter[str] = Counter()
        self.closed = False

    def start(self, job: Job) -> dict[str, float] | None:
        if error := self.fails.get(("start", 0)):
            raise error
        return {"start": 1.0, "load": 2.0, "first": 4.0, "total": 7.5}

    def run(self, job: Job) -> Taken:
        number = self.calls[job.name]
        self.calls[job.name] += 1
        if error := self.fails.get((job.name, number)):
            raise error
        self.log.append(f"{self.name} {job.references}")
        return Taken(1.0 + number, {"text": 0.25, "denoise": 0.5 * (1 + number)}, (64, 64), 5)

    def identity(self) -> dict[str, Any]:
        return {"model": {"name": "m"}, "device": "cpu", "threads": 2}

    def floor(self, job: Job) -> dict[str, Part] | None:
        return {"text": Part(10, "float32"), "denoise": Part(60, "bfloat16")}

    def rates(self) -> dict[str, float] | None:
        return {"float32": 100.0, "bfloat16": 200.0}

    def close(self) -> None:
        self.closed = True


def test_systems_take_turns_and_figures_are_right() -> None:
    log: list[str] = []
    systems = [Fake("a", log), Fake("b", log)]
    seen: list[tuple[int, int]] = []
    body = measure(systems, JOBS, 3, {"steps": None}, lambda done, total: seen.append((done, total)))
    assert log == ["a 0", "b 0", "a 1", "b 1"] * 4 and seen[-1] == (16, 16)
    assert all(s.closed for s in systems) and body["rates"] == {"float32": 100.0, "bfloat16": 200.0}
    job = body["systems"]["a"]["jobs"]["edit, 64 px"]
    assert len(job["runs"]) == 3  # calls 1, 2 and 3 took 2, 3 and 4 seconds; call 0 warms up
    assert job["seconds"] == {"p50": 3.0, "p95": pytest.approx(3.9)}
    assert job["step"] == {"p50": pytest.approx(0.3), "p95": pytest.approx(np.percentile([0.2, 0.3, 0.4], 95))}
    assert job["stages"]["text"] == {"p50": 0.25, "p95": 0.25}
    assert job["stages"][ELSE]["p50"] == pytest.approx(3 - 0.25 - 1.5)
    least = 10 / 100 + 60 / 200
    assert job["floor"]["flops"] == 70 and job["floor"]["seconds"] == pytest.approx(least)
    assert job["floor"]["share"] == pytest.approx(least / 3, abs=1e-4)
    assert job["floor"]["denoise_share"] == pytest.approx(0.3 / 1.5, abs=1e-4)
    assert body["systems"]["b"]["cold"]["total"] == 7.5


def test_a_failing_system_is_named_and_the_others_go_on(tmp_path: Path) -> None:
    log: list[str] = []
    once = Fake("once", log, {("edit, 64 px", 1): JobFailed("no references")})
    dies = Fake("dies", log, {("text-to-image, 64 px", 2): SystemGone("signal 9")})
    never = Fake("never", log, {("start", 0): SystemGone("no such model")})
    body = measure([never, once, dies, Fake("fine", log)], JOBS, 3, {})
    assert body["systems"]["never"]["failed"] == "no such model" and body["systems"]["never"]["cold"] is None
    assert body["systems"]["once"]["jobs"]["edit, 64 px"]["failed"] == "no references"
    assert body["systems"]["once"]["jobs"]["edit, 64 px"]["seconds"] is None
    assert len(body["systems"]["once"]["jobs"]["text-to-image, 64 px"]["runs"]) == 3
    assert body["systems"]["dies"]["failed"] == "signal 9"
    assert len(body["systems"]["dies"]["jobs"]["text-to-image, 64 px"]["runs"]) == 1
    assert len(body["systems"]["fine"]["jobs"]["edit, 64 px"]["runs"]) == 3
    report, console = latency_report(body), Console(width=160, record=True, file=io.StringIO())
    report.show(console)
    text = console.export_text()
    for words in ("once, edit, 64 px: no references", "never, everything from then on: no such model", "P95 s", "else"):
        assert words in text
    assert "missing" in report.write(tmp_path).read_text()


def test_nothing_to_show_is_an_error() -> None:
    with pytest.raises(RunError, match=r"never: no such model"):
        measure([Fake("never", [], {("start", 0): SystemGone("no such model")})], JOBS, 1, {})
    with pytest.raises(OptionError, match="nothing to measure"):
        measure([], JOBS, 1, {})
    with pytest.raises(OptionError, match="at least 1"):
        measure([Fake("a", [])], JOBS, 0, {})


def test_without_rates_there_is_no_floor() -> None:
    runs = [Taken(1.0, {"request": 0.5}, (8, 8))]
    figures = summary(runs, None, {})
    assert figures["floor"] is None and figures["step"] is None and figures["steps"] is None
    assert summary(runs, {"x": Part(1, "float16")}, {"float32": 1.0})["floor"] is None
    assert summary([], None, {})["seconds"] is None


# --- the two pipelines -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ours(debug_folder: Path) -> Ours:
    return Ours(str(debug_folder), "cpu", "float32")


@pytest.mark.parametrize("references", [0, 2])
def test_stages_of_ours_add_up(ours: Ours, references: int, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: Counter[str] = Counter()

    class Counted(Stages):
        def _timed(self, stage: str, method: Callable[..., Any]) -> Callable[..., Any]:
            inner = super()._timed(stage, method)

            def counted(*arguments: Any, **named: Any) -> Any:
                calls[stage] += 1
                return inner(*arguments, **named)

            return counted

    monkeypatch.setattr("inkontext.evaluation.latency.child.Stages", Counted)
    taken = ours.run(Job(48, references, 3))
    assert calls == Counter({"text": 1, "encode": references, "denoise": 3, "decode": 1})
    assert taken.size == (48, 48) and taken.steps == 3
    assert (taken.stages["encode"] > 0) == (references > 0)
    assert all(taken.stages[s] > 0 for s in ("text", "denoise", "decode"))
    (run,) = summary([taken], None, {})["runs"]
    assert run["stages"][ELSE] > 0 and sum(run["stages"].values()) == pytest.approx(run["seconds"], abs=1e-8)


@pytest.mark.parametrize("references", [0, 2])
def test_a_kept_context_is_timed_and_counted_in_every_call(references: int) -> None:
    """Same pictures, same prompt, three calls: each does what the floor counts, and nothing was left from before."""
    fast = Ours("tiny-fast", "cpu", "float32")
    job = Job(64, references, 2)
    parts = fast.floor(job)
    for _ in range(3):
        with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
            taken = fast.run(job)
        assert taken.stages["context"] > 0 and taken.stages["denoise"] > 0
        assert sum(flops for flops, _ in parts.values()) == pytest.approx(counter.get_total_flops(), rel=0.01)
    found = summary([taken], {name: Part(*part) for name, part in parts.items()}, {"float32": 1e9, "bfloat16": 1e9})
    assert set(found["stages"]) == {"text", "encode", "context", "denoise", "decode", ELSE}
    assert found["floor"]["denoise_share"] > 0
    assert set(found["floor"]["flops_by_stage"]) == set(found["stages"]) - {ELSE}


def test_a_clock_that_stood_still_has_no_share() -> None:
    taken = Taken(0.0, {"denoise": 0.0}, (64, 64), 2)
    floor = summary([taken], {"denoise": Part(10, "float32")}, {"float32": 5.0})["floor"]
    assert (floor["flops"], floor["seconds"], floor["share"], floor["denoise_share"]) == (10, 2.0, None, None)


def test_timing_leaves_the_pipeline_as_it_was(ours: Ours) -> None:
    p = ours.pipeline
    before = [set(vars(part)) for part in (p.towers, p.autoencoder, p.transformer)]
    ours.run(Job(64, 0, 1))
    assert [set(vars(part)) for part in (p.towers, p.autoencoder, p.transformer)] == before
    with pytest.raises(ZeroDivisionError), Stages(CPU, [("text", p.towers, "encode")]):
        _ = 1 / 0
    assert "encode" not in vars(p.towers)


def test_a_size_is_the_canvas(ours: Ours, monkeypatch: pytest.MonkeyPatch) -> None:
    """At another size than the model's, as many tokens as that size has are evaluated."""
    tokens: list[int] = []
    forward = ours.pipeline.transformer.forward

    def spy(*arguments: Any, **named: Any) -> Any:
        tokens.append(named["img"].shape[1])
        return forward(*arguments, **named)

    for job in (Job(96, 1, 1), Job(None, 0, 1)):
        monkeypatch.setattr(type(ours.pipeline.transformer), "forward", lambda self, *a, **k: spy(*a, **k))
        ours.run(job)
    assert tokens == [2 * 36, 16]


def test_diffusers_does_the_same_work(debug_folder: Path, ours: Ours) -> None:
    theirs = Diffusers(str(debug_folder), "cpu", "float32")
    taken = theirs.run(Job(64, 1, 2))
    assert taken.size == (64, 64) and taken.steps == 2
    assert all(seconds > 0 for seconds in taken.stages.values()) and sum(taken.stages.values()) <= taken.seconds
    assert set(taken.stages) == set(ours.run(Job(64, 1, 1)).stages)
    assert theirs.floor(Job(64, 1)) == ours.floor(Job(64, 1))
    assert theirs.run(Job(None, 0, 1)).stages["encode"] == 0
    with pytest.raises(OptionError, match="one reference"):
        theirs.run(Job(64, 2))


def test_the_floor_is_what_pytorch_counts(pipeline: Pipeline, ours: Ours) -> None:
    """Every matrix product of a whole edit with two references, counted while it runs."""
    ours.run(Job(64, 2, 3))  # its tokens of position are made
    parts = ours.floor(Job(64, 2, 3))
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        ours.run(Job(64, 2, 3))
    assert sum(flops for flops, _ in parts.values()) == pytest.approx(counter.get_total_flops(), rel=0.01)
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        pipeline.towers.encode("a house")
    assert parts["text"][0] == pytest.approx(counter.get_total_flops(), rel=0.02)
    t5: Any = pipeline.towers.t5.config
    assert tower_flops(pipeline.towers.t5, 64, t5.num_layers, t5.num_heads * t5.d_kv) < parts["text"][0]
    cfg = pipeline.transformer.cfg, pipeline.autoencoder.cfg
    one, two = (picture_flops(*cfg, 0, 64, 64, n, 1)["encode"] for n in (1, 2))
    assert two == 2 * one > 0
    assert set(ours.rates()) == {"float32"} and ours.rates()["float32"] > 0


def test_tasks_of_the_child(debug_folder: Path, ours: Ours) -> None:
    assert answer({"do": "up"}, None) == ("up", None)
    said, _ = answer({"do": "run", "job": {"size": 64, "references": 0, "steps": 1}}, ours)
    assert said["size"] == (64, 64) and set(said["stages"]) == {"text", "encode", "denoise", "decode"}
    identity, same = answer({"do": "identity"}, ours)
    assert same is ours and identity["dtypes"]["denoise"] == "float32" and identity["model"]["name"] == "debug"
    assert str(debug_folder) not in str(identity)


# --- the process -----------------------------------------------------------------------------------------------

ECHO = """
import json, sys
replies = {"up": "up", "load": 2.5, "identity": {"device": "cpu"}, "rates": {"float32": 1.0},
           "floor": {"text": [3, "float32"]},
           "run": {"seconds": 1.5, "stages": {"text": 1.0}, "size": [8, 8], "steps": 2}}
for line in sys.stdin:
    task = json.loads(line)
    %s
    print(json.dumps({"ok": replies[task["do"]]}), flush=True)
"""


def local(script: str) -> Local:
    return Local("x", "ours", "m", None, None, (sys.executable, "-c", ECHO % script))


def test_a_child_answers_and_goes() -> None:
    child = local("pass")
    cold = child.start(Job(8 * 16, 0))
    assert cold is not None and (cold["load"], cold["first"]) == (2.5, 1.5) and cold["total"] > 0
    assert child.run(JOBS[0]) == Taken(1.5, {"text": 1.0}, (8, 8), 2)
    assert child.floor(JOBS[0]) == {"text": Part(3, "float32")} and child.identity() == {"device": "cpu"}
    process = child._child
    child.close()
    assert process is not None and process.returncode == 0


def test_a_child_that_fails_or_dies() -> None:
    error = "print(json.dumps({'error': 'too many'}), flush=True); continue"
    child = local(f"if task['do'] == 'run' and task['job']['references']: {error}")
    child.start(JOBS[0])
    with pytest.raises(JobFailed, match="too many") as failed:
        child.run(JOBS[1])
    assert not isinstance(failed.value, SystemGone)
    assert child.run(JOBS[0]).seconds == 1.5
    child.close()
    child = local("if task['do'] == 'load': print('out of luck', file=sys.stderr); sys.exit(7)")
    with pytest.raises(SystemGone, match=r"code 7 \(out of luck\)"):
        child.start(JOBS[0])
    with pytest.raises(SystemGone):
        child.run(JOBS[0])
    child.close()
