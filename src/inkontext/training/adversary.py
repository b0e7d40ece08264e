"""The adversarial game of stage `ladd`: its losses and its student times."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from inkontext.errors import RunError

# Probabilities of the student times 1, 3/4, 1/2, 1/4 above 512 x 512 pixels, as published (2403.12015): the first
# iterations, then the rest. Those at or below are not; there all times are equally likely.
PUBLISHED_WARMUP, PUBLISHED_FIRST, PUBLISHED = 500, (0.0, 0.0, 0.5, 0.5), (0.7, 0.1, 0.1, 0.1)
PUBLISHED_ABOVE = 512 * 512


class CollapseError(RunError):
    """The game is lost; `numbers` show it."""

    def __init__(self, reason: str, numbers: Mapping[str, float]) -> None:
        super().__init__(reason)
        self.numbers = numbers


def student_times(steps: int) -> list[float]:
    """Times 1, 1 - 1 / steps, ..., 1 / steps at which the student guesses the data."""
    return [1 - i / steps for i in range(steps)]


def student_shares(steps: int, pixels: int, step: int) -> tuple[float, ...]:
    """Probabilities of `student_times(steps)` at a step of training, for targets of so many pixels."""
    if steps != len(PUBLISHED) or pixels <= PUBLISHED_ABOVE:
        return (1 / steps,) * steps
    return PUBLISHED_FIRST if step < PUBLISHED_WARMUP else PUBLISHED


def discriminator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """Mean of max(0, 1 - real) + max(0, 1 + fake) over all logits (hinge, as in ADD, arXiv 2311.17042)."""
    return F.relu(1 - real).mean() + F.relu(1 + fake).mean()


def student_loss(fake: Tensor) -> Tensor:
    """Mean of -fake over all logits."""
    return -fake.mean()


def approximate_r1(real: Tensor, moved: Tensor) -> Tensor:
    """Mean of (D(x) - D(x + s n))^2 over all logits, n ~ N(0, I) (Lin et al., arXiv 2501.08316).

    For small s it is s^2 times the squared gradient of D at x, which is R1, without a derivative of a derivative.
    """
    return (real - moved).square().mean()


def seed_distance(a: Tensor, b: Tensor) -> float:
    """Mean squared difference of what two seeds gave: small where the noise no longer matters."""
    return torch.mean((a - b) ** 2).item()
