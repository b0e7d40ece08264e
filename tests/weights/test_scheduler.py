"""`scheduler_config.json` against diffusers' own schedulers: the same times, or a sentence."""

from __future__ import annotations

import inspect
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
from diffusers import FlowMatchEulerDiscreteScheduler, FlowMatchLCMScheduler, SchedulerMixin
from diffusers.pipelines.flux.pipeline_flux_kontext import calculate_shift

from inkontext.errors import WeightsError
from inkontext.flow.timesteps import shift_time
from inkontext.model.presets import Sampling
from inkontext.weights.load import sampling_of, transformer_of
from inkontext.weights.scheduler import check_agreement, scheduled, scheduler_json
from inkontext.weights.source import resolve

DYNAMIC = {"use_dynamic_shifting": True}
KINDS: dict[str, dict[str, Any]] = {
    "nothing said": {},
    "shift": {"shift": 3.0},
    "shift below 1": {"shift": 0.4},
    "shift ignored": DYNAMIC | {"shift": 7.0},
    "another line": DYNAMIC | {"base_shift": 0.2, "max_shift": 2.0, "base_image_seq_len": 64, "max_image_seq_len": 999},
    "linear": DYNAMIC | {"time_shift_type": "linear"},
    "linear ignored": {"time_shift_type": "linear", "shift": 2.0},
    "terminal": DYNAMIC | {"shift_terminal": 0.1},
    "terminal and shift": {"shift_terminal": 0.02, "shift": 3.0},
    "terminal 0": {"shift_terminal": 0.0},
    "karras": DYNAMIC | {"use_karras_sigmas": True},
    "karras and terminal": DYNAMIC | {"use_karras_sigmas": True, "shift_terminal": 0.1},
    "exponential": {"use_exponential_sigmas": True, "shift": 3.0},
    "beta": DYNAMIC | {"use_beta_sigmas": True},
    "beta, linear, terminal": DYNAMIC
    | {"use_beta_sigmas": True, "time_shift_type": "linear", "shift_terminal": 0.3, "max_shift": 3.0},
    "stochastic": DYNAMIC | {"stochastic_sampling": True},
}


def their_times(theirs: Any, steps: int, tokens: int) -> np.ndarray:
    """As `FluxKontextPipeline.__call__` asks for them."""
    names = ("base_image_seq_len", "max_image_seq_len", "base_shift", "max_shift")
    mu = calculate_shift(tokens, *(theirs.config.get(n) for n in names))
    theirs.set_timesteps(sigmas=np.linspace(1.0, 1 / steps, steps), mu=mu)
    return theirs.sigmas.numpy()


@pytest.mark.parametrize("kind", [FlowMatchEulerDiscreteScheduler, FlowMatchLCMScheduler])
@pytest.mark.parametrize("name", KINDS)
def test_times_equal_diffusers(kind: Any, name: str, tmp_path: Path) -> None:
    config = KINDS[name]
    if kind is FlowMatchLCMScheduler and "stochastic_sampling" in config:
        config = DYNAMIC
    kind(**config).save_pretrained(tmp_path)
    saved = json.loads((tmp_path / "scheduler_config.json").read_text())
    sampling = scheduled(Sampling(), saved, "x")
    consistent = kind is FlowMatchLCMScheduler or "stochastic_sampling" in config
    assert sampling.solver == ("consistency" if consistent else "euler")
    for steps in (1, 2, 4, 28):
        for tokens in (12, 64, 4116):
            if steps == 1 and config.get("shift_terminal"):
                continue  # 0 / 0 there
            theirs = their_times(kind.from_pretrained(tmp_path), steps, tokens)
            np.testing.assert_allclose(sampling.times(steps, tokens), theirs, rtol=0, atol=3e-7)


def test_a_single_step_begins_at_the_noise_whatever_the_terminal() -> None:
    assert scheduled(Sampling(), {"shift_terminal": 0.1}, "x").times(1, 64) == [1, 0]


@pytest.mark.parametrize("name", KINDS)
def test_what_is_written_says_the_same(name: str) -> None:
    sampling = scheduled(Sampling(), KINDS[name], "x")
    written = scheduler_json(sampling)
    again = scheduled(Sampling(), written, "x")
    assert again.times(7, 1000) == pytest.approx(sampling.times(7, 1000), abs=1e-9)
    assert again.solver == sampling.solver
    check_agreement(sampling, written, "x")
    theirs = their_times(FlowMatchEulerDiscreteScheduler.from_config(written), 7, 1000)
    np.testing.assert_allclose(sampling.times(7, 1000), theirs, rtol=0, atol=3e-7)


