"""Identities of the rectified-flow path (eq. 3-9)."""

from __future__ import annotations

import math

import pytest
import torch

from inkontext.flow import path


@pytest.fixture
def draw() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    x0, eps = torch.randn(2, 3, 4, 5, generator=generator, dtype=torch.float64)
    return x0, eps


@pytest.mark.parametrize("t", [0.1, 0.5, 0.93])
def test_conversions_are_inverse(draw: tuple[torch.Tensor, torch.Tensor], t: float) -> None:
    x0, eps = draw
    z, v = path.interpolate(x0, eps, t), path.velocity(x0, eps)
    torch.testing.assert_close(path.data_from_velocity(z, v, t), x0)
    torch.testing.assert_close(path.noise_from_velocity(z, v, t), eps)
    torch.testing.assert_close(path.velocity_from_data(z, x0, t), v)
    torch.testing.assert_close(path.velocity_from_noise(z, eps, t), v)


def test_velocity_is_the_derivative_of_the_path(draw: tuple[torch.Tensor, torch.Tensor]) -> None:
    x0, eps = draw
    t = torch.tensor(0.4, dtype=torch.float64, requires_grad=True)
    tangent = torch.autograd.functional.jacobian(lambda s: path.interpolate(x0, eps, s), t)
    torch.testing.assert_close(tangent, path.velocity(x0, eps))


def test_general_process_loss_collapses_to_rectified_flow(draw: tuple[torch.Tensor, torch.Tensor]) -> None:
    """Eq. 6 with a = 1 - t, b = t: (a'/a) z - (b/2) lambda' eps equals eps - x0."""
    x0, eps = draw
    t = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
    lam = path.log_snr(t)
    (lam_slope,) = torch.autograd.grad(lam, t)
    t = t.detach()
    target = (-1 / (1 - t)) * path.interpolate(x0, eps, t) - (t / 2) * lam_slope * eps
    torch.testing.assert_close(target, path.velocity(x0, eps))


def test_log_snr() -> None:
    assert path.log_snr(0.5) == 0
    for t in (0.01, 0.3, 0.999):
        expected = math.log((1 - t) ** 2 / t**2)
        assert path.log_snr(t) == pytest.approx(expected)
        assert float(path.log_snr(torch.tensor(t, dtype=torch.float64))) == pytest.approx(expected)


def test_loss_is_zero_at_the_target_and_one_row_each(draw: tuple[torch.Tensor, torch.Tensor]) -> None:
    x0, eps = draw
    assert torch.equal(path.flow_matching_loss(eps - x0, x0, eps), torch.zeros(3, dtype=torch.float64))
    off = path.flow_matching_loss(eps - x0 + torch.tensor([1.0, 2.0, 3.0])[:, None, None], x0, eps)
    torch.testing.assert_close(off, torch.tensor([1.0, 4.0, 9.0], dtype=torch.float64))
