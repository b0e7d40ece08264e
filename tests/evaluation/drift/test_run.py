"""Chains of the world, the measures on them, and the shape of what is written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from inkontext.data.world.chain import Chain, sample_chain
from inkontext.data.world.render import render
from inkontext.errors import OptionError, UnfinishedError
from inkontext.evaluation.drift.measures import Judge, _psnr
from inkontext.evaluation.drift.run import Plan, evaluate, run_chain
from inkontext.evaluation.world.systems import ModelSystem
from inkontext.pipeline import Pipeline


@pytest.fixture(scope="module")
def chain() -> Chain:
    return sample_chain(3, 6, 64)


@pytest.mark.parametrize("seed", range(4))
def test_a_chain_holds_what_it_promises(seed: int) -> None:
    chain = sample_chain(seed, 6, 64)
    subjects = [turn.edit.subject for turn in chain.turns]
    assert subjects == [subjects[0], subjects[1]] * 3 and len(set(subjects)) == 2 and chain.hero not in subjects
    before = np.asarray(chain.first)
    for number, turn in enumerate(chain.turns, 1):
        after = np.asarray(turn.target)
        assert (after[~turn.mask] == before[~turn.mask]).all() and (after != before).any()
        untouched = chain.untouched(number)
        assert (after[untouched] == np.asarray(chain.first)[untouched]).all()
        assert not (chain.silhouette & ~untouched).any()
        assert turn.target.tobytes() == render(turn.scene, 64).tobytes()
        if turn.edit.old not in turn.edit.new:  # no name that an edit makes untrue; light blue is no blue
            assert turn.edit.old not in turn.instruction.lower().split()
        before = after
    assert chain.untouched(6).mean() > 0.7
    again = sample_chain(seed, 6, 64)
    assert [t.instruction for t in again.turns] == [t.instruction for t in chain.turns]
    assert again.first.tobytes() == chain.first.tobytes()


def test_where_nothing_is_left_to_compare_nothing_is_measured() -> None:
    a = np.random.default_rng(0).integers(0, 256, (40, 52, 3), np.uint8)
    b, half = a ^ 16, np.arange(40 * 52).reshape(40, 52) % 2 == 0
    b[~half] = 0
    assert _psnr(a, b, half) == pytest.approx(20 * np.log10(255 / 16), abs=1e-6)
    assert _psnr(a, a, half) == 99 and _psnr(a, b, half & ~half) is None


def test_the_truth_scores_full_and_the_first_picture_follows_nothing(chain: Chain) -> None:
    judge = Judge(chain)
    before = chain.first
    for number, turn in enumerate(chain.turns, 1):
        right = judge.measure(turn.target, number, before)
        assert right == {"untouched_psnr": 99.0, "identity": 1.0, "recognised": True, "followed": True}
        assert judge.measure(chain.first, number, chain.first)["followed"] is False
        before = turn.target
    for stranger in judge.strangers[:3]:
        assert not judge.measure(Image.fromarray(stranger), 1, chain.first)["recognised"]
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    lost = judge.measure(Image.fromarray(noise), 1, chain.first)
    assert lost["identity"] < 0.3 and lost["untouched_psnr"] < 12


def test_both_arms_begin_alike_and_ours_keeps(chain: Chain, pipeline: Pipeline) -> None:
    system = ModelSystem(pipeline, steps=1)
    row, strip = run_chain("0000", chain, ("naive", "latents"), system, lambda done: None)
    assert row["arms"]["naive"]["untouched_psnr"][0] == row["arms"]["latents"]["untouched_psnr"][0]
    assert row["arms"]["naive"]["untouched_psnr"][1:] != row["arms"]["latents"]["untouched_psnr"][1:]
    assert strip.size == (5 * 64, 3 * 64)  # after 0, 1, 2, 5 and 6 turns; the truth and two arms
    assert strip.crop((0, 0, 64, 64)).tobytes() == chain.first.tobytes()


def test_a_run_and_one_that_goes_on_end_with_the_same_bytes(pipeline: Pipeline, tmp_path: Path) -> None:
    plan = Plan(64, turns=3, seed=2, limit=2)
    system = ModelSystem(pipeline, steps=1)
    seen: list[tuple[int, int]] = []
    body = evaluate(plan, system, tmp_path / "a", lambda done, total: seen.append((done, total))).body
    assert seen == [(n, 12) for n in range(1, 13)]
    for name in ("untouched_psnr", "identity", "recognised", "followed"):
        for arm in ("ours", "naive"):
            assert len(body[name][arm]) == len(body["intervals"][name][arm]) == 3
            values = [row["arms"][arm][name][1] for row in body["rows"]]
            assert body[name][arm][1] == pytest.approx(np.mean(values), abs=1e-6)

    class StopError(Exception):
        pass

    def stop(done: int, total: int) -> None:
        if done == 8:
            raise StopError

    with pytest.raises(UnfinishedError, match="StopError"):
        evaluate(plan, system, tmp_path / "b", stop)
    evaluate(plan, system, tmp_path / "b")
    names = ("results.json", "report.html", "outputs/0000.png", "outputs/0001.png")
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert str(tmp_path) not in (tmp_path / "a/results.json").read_text()
    assert json.loads((tmp_path / "a/results.json").read_text()) == json.loads(json.dumps(body))


@pytest.mark.parametrize("change", [{"turns": 0}, {"limit": 0}, {"seed": -1}, {"arms": ("ours", "mine")}, {"arms": ()}])
def test_plans_that_make_no_sense(change: dict) -> None:
    with pytest.raises(OptionError):
        Plan(64, **change)


def test_arms_at_another_resolution(chain: Chain, pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int | None, int | None]] = []
    edit = pipeline.edit

    def spy(*given: Any, **more: Any) -> Any:
        seen.append((more.get("resolution"), more.get("context_resolution")))
        return edit(*given, **more)

    monkeypatch.setattr(pipeline, "edit", spy)
    system = ModelSystem(pipeline, steps=1, resolution=48, context_resolution=96)
    assert (system.identity["resolution"], system.identity["context_resolution"]) == (48, 96)
    row, strip = run_chain("0000", chain, ("ours", "naive"), system, lambda done: None)
    assert set(seen) == {(48, 96)} and strip.size == (5 * 64, 3 * 64)
    assert all(value is not None for arm in row["arms"].values() for value in arm["untouched_psnr"])
    plain = ModelSystem(pipeline, steps=1)
    assert plain.identity["resolution"] == 64 and "context_resolution" not in plain.identity
    assert "resolution" not in plain.sampling
