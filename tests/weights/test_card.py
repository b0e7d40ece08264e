"""`inkontext.json`, and what stands in for it."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from diffusers import FlowMatchEulerDiscreteScheduler

from inkontext.errors import WeightsError
from inkontext.model.presets import PRESETS, Sampling
from inkontext.weights.card import Card, read_card, read_json, recognise, sampling_for
from inkontext.weights.scheduler import scheduler_json

presets = pytest.mark.parametrize("name", sorted(PRESETS))


def card(name: str = "debug", **extra: Any) -> Card:
    p = PRESETS[name]
    return Card(p.name, p.transformer, p.autoencoder, p.sampling, **extra)


@presets
def test_a_card_is_read_back_as_it_was(tmp_path: Path, name: str) -> None:
    written = card(name, trained=False, notes={"seed": 3, "commands": ["make demo"]})
    written.save(tmp_path / "inkontext.json")
    assert read_card(tmp_path / "inkontext.json") == written


def test_no_card_is_no_mistake(tmp_path: Path) -> None:
    assert read_card(tmp_path / "inkontext.json") is None


def spoilt(folder: Path, **changes: Any) -> Path:
    """A card in which dotted fields have other values; None removes one."""
    path = folder / "inkontext.json"
    card().save(path)
    body = json.loads(path.read_text())
    for field, value in changes.items():
        *parents, leaf = field.split("__")
        part = body
        for parent in parents:
            part = part[parent]
        part.pop(leaf, None)
        if value is not None:
            part[leaf] = value
    path.write_text(json.dumps(body))
    return path


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": 2}, "has another format than 1; update inkontext"),
        ({"format": None}, "has another format than 1"),
        ({"wings": 2}, r"fields this version does not know \(wings\)"),
        ({"transformer__wings": 2}, r"fields this version does not know \(wings\)"),
        ({"sampling__wings": 2}, r"fields this version does not know \(wings\)"),
        ({"autoencoder": None}, "lacks autoencoder; restore it"),
        ({"name": None}, "lacks name; restore it"),
        ({"name": ""}, "impossible Card: name '' cannot be printed"),
        ({"name": "\x1b[31m"}, "impossible Card: name .* cannot be printed"),
        ({"name": "\ud800"}, "impossible Card: name .* cannot be printed"),
        ({"autoencoder__norm_groups": 0}, "impossible AutoencoderConfig: .*norm_groups 0"),
        ({"autoencoder__ch_mult": []}, "impossible AutoencoderConfig: ch_mult"),
        ({"autoencoder__scale_factor": 0}, "impossible AutoencoderConfig: latents cannot be scaled by 0"),
        ({"transformer__axes_dim": [-2, 8, 10]}, "impossible TransformerConfig: axes_dim.* out of its range"),
        ({"sampling__spacing": "cubic"}, "impossible Sampling: spacing"),
        ({"sampling__terminal": 1.0}, "impossible Sampling: the terminal time 1.0"),
        ({"sampling__shift_type": "linear"}, "impossible Sampling: the linear shift"),
        ({"transformer": [1]}, r"fields this version does not know \(\[1\]\)"),
        ({"transformer__axes_dim": [4, 6]}, r"impossible TransformerConfig: axes_dim"),
        ({"transformer__axes_dim": [4, 6, 8]}, "sums to 18, head dim is 16"),
        ({"transformer__hidden_size": "wide"}, "impossible TransformerConfig: hidden_size"),
        ({"transformer__num_heads": 0}, "impossible TransformerConfig"),
        ({"sampling__steps": "many"}, "impossible Sampling: steps"),
        ({"sampling__shift": [1, 2]}, "impossible Sampling: shift"),
        ({"notes": "none"}, "impossible Card: notes"),
    ],
)
def test_a_bad_card_is_refused_in_one_line(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(WeightsError, match=message) as caught:
        read_card(spoilt(tmp_path, **changes))
    assert "inkontext.json" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b'"text"', b"\xff\xfe\x00", b"null"])
def test_what_is_no_json_object_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(WeightsError, match=r"a\.json' .*restore it from where the model came"):
        read_json(tmp_path / "a.json")


@pytest.mark.parametrize(
    ("name", "preset", "found"),
    [
        ("flux1-kontext-dev", "kontext-dev", "kontext-dev"),
        ("FLUX.1-Kontext-dev", "kontext-dev", "kontext-dev"),
        ("flux1-krea-dev", "krea-dev", "krea-dev"),
        ("my-finetune", "dev", "kontext-dev"),
        ("flux1-schnell", "schnell", "schnell"),
        ("unnamed", "schnell", "schnell"),
        ("kontext-base", "kontext-base", "kontext-base"),
        ("flux1-fill-dev", "fill-dev", "fill-dev"),
        ("flux1-canny-dev", "canny-dev", "canny-dev"),
        ("flux1-depth-dev", "depth-dev", "depth-dev"),
        ("tiny", "tiny", "tiny"),
    ],
)
def test_released_models_are_recognised(name: str, preset: str, found: str) -> None:
    known = recognise(name, PRESETS[preset].transformer)
    assert known is not None
    assert known.name == found


def test_an_own_architecture_is_nobodys() -> None:
    cfg = replace(PRESETS["dev"].transformer, depth=3)
    assert recognise("flux1-dev", cfg) is None
    assert sampling_for("x", cfg, None).guidance == 2.5
    assert sampling_for("x", replace(cfg, guidance_embed=False), None).guidance is None


@presets
def test_the_scheduler_file_says_the_same(name: str) -> None:
    preset = PRESETS[name]
    assert sampling_for(name, preset.transformer, scheduler_json(preset.sampling)).shift == preset.sampling.shift


@presets
def test_diffusers_schedules_the_same_times(name: str) -> None:
    from inkontext.flow.timesteps import schedule

    sampling, tokens, steps = PRESETS[name].sampling, 1000, 7
    theirs: Any = FlowMatchEulerDiscreteScheduler.from_config(scheduler_json(sampling))
    mu = None
    if sampling.shift:
        (n0, mu0), (n1, mu1) = sampling.shift
        mu = mu0 + (mu1 - mu0) * (tokens - n0) / (n1 - n0)
    theirs.set_timesteps(sigmas=[1 - i / steps for i in range(steps)], mu=mu)
    assert schedule(steps, tokens, sampling.shift) == pytest.approx(theirs.sigmas.tolist(), abs=1e-6)


def test_a_constant_shift_is_kept() -> None:
    shift = sampling_for("x", PRESETS["dev"].transformer, {"shift": 3.0, "use_dynamic_shifting": False}).shift
    assert shift == ((256, math.log(3.0)), (4096, math.log(3.0)))


@pytest.mark.parametrize("scheduler", [{"shift": "big"}, {"shift": 0}, {"use_dynamic_shifting": True, "max_shift": []}])
def test_a_bad_scheduler_file_is_refused(scheduler: dict[str, Any]) -> None:
    with pytest.raises(WeightsError, match="the scheduler config of 'x' cannot be used"):
        sampling_for("x", PRESETS["dev"].transformer, scheduler)


def test_no_shift_for_schnell() -> None:
    assert sampling_for("flux1-schnell", PRESETS["schnell"].transformer, None) == Sampling(
        steps=4, guidance=None, text_length=256, shift=None
    )
