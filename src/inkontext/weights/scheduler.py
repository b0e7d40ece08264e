"""diffusers' `scheduler/scheduler_config.json`: read into our schedule, written from it, and refused by the field.

Of the classes that diffusers 0.42.1's Kontext pipeline can call, two are here: Euler's, and the LCM one, whose step is
`stochastic_sampling` by another name. The others solve otherwise; a picture made without saying so would not be theirs.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final, NoReturn

from pydantic import BaseModel, ValidationError

from inkontext.errors import WeightsError
from inkontext.flow.solvers import CONSISTENCY
from inkontext.flow.timesteps import UNIFORM, Line
from inkontext.model.presets import Sampling

EULER: Final = "FlowMatchEulerDiscreteScheduler"
LCM: Final = "FlowMatchLCMScheduler"
TRAINED_STEPS: Final = 1000  # the network's time is t of 1; the pipeline divides by this number whatever it is


class _Fields(BaseModel, strict=True, frozen=True):
    """Every field of the two classes, with diffusers' defaults."""

    num_train_timesteps: int = TRAINED_STEPS
    shift: float = 1.0
    use_dynamic_shifting: bool = False
    base_shift: float | None = 0.5
    max_shift: float | None = 1.15
    base_image_seq_len: int = 256
    max_image_seq_len: int = 4096
    invert_sigmas: bool = False
    shift_terminal: float | None = None
    use_karras_sigmas: bool | None = False
    use_exponential_sigmas: bool | None = False
    use_beta_sigmas: bool | None = False
    time_shift_type: str = "exponential"
    stochastic_sampling: bool = False
    scale_factors: list[float] | None = None
    upscale_mode: str | None = "bicubic"


_ONLY_OF: Final = {"stochastic_sampling": EULER, "scale_factors": LCM, "upscale_mode": LCM}
_ALLOWED: Final[dict[str, tuple[str, Callable[[Any], bool]]]] = {
    "num_train_timesteps": (f"must be {TRAINED_STEPS}", lambda n: n == TRAINED_STEPS),
    "invert_sigmas": ("must be false", lambda on: not on),
    "scale_factors": ("must be null, one size for every step", lambda factors: not factors),
    "shift": ("must be above 0", lambda x: 0 < x < math.inf),
    "shift_terminal": ("must be null or between 0 and 1", lambda x: not x or 0 < x < 1),
    "time_shift_type": ("must be exponential or linear", lambda kind: kind in ("exponential", "linear")),
}


def scheduled(sampling: Sampling, config: dict[str, Any], name: str, kind: str | None = None) -> Sampling:
    """`sampling` with the schedule, and the solver where it is fixed, that a scheduler config describes.

    Args:
        name: what the model is called in messages.
        kind: the class that `model_index.json` names, which diffusers takes whatever the config says.

    Raises:
        WeightsError: a class, a field or a value that is not implemented; it names them.
    """
    kind = kind or config.get("_class_name", EULER)
    if kind not in (EULER, LCM):
        raise WeightsError(
            f"'{name}' is scheduled by {_shown(kind)}, which is not implemented here; {EULER} and {LCM} are, so write "
            "scheduler_config.json and model_index.json for one of them if the model allows it"
        )
    said = _read(config, name, kind)
    if said.use_dynamic_shifting and (said.base_shift is None or said.max_shift is None):
        _refuse(name, "use_dynamic_shifting", True, "needs base_shift and max_shift")
    chosen = [s for s in ("karras", "exponential", "beta") if getattr(said, f"use_{s}_sigmas")]
    if len(chosen) > 1:
        _refuse(name, f"use_{chosen[1]}_sigmas", True, f"excludes use_{chosen[0]}_sigmas")
    consistent = kind == LCM or said.stochastic_sampling
    try:
        return replace(
            sampling,
            shift=_line(said),
            shift_type=said.time_shift_type if said.use_dynamic_shifting else "exponential",
            terminal=said.shift_terminal or None,
            spacing=chosen[0] if chosen else UNIFORM,
            solver=CONSISTENCY if consistent else _solving(sampling.solver),
        )
    except ValueError as error:
        raise WeightsError(f"the scheduler config of '{name}' cannot be used ({error}); restore it") from error