@pytest.mark.parametrize("kind", [FlowMatchEulerDiscreteScheduler, FlowMatchLCMScheduler])
def test_every_field_of_diffusers_is_known(kind: Any) -> None:
    defaults = {n: p.default for n, p in inspect.signature(kind).parameters.items()}
    usual = scheduled(Sampling(), {"_class_name": kind.__name__}, "x")
    assert scheduled(Sampling(), {"_class_name": kind.__name__} | defaults, "x") == usual


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "invert": ({"invert_sigmas": True}, "invert_sigmas is true, which must be false"),
    "trained steps": ({"num_train_timesteps": 500}, "num_train_timesteps is 500, which must be 1000"),
    "terminal": ({"shift_terminal": 1.0}, "shift_terminal is 1.0, which must be null or between 0 and 1"),
    "zero shift": ({"shift": 0}, "shift is 0.0, which must be above 0"),
    "no number": ({"shift": "3"}, 'shift is "3", which must be a number'),
    "nan": ({"shift": float("nan")}, "shift is NaN, which must be above 0"),
    "no truth": ({"use_karras_sigmas": "false"}, 'use_karras_sigmas is "false", which must be true or false or null'),
    "two spacings": (
        {"use_karras_sigmas": True, "use_beta_sigmas": True},
        "use_beta_sigmas is true, which excludes use_karras_sigmas",
    ),
    "shift type": ({"time_shift_type": "cubic"}, 'time_shift_type is "cubic", which must be exponential or linear'),
    "no line": (DYNAMIC | {"max_shift": None}, "use_dynamic_shifting is true, which needs base_shift and max_shift"),
    "no two points": (DYNAMIC | {"base_image_seq_len": 4096}, "no line through two numbers of tokens"),
    "linear below 0": (DYNAMIC | {"time_shift_type": "linear", "base_shift": -0.5}, "not above 0 at every number"),
    "scales": (
        {"_class_name": "FlowMatchLCMScheduler", "scale_factors": [0.5]},
        "scale_factors is [0.5], which must be null",
    ),
    "unknown": ({"sigma_min": 0.1}, "sigma_min is 0.1, which is no field of FlowMatchEulerDiscreteScheduler"),
    "another class's": ({"scale_factors": None}, "scale_factors is null, which is no field of FlowMatchEuler"),
    "class": ({"_class_name": ["Euler"]}, """'x' is scheduled by ["Euler"], which is not implemented here"""),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_implemented_is_refused_by_name(case: str) -> None:
    config, message = REFUSED[case]
    with pytest.raises(WeightsError) as caught:
        scheduled(Sampling(), config, "x")
    assert message in str(caught.value)
    assert "'x'" in str(caught.value) and "\n" not in str(caught.value)


def test_every_other_class_of_diffusers_is_refused() -> None:
    implemented = {"FlowMatchEulerDiscreteScheduler", "FlowMatchLCMScheduler"}
    found = 0
    for name in dir(diffusers):
        kind = getattr(diffusers, name, None) if name.endswith("Scheduler") else None
        if isinstance(kind, type) and issubclass(kind, SchedulerMixin) and name not in implemented:
            found += 1
            with pytest.raises(WeightsError, match=f'scheduled by "{name}", which is not implemented here'):
                scheduled(Sampling(), {"_class_name": name}, "x")
    assert found > 30


def test_a_models_own_notes_are_no_fields() -> None:
    assert scheduled(Sampling(), {"_diffusers_version": "9", "_name_or_path": "a"}, "x").shift is None


def edited(debug_folder: Path, target: Path, card: bool, config: dict[str, Any], index: str | None = None) -> Path:
    """A copy of the model with another scheduler, with or without its card."""
    folder = shutil.copytree(debug_folder, target)
    if not card:
        (folder / "inkontext.json").unlink()
    path = folder / "scheduler/scheduler_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | config))
    if index is not None:
        body = json.loads((folder / "model_index.json").read_text())
        (folder / "model_index.json").write_text(json.dumps(body | {"scheduler": ["diffusers", index]}))
    return folder


def read(folder: Path) -> Sampling:
    source = resolve(folder)
    return sampling_of(source, transformer_of(source)[1])


def test_the_class_in_the_index_is_believed_first(debug_folder: Path, tmp_path: Path) -> None:
    assert read(edited(debug_folder, tmp_path / "lcm", False, {}, "FlowMatchLCMScheduler")).solver == "consistency"
    with pytest.raises(WeightsError, match="FlowMatchHeunDiscreteScheduler"):
        read(edited(debug_folder, tmp_path / "heun", False, {}, "FlowMatchHeunDiscreteScheduler"))


@pytest.mark.parametrize(
    ("config", "index", "differing"),
    [
        ({"max_shift": 0.75}, None, "shift"),
        ({"shift_terminal": 0.1}, None, "terminal null against 0.1"),
        ({"use_karras_sigmas": True}, None, 'spacing "uniform" against "karras"'),
        ({"stochastic_sampling": True}, None, 'solver "euler" against "consistency"'),
        ({}, "FlowMatchLCMScheduler", 'solver "euler" against "consistency"'),
    ],
)
def test_a_card_and_a_scheduler_must_agree(
    debug_folder: Path, tmp_path: Path, config: dict[str, Any], index: str | None, differing: str
) -> None:
    folder = edited(debug_folder, tmp_path / "edited", True, config, index)
    with pytest.raises(
        WeightsError, match=r"inkontext\.json and scheduler_config\.json of 'edited' do not agree"
    ) as it:
        read(folder)
    assert differing in str(it.value)


@pytest.mark.parametrize("solver", ["heun", "midpoint", "multistep"])
def test_a_solver_that_diffusers_has_no_name_for_agrees(solver: str) -> None:
    sampling = replace(Sampling(), solver=solver)
    check_agreement(sampling, scheduler_json(sampling), "x")


def test_the_mode_of_training_times_is_the_shift_whatever_its_type() -> None:
    """A linear shift by m is the exponential one by log m."""
    linear = scheduled(Sampling(), DYNAMIC | {"time_shift_type": "linear"}, "x")
    assert linear.mu(256) == pytest.approx(np.log(0.5))
    assert shift_time(0.3, linear.mu(256)) == pytest.approx(0.5 / (0.5 + (1 / 0.3 - 1)))
    assert (Sampling().mu(256), Sampling(shift=None).mu(256)) == (0.5, 0.0)
