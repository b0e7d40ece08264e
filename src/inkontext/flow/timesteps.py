"""Where on the path to train and to step: densities, the resolution shift, the inference schedule.

Paper appendix A.2, equations (8)-(12).
"""

from __future__ import annotations

import math
from typing import Final

import torch
from torch import Tensor

from inkontext.flow.path import Time

Line = tuple[tuple[int, float], tuple[int, float]]
UNIFORM: Final = "uniform"
SPACINGS: Final = (UNIFORM, "karras", "exponential", "beta")


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


def resolution_mu(tokens: int, line: Line) -> float:
    """mu for a number of packed *target* tokens, on the line through two (tokens, mu) points.

    Extrapolated, not clamped. FLUX.1: (256, 0.5) and (4096, 1.15). Context and text tokens do not count.
    """
    (x0, y0), (x1, y1) = line
    slope = (y1 - y0) / (x1 - x0)
    return slope * tokens + (y0 - slope * x0)


def schedule(
    steps: int, tokens: int, line: Line | None, *, linear: bool = False, terminal: float | None = None,
    spacing: str = UNIFORM,
) -> list[float]:  # fmt: skip
    """The `steps + 1` times from 1 (noise) to 0 (data) at which a solver evaluates.

    Uniform times, shifted by eq. 12 with the resolution's mu; `line=None` leaves them uniform (schnell). The other
    arguments are what diffusers' flow-matching schedulers do beyond the paper, in its order.

    Args:
        linear: the line gives e^mu instead of mu (`time_shift_type`).
        terminal: the time of the last evaluation, to which all are stretched (`shift_terminal`).
        spacing: one of `SPACINGS`; all but `uniform` keep the first and the last evaluation alone.

    Raises:
        ValueError: `steps` below 1.
    """
    if steps < 1:
        raise ValueError(f"steps must be at least 1, not {steps}")
    # float32 as in both reference implementations, so that their times are reproduced to the last bit.
    times = torch.linspace(1, 0, steps + 1)
    if line is not None:
        mu = resolution_mu(tokens, line)
        times = shift_time(times, mu_from_alpha(mu) if linear else mu)
    assert isinstance(times, Tensor)
    if terminal is not None and steps > 1:  # a single step begins at the noise, wherever the last of several ends
        times[:-1] = 1 - (1 - times[:-1]) * ((1 - terminal) / (1 - times[-2]))
    if spacing != UNIFORM:
        between = {"karras": _karras, "exponential": _exponential, "beta": _beta}[spacing]
        first, last = float(times[0]), float(times[-2])
        return [between(first, last, i / max(steps - 1, 1)) for i in range(steps)] + [0.0]
    return times.tolist()


def _karras(first: float, last: float, part: float, rho: float = 7.0) -> float:
    """Evenly spaced in t^(1/rho) (Karras et al., arXiv 2206.00364, eq. 5)."""
    a, b = first ** (1 / rho), last ** (1 / rho)
    return (a + part * (b - a)) ** rho


def _exponential(first: float, last: float, part: float) -> float:
    """Evenly spaced in log t."""
    return math.exp(math.log(first) + part * (math.log(last) - math.log(first)))


def _beta(first: float, last: float, part: float) -> float:
    """At even quantiles of Beta(0.6, 0.6), dense at both ends (Lee et al., arXiv 2407.12173)."""
    return last + symmetric_beta_quantile(1 - part, 0.6) * (first - last)


def symmetric_beta_quantile(p: float, a: float) -> float:
    """The x below which a share `p` of Beta(a, a) lies, by bisection of its distribution function.

    I_x(a, a) = x^a / (a B(a, a)) sum_n (1 - a)_n / n! a / (a + n) x^n (Abramowitz & Stegun, 26.5.4 and 15.1.1),
    which converges by a half a term below x = 1/2; the upper half is its mirror image.
    """
    if p > 0.5:
        return 1 - symmetric_beta_quantile(1 - p, a)
    beta = math.gamma(a) ** 2 / math.gamma(2 * a)

    def share(x: float) -> float:
        total, term = 0.0, 1.0
        for n in range(60):
            total += term / (a + n)
            term *= (n + 1 - a) / (n + 1) * x
        return x**a * total / beta

    low, high = 0.0, 0.5
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if share(middle) < p else (low, middle)
    return high if p else 0.0
