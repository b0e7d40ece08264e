"""The straight path between data and noise, and the quantities read off it.

Paper equations (3)-(7), with x0 the data, eps ~ N(0, I) and t in [0, 1] (t = 1 is noise):
z_t = (1 - t) x0 + t eps, and the network predicts the velocity v = eps - x0.
Times are floats or tensors that broadcast against the latents.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

Time = float | Tensor


def interpolate(x0: Tensor, eps: Tensor, t: Time) -> Tensor:
    """z_t = (1 - t) x0 + t eps (eq. 3; a_t = 1 - t, b_t = t in eq. 4)."""
    return (1 - t) * x0 + t * eps


def velocity(x0: Tensor, eps: Tensor) -> Tensor:
    """v = dz_t / dt = eps - x0, the regression target of eq. 3 and 7."""
    return eps - x0


def data_from_velocity(z: Tensor, v: Tensor, t: Time) -> Tensor:
    """x0 = z_t - t v."""
    return z - t * v


def noise_from_velocity(z: Tensor, v: Tensor, t: Time) -> Tensor:
    """eps = z_t + (1 - t) v."""
    return z + (1 - t) * v


def velocity_from_data(z: Tensor, x0: Tensor, t: Time) -> Tensor:
    """v = (z_t - x0) / t, for t > 0."""
    return (z - x0) / t


def velocity_from_noise(z: Tensor, eps: Tensor, t: Time) -> Tensor:
    """v = (eps - z_t) / (1 - t), for t < 1."""
    return (eps - z) / (1 - t)


def log_snr(t: Time) -> Time:
    """lambda_t = log(a_t^2 / b_t^2) = 2 log((1 - t) / t) = -2 logit(t) (eq. 5 and 8)."""
    if isinstance(t, Tensor):
        return -2 * torch.logit(t)
    return 2 * (math.log1p(-t) - math.log(t))


def flow_matching_loss(prediction: Tensor, x0: Tensor, eps: Tensor) -> Tensor:
    """Mean squared error || v_theta(z_t, t) + x0 - eps ||^2 per row of the batch, `[B]` (eq. 3 and 7)."""
    return (prediction - velocity(x0, eps)).square().flatten(1).mean(1)
