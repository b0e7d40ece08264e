"""The table of differences between the two reference implementations."""

from __future__ import annotations

import pytest
import torch

from inkontext.errors import OptionError
from inkontext.flow.timesteps import schedule
from inkontext.numerics import BFL, DIFFUSERS, EXACT, numerics_for
from inkontext.pixels import to_bytes

CPU, HALF = torch.device("cpu"), torch.bfloat16


def thousand(numerics, t: float) -> int:
    """The time input as the network multiplies it by 1000, in its own dtype."""
    return int((numerics.time_input(t, HALF, CPU) * 1000).item())


def test_the_seven_time_inputs_that_differ_at_28_steps() -> None:
    times = schedule(28, 4096, ((256, 0.5), (4096, 1.15)))[:-1]
    differing = {round(t, 5): (thousand(BFL, t), thousand(DIFFUSERS, t)) for t in times}
    differing = {t: pair for t, pair in differing.items() if pair[0] != pair[1]}
    assert differing == {
        0.90453: (908, 904), 0.86958: (872, 868), 0.75951: (756, 760), 0.59936: (596, 600), 0.40708: (406, 408),
        0.34485: (346, 344), 0.27483: (276, 274),
    }  # fmt: skip


def test_exact_time_is_not_rounded() -> None:
    assert EXACT.time_input(0.90453, HALF, CPU).dtype == torch.float32


def test_bytes() -> None:
    x = torch.tensor([-2.0, -1.0, 0.0, 0.9999, 1.0, 3.0])[None, None, None]
    assert to_bytes(x, BFL.truncate).flatten().tolist() == [0, 0, 127, 254, 255, 255]
    for rules in (DIFFUSERS, EXACT):
        assert to_bytes(x, rules.truncate).flatten().tolist() == [0, 0, 128, 255, 255, 255]


def test_state_between_steps() -> None:
    z = torch.tensor([0.1], dtype=HALF)
    assert BFL.start(z).dtype == HALF
    assert DIFFUSERS.start(z).dtype == EXACT.start(z).dtype == torch.float32
    third = torch.tensor([1 / 3])
    assert DIFFUSERS.settle(third, HALF).item() == third.to(HALF).item()
    assert EXACT.settle(third, HALF).item() == third.item()
    assert EXACT.slope(z).dtype == torch.float32


def test_names() -> None:
    assert numerics_for(None) is EXACT
    with pytest.raises(OptionError, match="'bfl', 'diffusers'"):
        numerics_for("comfy")
