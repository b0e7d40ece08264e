"""The expectation is the conditional mean where that is known in closed form."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from inkontext.flow.expectation import TIMES, expectation
from inkontext.flow.path import velocity_from_data


def test_one_possible_answer_is_expected_whatever_the_noise() -> None:
    generator = torch.Generator().manual_seed(0)
    clean, noise, answer = (torch.randn(1, 6, 4, generator=generator) for _ in range(3))
    found = expectation(lambda z, t: velocity_from_data(z, answer, t), clean, noise)
    torch.testing.assert_close(found, answer)


def test_gaussian_data() -> None:
    """x0 ~ N(m, s^2): E[x0 | z_t] = m + s^2 (1-t) / (s^2 (1-t)^2 + t^2) (z_t - (1-t) m)."""
    mean, s = 1.5, 0.3
    generator = torch.Generator().manual_seed(1)
    clean, noise = (torch.randn(1, 6, 4, generator=generator) for _ in range(2))

    def posterior(z: Tensor, t: float) -> Tensor:
        gain = s**2 * (1 - t) / (s**2 * (1 - t) ** 2 + t**2)
        return mean + gain * (z - (1 - t) * mean)

    found = expectation(lambda z, t: velocity_from_data(z, posterior(z, t), t), clean, noise)
    wanted = sum(posterior((1 - t) * clean + t * noise, t) for t in TIMES) / len(TIMES)
    torch.testing.assert_close(found, wanted)
    assert (found - mean).abs().mean() < (clean - mean).abs().mean() / 4  # hardly a sample of anything


@pytest.mark.parametrize("times", [(0.9,), (0.9, 0.5)])
def test_one_evaluation_a_time(times: tuple[float, ...]) -> None:
    asked: list[float] = []

    def velocity(z: Tensor, t: float) -> Tensor:
        asked.append(t)
        return torch.zeros_like(z)

    clean, noise = torch.ones(1, 2, 4), torch.zeros(1, 2, 4)
    found = expectation(velocity, clean, noise, times)
    assert asked == list(times)
    torch.testing.assert_close(found, clean * (1 - sum(times) / len(times)))