def check_agreement(card: Sampling, config: dict[str, Any], name: str, kind: str | None = None) -> None:
    """Raises WeightsError where a model's card and its scheduler config, which diffusers reads, differ."""
    said = scheduled(card, config, name, kind)
    decided = ("shift", "shift_type", "terminal", "spacing", "solver")
    differing = [f for f in decided if getattr(card, f) != getattr(said, f)]
    if "shift" in differing and card.shift and said.shift and _same_line(card, said):
        differing.remove("shift")
    if differing:
        texts = [f"{f} {_shown(getattr(card, f))} against {_shown(getattr(said, f))}" for f in differing]
        raise WeightsError(
            f"inkontext.json and scheduler_config.json of '{name}' do not agree ({', '.join(texts)}); "
            "correct or remove the one that is wrong"
        )


def _same_line(a: Sampling, b: Sampling) -> bool:
    """One line has many pairs of points, and a constant shift is written as a line."""
    return all(math.isclose(a.mu(n), b.mu(n), abs_tol=1e-6) for n in (256, 4096))


def scheduler_json(sampling: Sampling) -> dict[str, Any]:
    """diffusers' `scheduler/scheduler_config.json` for the same schedule."""
    (n0, mu0), (n1, mu1) = sampling.shift or ((256, 0.5), (4096, 1.15))
    further = {
        "time_shift_type": (sampling.shift_type, "exponential"),
        "shift_terminal": (sampling.terminal, None),
        f"use_{sampling.spacing}_sigmas": (sampling.spacing != UNIFORM, False),
        # diffusers' name of the same step: guess the data, noise it anew.
        "stochastic_sampling": (sampling.solver == CONSISTENCY, False),
    }
    return {
        "_class_name": EULER,
        "_diffusers_version": "0.42.1",
        "num_train_timesteps": TRAINED_STEPS,
        "shift": 3.0 if sampling.shift else 1.0,
        "use_dynamic_shifting": sampling.shift is not None,
        "base_image_seq_len": n0,
        "max_image_seq_len": n1,
        "base_shift": mu0,
        "max_shift": mu1,
        **{field: value for field, (value, usual) in further.items() if value != usual},
    }


def _read(config: dict[str, Any], name: str, kind: str) -> _Fields:
    """The fields, of the types and in the ranges they must have."""
    body = {k: v for k, v in config.items() if not k.startswith("_")}  # with one begin diffusers' own notes
    types = _Fields.__annotations__
    for field, value in body.items():
        if field not in types or _ONLY_OF.get(field, kind) != kind:
            _refuse(name, field, value, f"is no field of {kind} known here")
    try:
        said = _Fields(**body)
    except ValidationError as error:
        field = str(error.errors()[0]["loc"][0])
        _refuse(name, field, body[field], f"must be {_in_words(types[field])}")
    for field, (rule, allows) in _ALLOWED.items():
        if not allows(value := getattr(said, field)):
            _refuse(name, field, value, rule)
    return said


def _line(said: _Fields) -> Line | None:
    if not said.use_dynamic_shifting:
        return None if said.shift == 1.0 else ((256, math.log(said.shift)), (4096, math.log(said.shift)))
    assert said.base_shift is not None and said.max_shift is not None
    return (said.base_image_seq_len, float(said.base_shift)), (said.max_image_seq_len, float(said.max_shift))


def _solving(solver: str) -> str:
    return "euler" if solver == CONSISTENCY else solver


def _refuse(name: str, field: str, value: Any, rule: str) -> NoReturn:
    raise WeightsError(
        f"the scheduler config of '{name}' cannot be used: {field} is {_shown(value)}, which {rule}; "
        "correct it, or take a model that is sampled without"
    )


def _in_words(annotation: str) -> str:
    """A field's type as JSON calls it."""
    names = {"int": "a whole number", "float": "a number", "bool": "true or false", "str": "a text", "None": "null"}
    return " or ".join(names.get(part, "a list of numbers") for part in annotation.split(" | "))


def _shown(value: Any) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= 60 else text[:60] + "..."
