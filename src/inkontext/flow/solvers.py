"""Solvers of dz/dt = v(z, t) from noise to data, as pure functions.

Every solver has the same signature: a velocity function, the start `z`, and decreasing times (1 -> 0).
`on_step(i, z, t_next, denoised)` is called after step i with the new latents and the estimate of x0 at its
start; what it returns replaces `z` (inpainting uses this), None keeps it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor

from inkontext.flow.path import data_from_velocity, interpolate

Velocity = Callable[[Tensor, float], Tensor]
OnStep = Callable[[int, Tensor, float, Tensor], Tensor | None]
Solver = Callable[..., Tensor]


def _keep(i: int, z: Tensor, t: float, denoised: Tensor) -> None:
    """The default `on_step`: do nothing."""


def _after(on_step: OnStep, i: int, z: Tensor, t: float, denoised: Tensor) -> Tensor:
    replaced = on_step(i, z, t, denoised)
    return z if replaced is None else replaced


@torch.no_grad()
def euler(velocity: Velocity, z: Tensor, times: Sequence[float], on_step: OnStep = _keep) -> Tensor:
    """z <- z + (t' - t) v(z, t). First order; the solver of the reference implementations."""
    for i, (t, t_next) in enumerate(pairwise(times)):
        v = velocity(z, t)
        z_next = z + (t_next - t) * v
        z = _after(on_step, i, z_next, t_next, data_from_velocity(z, v, t))
    return z


@torch.no_grad()
def heun(velocity: Velocity, z: Tensor, times: Sequence[float], on_step: OnStep = _keep) -> Tensor:
    """Explicit trapezoid: average the velocity at both ends of the step. Second order, two evaluations a step.

    Deterministic; the last step evaluates at t = 0, which the path allows (x0 = z there).
    """
    for i, (t, t_next) in enumerate(pairwise(times)):
        h = t_next - t
        v = velocity(z, t)
        z_next = z + 0.5 * h * (v + velocity(z + h * v, t_next))
        z = _after(on_step, i, z_next, t_next, data_from_velocity(z, v, t))
    return z


@torch.no_grad()
def midpoint(velocity: Velocity, z: Tensor, times: Sequence[float], on_step: OnStep = _keep) -> Tensor:
    """Velocity at the middle of an Euler half-step. Second order, two evaluations a step."""
    for i, (t, t_next) in enumerate(pairwise(times)):
        h = t_next - t
        v = velocity(z, t)
        z_next = z + h * velocity(z + 0.5 * h * v, t + 0.5 * h)
        z = _after(on_step, i, z_next, t_next, data_from_velocity(z, v, t))
    return z


@torch.no_grad()
def multistep(velocity: Velocity, z: Tensor, times: Sequence[float], on_step: OnStep = _keep) -> Tensor:
    """Two-step Adams-Bashforth on uneven steps. Second order, one evaluation a step; Euler for the first.

    z' = z + h ((1 + r/2) v - (r/2) v_previous), with r = h / h_previous.
    """
    previous: tuple[float, Tensor] | None = None
    for i, (t, t_next) in enumerate(pairwise(times)):
        h = t_next - t
        v = velocity(z, t)
        slope = v
        if previous is not None:
            h_previous, v_previous = previous
            r = h / h_previous
            slope = (1 + 0.5 * r) * v - 0.5 * r * v_previous
        previous = (h, v)
        z = _after(on_step, i, z + h * slope, t_next, data_from_velocity(z, v, t))
    return z


@torch.no_grad()
def consistency(
    velocity: Velocity, z: Tensor, times: Sequence[float], draw: Callable[[], Tensor], on_step: OnStep = _keep
) -> Tensor:
    """x0 = z - t v(z, t); z <- (1 - t') x0 + t' eps with a new eps. One evaluation a step.

    No solver of the equation but the sampler of few-step models, which guess x0 from any t (Sauer et al., arXiv
    2403.12015); `draw()` gives the noise of the next step, of z's shape. None is drawn for the last.
    """
    for i, (t, t_next) in enumerate(pairwise(times)):
        denoised = data_from_velocity(z, velocity(z, t), t)
        z_next = interpolate(denoised, draw().to(denoised), t_next) if t_next > 0 else denoised
        z = _after(on_step, i, z_next, t_next, denoised)
    return z


SOLVERS: dict[str, Solver] = {"euler": euler, "heun": heun, "midpoint": midpoint, "multistep": multistep}
CONSISTENCY = "consistency"
SAMPLERS = (*SOLVERS, CONSISTENCY)
