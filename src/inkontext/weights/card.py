"""`inkontext.json`: what tensors alone cannot say about a model, kept beside them.

Holds the configurations, how to sample, and how references are positioned. Where the file is absent (every
released FLUX checkpoint) the same facts are recognised from shapes, scheduler config and name.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from inkontext.errors import WeightsError
from inkontext.flow.solvers import CONSISTENCY
from inkontext.model.presets import PRESETS, AutoencoderConfig, Preset, Sampling, TransformerConfig
from inkontext.storage import write_json

CARD = "inkontext.json"
FORMAT = 1


@dataclass(frozen=True)
class Card:
    """A model's own description of itself.

    Attributes:
        trained: False for random weights made for tests and demonstrations.
        notes: free facts for people (numbers, commands, seeds, sources).
    """

    name: str
    transformer: TransformerConfig
    autoencoder: AutoencoderConfig
    sampling: Sampling
    trained: bool = True
    notes: dict[str, Any] | None = None

    def save(self, path: Path) -> None:
        write_json(path, {"format": FORMAT} | asdict(self))


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object; raises WeightsError where it is not one."""
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise WeightsError(f"'{path}' is no readable JSON ({error}); restore it from where the model came") from error
    if not isinstance(body, dict):
        raise WeightsError(f"'{path}' should hold a JSON object; restore it from where the model came")
    return body


def _build(kind: type, body: Any, path: Path) -> Any:
    known = {f.name for f in fields(kind)}
    if not isinstance(body, dict) or set(body) - known:
        extra = ", ".join(sorted(set(body) - known)) if isinstance(body, dict) else str(body)
        raise WeightsError(f"'{path}' has fields this version does not know ({extra}); update inkontext")
    try:
        return TypeAdapter(kind).validate_python(body)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise WeightsError(f"'{path}' describes an impossible {kind.__name__}: {where} {first['msg']}") from error
    except ZeroDivisionError as error:
        raise WeightsError(f"'{path}' describes an impossible {kind.__name__}: {error}") from error


def read_card(path: Path) -> Card | None:
    """The card at `path`, or None if there is none."""
    if not path.exists():
        return None
    body = read_json(path)
    if body.pop("format", None) != FORMAT:
        raise WeightsError(f"'{path}' has another format than {FORMAT}; update inkontext")
    parts = {"transformer": TransformerConfig, "autoencoder": AutoencoderConfig, "sampling": Sampling}
    if missing := sorted({"name", *parts} - set(body)):
        raise WeightsError(f"'{path}' lacks {', '.join(missing)}; restore it from where the model came")
    return _build(Card, body | {key: _build(kind, body[key], path) for key, kind in parts.items()}, path)


def recognise(name: str, cfg: TransformerConfig) -> Preset | None:
    """The released model of this architecture; the name decides between models of equal shape.

    Kontext [dev] and FLUX.1 [dev] differ in nothing but values, so an unnamed one is taken for Kontext.
    """
    same = [p for p in PRESETS.values() if p.transformer == cfg]
    named = [p for p in same if p.name.removesuffix("-dev") in name.lower() and p.name != "dev"]
    if named:
        return named[0]
    if any(p.name == "schnell" for p in same):
        return PRESETS["schnell"]
    return same[0] if same else None


def sampling_for(name: str, cfg: TransformerConfig, scheduler: dict[str, Any] | None) -> Sampling:
    """How to sample a model that brings no card, with its scheduler config where there is one."""
    preset = recognise(name, cfg)
    sampling = preset.sampling if preset else Sampling(guidance=2.5 if cfg.guidance_embed else None)
    if scheduler is None:
        return sampling
    try:
        solver = CONSISTENCY if scheduler.get("stochastic_sampling", False) else sampling.solver
        return replace(sampling, shift=_shift_of(scheduler), solver=solver)
    except (TypeError, ValueError) as error:
        raise WeightsError(f"the scheduler config of '{name}' cannot be used ({error}); restore it") from error


def _shift_of(scheduler: dict[str, Any]) -> tuple[tuple[int, float], tuple[int, float]] | None:
    if not scheduler.get("use_dynamic_shifting", False):
        shift = float(scheduler.get("shift", 1.0))
        return None if shift == 1.0 else ((256, math.log(shift)), (4096, math.log(shift)))
    return (
        (int(scheduler.get("base_image_seq_len", 256)), float(scheduler.get("base_shift", 0.5))),
        (int(scheduler.get("max_image_seq_len", 4096)), float(scheduler.get("max_shift", 1.15))),
    )


def scheduler_json(sampling: Sampling) -> dict[str, Any]:
    """diffusers' `scheduler/scheduler_config.json` for the same schedule."""
    (n0, mu0), (n1, mu1) = sampling.shift or ((256, 0.5), (4096, 1.15))
    return {
        "_class_name": "FlowMatchEulerDiscreteScheduler",
        "_diffusers_version": "0.42.1",
        "num_train_timesteps": 1000,
        "shift": 3.0 if sampling.shift else 1.0,
        "use_dynamic_shifting": sampling.shift is not None,
        "base_image_seq_len": n0,
        "max_image_seq_len": n1,
        "base_shift": mu0,
        "max_shift": mu1,
        # diffusers' name of the same step: guess the data, noise it anew.
        **({"stochastic_sampling": True} if sampling.solver == CONSISTENCY else {}),
    }
