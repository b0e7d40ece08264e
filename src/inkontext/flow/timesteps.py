"""Where on the path to train and to step: densities, the resolution shift, the inference schedule.

Paper appendix A.2, equations (8)-(12).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from inkontext.flow.path import Time


def logit_normal_density(t: Tensor, mu: float = 0.0, sigma: float = 1.0) -> Tensor:
    """p(t; mu, sigma) = exp(-(logit t - mu)^2 / (2 sigma^2)) / (sigma sqrt(2 pi) (1 - t) t)."""
    z = (torch.logit(t) - mu) / sigma
    return torch.exp(-0.5 * z * z) / (sigma * math.sqrt(2 * math.pi) * (1 - t) * t)


def sample_logit_normal(
    count: int, mu: float = 0.0, sigma: float = 1.0, generator: torch.Generator | None = None
) -> Tensor:
    """`[count]` training times t = sigmoid(mu + sigma n), n ~ N(0, 1), float32."""
    return torch.sigmoid(mu + sigma * torch.randn(count, generator=generator))


def shift_time(t: Time, mu: float, sigma: float = 1.0) -> Time:
    """t' = e^mu / (e^mu + (1/t - 1)^sigma), with t' = 0 at t = 0 (eq. 12).

    Moves log-SNR by -2 mu (eq. 9): more noise for the same step at higher resolution.
    """
    if isinstance(t, Tensor):
        return torch.where(t > 0, math.exp(mu) / (math.exp(mu) + (1 / t - 1) ** sigma), 0.0)
    return math.exp(mu) / (math.exp(mu) + (1 / t - 1) ** sigma) if t > 0 else 0.0


def alpha_from_mu(mu: float) -> float:
    """Stable Diffusion 3's shift alpha = e^mu (eq. 9 against eq. 10 at sigma = 1)."""
    return math.exp(mu)


def mu_from_alpha(alpha: float) -> float:
    """mu = log alpha, the inverse of `alpha_from_mu`."""
    return math.log(alpha)


def resolution_mu(tokens: int, line: tuple[tuple[int, float], tuple[int, float]]) -> float:
    """mu for a number of packed *target* tokens, on the line through two (tokens, mu) points.

    Extrapolated, not clamped. FLUX.1: (256, 0.5) and (4096, 1.15). Context and text tokens do not count.
    """
    (x0, y0), (x1, y1) = line
    slope = (y1 - y0) / (x1 - x0)
    return slope * tokens + (y0 - slope * x0)


def schedule(steps: int, tokens: int, line: tuple[tuple[int, float], tuple[int, float]] | None) -> list[float]:
    """The `steps + 1` times from 1 (noise) to 0 (data) at which a solver evaluates.

    Uniform times, shifted by eq. 12 with the resolution's mu; `line=None` leaves them uniform (schnell).

    Raises:
        ValueError: `steps` below 1.
    """
    if steps < 1:
        raise ValueError(f"steps must be at least 1, not {steps}")
    # float32 as in both reference implementations, so that their times are reproduced to the last bit.
    times = torch.linspace(1, 0, steps + 1)
    if line is not None:
        times = shift_time(times, resolution_mu(tokens, line))
    assert isinstance(times, Tensor)
    return times.tolist()
