"""Order of accuracy of every solver on equations with a known solution, and the step hook."""

from __future__ import annotations

import math

import pytest
import torch

from inkontext.flow.solvers import SOLVERS, consistency, euler

ORDERS = {"euler": 1, "heun": 2, "midpoint": 2, "multistep": 2}


def error(name: str, steps: int, warp: float = 1.0) -> float:
    """|z(0) - exact| for dz/dt = z cos t + t with uneven steps where warp != 1."""
    times = [(1 - i / steps) ** warp for i in range(steps + 1)]
    z = SOLVERS[name](lambda z, t: z * math.cos(t) + t, torch.ones(1, dtype=torch.float64), times)
    fine = [1 - i / 4000 for i in range(4001)]
    exact = SOLVERS["heun"](lambda z, t: z * math.cos(t) + t, torch.ones(1, dtype=torch.float64), fine)
    return (z - exact).abs().item()


@pytest.mark.parametrize("warp", [1.0, 1.7])
@pytest.mark.parametrize("name", SOLVERS)
def test_order_of_accuracy(name: str, warp: float) -> None:
    order = math.log2(error(name, 40, warp) / error(name, 80, warp))
    assert order == pytest.approx(ORDERS[name], abs=0.25)


def test_exponential_decay_in_closed_form() -> None:
    times = [1 - i / 100 for i in range(101)]
    for name, tolerance in (("euler", 2e-2), ("heun", 1e-4), ("midpoint", 1e-4), ("multistep", 1e-4)):
        z = SOLVERS[name](lambda z, t: z, torch.ones(1, dtype=torch.float64), times)
        assert z.item() == pytest.approx(math.exp(-1), abs=tolerance), name


@pytest.mark.parametrize("name", SOLVERS)
def test_a_straight_path_is_solved_exactly_in_one_step(name: str) -> None:
    """On the rectified-flow path itself v is constant, so any solver lands on the data."""
    x0, eps = torch.randn(2, 4, 4, dtype=torch.float64)
    z = SOLVERS[name](lambda z, t: eps - x0, eps, [1.0, 0.0])
    torch.testing.assert_close(z, x0)


@pytest.mark.parametrize("name", SOLVERS)
def test_the_hook_sees_every_step_and_can_replace_the_state(name: str) -> None:
    seen = []

    def hook(i: int, z: torch.Tensor, t: float, denoised: torch.Tensor) -> torch.Tensor | None:
        seen.append((i, t, denoised.item()))
        return torch.full_like(z, 5.0) if i == 1 else None

    z = SOLVERS[name](lambda z, t: torch.ones_like(z), torch.full((1,), 1.0), [1.0, 0.75, 0.5, 0.25, 0.0], hook)
    assert [s[:2] for s in seen] == [(0, 0.75), (1, 0.5), (2, 0.25), (3, 0.0)]
    assert seen[0][2] == pytest.approx(0.0)
    assert z.item() == pytest.approx(4.5)


def test_nothing_is_recorded_for_gradients() -> None:
    weight = torch.ones(1, requires_grad=True)
    assert not euler(lambda z, t: z * weight, torch.ones(1), [1.0, 0.5, 0.0]).requires_grad


def test_consistency_is_a_plain_recomputation() -> None:
    """Guess x0, noise it anew at the next time; nothing is drawn for the last step."""
    generator = torch.Generator().manual_seed(3)
    z, *drawn = torch.randn(4, 2, 5, 4, dtype=torch.float64, generator=generator)
    weight = torch.randn(4, 4, dtype=torch.float64, generator=generator)

    def velocity(z: torch.Tensor, t: float) -> torch.Tensor:
        return torch.tanh(z @ weight + t)

    noises = iter(drawn)
    seen = []
    found = consistency(
        velocity, z, [1.0, 0.75, 0.5, 0.25, 0.0], lambda: next(noises), lambda i, z, t, x0: seen.append((i, t, x0))
    )
    assert next(noises, None) is None
    x0 = z - velocity(z, 1.0)
    for t, eps in zip((0.75, 0.5, 0.25), drawn, strict=True):
        noisy = (1 - t) * x0 + t * eps
        x0 = noisy - t * velocity(noisy, t)
    torch.testing.assert_close(found, x0, rtol=0, atol=1e-12)
    assert [s[:2] for s in seen] == [(0, 0.75), (1, 0.5), (2, 0.25), (3, 0.0)]
    torch.testing.assert_close(seen[-1][2], x0, rtol=0, atol=1e-12)
