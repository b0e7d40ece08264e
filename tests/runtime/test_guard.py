"""Finding the first module that goes wrong."""

from __future__ import annotations

import torch
from torch import nn

from inkontext.runtime.guard import first_nonfinite


class Pair(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(2, 2), nn.Linear(2, 2)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
        x = self.first(x)
        return x, [self.second(x)]


def test_names_the_first_in_order_of_execution_and_removes_its_hooks() -> None:
    module = Pair()
    module.second.weight.data[0, 0] = torch.inf
    assert first_nonfinite(module, lambda: module(torch.ones(1, 2))) == "second"
    module.first.weight.data[1, 1] = torch.nan
    assert first_nonfinite(module, lambda: module(torch.ones(1, 2))) == "first"
    assert not any(m._forward_hooks for m in module.modules())


def test_nothing_to_report() -> None:
    module = Pair()
    assert first_nonfinite(module, lambda: module(torch.ones(1, 2))) is None
