"""Densities, the resolution shift and the schedule, in closed form, against golden numbers and diffusers."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta

from inkontext.flow import timesteps as ts
from inkontext.flow.path import log_snr

FLUX = ((256, 0.5), (4096, 1.15))


@pytest.mark.parametrize(("mu", "sigma"), [(0.0, 1.0), (1.0986, 1.0), (-0.5, 0.7)])
def test_logit_normal_integrates_to_one_and_matches_the_draws(mu: float, sigma: float) -> None:
    t = torch.linspace(1e-6, 1 - 1e-6, 200_001, dtype=torch.float64)
    density = ts.logit_normal_density(t, mu, sigma)
    assert torch.trapezoid(density, t).item() == pytest.approx(1, abs=1e-4)
    draws = ts.sample_logit_normal(100_000, mu, sigma, torch.Generator().manual_seed(0)).double()
    assert torch.logit(draws).mean().item() == pytest.approx(mu, abs=0.02)
    assert torch.logit(draws).std().item() == pytest.approx(sigma, abs=0.02)
    below = torch.trapezoid(density[t <= 0.4], t[t <= 0.4]).item()
    assert (draws <= 0.4).double().mean().item() == pytest.approx(below, abs=0.01)


@given(t=st.floats(0.001, 0.999), mu=st.floats(-3, 3), sigma=st.floats(0.3, 2))
def test_shift_moves_log_snr(t: float, mu: float, sigma: float) -> None:
    """Eq. 9 and 11: lambda_t' = sigma lambda_t - 2 mu."""
    shifted = ts.shift_time(t, mu, sigma)
    assert isinstance(shifted, float)
    if 1e-9 < shifted < 1 - 1e-9:
        assert log_snr(shifted) == pytest.approx(sigma * log_snr(t) - 2 * mu, abs=1e-5)


def test_alpha_and_mu() -> None:
    assert ts.mu_from_alpha(3.0) == pytest.approx(1.0986, abs=1e-4)
    assert ts.alpha_from_mu(1.15) == pytest.approx(3.15819, abs=1e-5)
    alpha, t = 3.0, 0.37
    assert ts.shift_time(t, math.log(alpha)) == pytest.approx(alpha * t / (1 + (alpha - 1) * t))


def test_shifting_draws_is_drawing_shifted() -> None:
    a = ts.sample_logit_normal(100, 0.0, 1.0, torch.Generator().manual_seed(1))
    b = ts.sample_logit_normal(100, 0.8, 1.0, torch.Generator().manual_seed(1))
    torch.testing.assert_close(ts.shift_time(a, 0.8), b)


@pytest.mark.parametrize(
    ("tokens", "mu"), [(4096, 1.15), (256, 0.5), (4116, 1.153385), (4070, 1.145599), (6, 0.4576823)]
)
def test_resolution_mu(tokens: int, mu: float) -> None:
    assert ts.resolution_mu(tokens, FLUX) == pytest.approx(mu, abs=1e-6)


GOLDEN_28 = [
    1, .98841, .97622, .96339, .94987, .93560, .92051, .90453, .88758, .86958, .85041, .82996, .80810, .78467, .75951,
    .73241, .70314, .67143, .63696, .59936, .55816, .51284, .46275, .40708, .34485, .27483, .19545, .10472, 0,
]  # fmt: skip
GOLDEN_30 = [
    1, .98920, .97788, .96601, .95355, .94044, .92665, .91210, .89675, .88051, .86332, .84508, .82570, .80507, .78305,
    .75951, .73428, .70718, .67799, .64645, .61227, .57510, .53454, .49011, .44120, .38712, .32700, .25976, .18406,
    .09821, 0,
]  # fmt: skip


@pytest.mark.parametrize("golden", [GOLDEN_28, GOLDEN_30, [1, 0.9045308, 0.7595109, 0.5128441, 0]])
def test_golden_schedules(golden: list[float]) -> None:
    np.testing.assert_allclose(ts.schedule(len(golden) - 1, 4096, FLUX), golden, atol=6e-6)


def test_unshifted_schedule() -> None:
    assert ts.schedule(4, 4096, None) == [1, 0.75, 0.5, 0.25, 0]


@pytest.mark.parametrize("steps", [1, 4, 28, 30, 50])
@pytest.mark.parametrize("tokens", [64, 256, 1024, 4096, 4116])
def test_schedule_equals_diffusers(steps: int, tokens: int) -> None:
    scheduler = FlowMatchEulerDiscreteScheduler(
        use_dynamic_shifting=True, shift=3.0, base_shift=0.5, max_shift=1.15, base_image_seq_len=256,
        max_image_seq_len=4096,
    )  # fmt: skip
    scheduler.set_timesteps(sigmas=np.linspace(1.0, 1 / steps, steps), mu=ts.resolution_mu(tokens, FLUX))
    np.testing.assert_allclose(ts.schedule(steps, tokens, FLUX), scheduler.sigmas.numpy(), atol=2e-7)


def test_no_steps_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        ts.schedule(0, 64, FLUX)


@pytest.mark.parametrize("a", [0.6, 0.3, 1.0, 2.5])
def test_beta_quantiles_equal_scipys(a: float) -> None:
    for p in (0.0, 1e-9, 0.01, 0.2, 0.5, 0.7, 0.99, 1.0):
        assert ts.symmetric_beta_quantile(p, a) == pytest.approx(beta.ppf(p, a, a), abs=1e-12)
