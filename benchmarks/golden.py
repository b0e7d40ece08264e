"""The model and the inputs behind the golden numbers: filled by a rule, so that anybody can make them again."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from inkontext.model.presets import TransformerConfig
from inkontext.sequence import grid_ids, text_ids

GOLDEN = TransformerConfig(
    vec_in_dim=32, context_in_dim=48, hidden_size=64, num_heads=4, axes_dim=(4, 6, 6), depth=2, depth_single_blocks=2
)


def fill(shape: tuple[int, ...] | list[int], k: int, a: float, b: float = 0.0) -> Tensor:
    """Element j (from 1, row-major) = b + a sin(0.7 j + 1.1 k), computed in float64."""
    j = torch.arange(1, math.prod(shape) + 1, dtype=torch.float64)
    return (b + a * torch.sin(0.7 * j + 1.1 * k)).float().reshape(tuple(shape))


def fill_module(module: nn.Module) -> None:
    """Fill every tensor by its rank in the sorted names: 0.1 amplitude, gains around 1."""
    state = module.state_dict()
    with torch.no_grad():
        for k, name in enumerate(sorted(state)):
            gain = name.endswith(".scale") or (state[name].ndim == 1 and name.endswith("weight"))
            state[name].copy_(fill(state[name].shape, k, 0.1, 1.0 if gain else 0.0))


def golden_inputs(context: bool = True) -> dict[str, torch.Tensor]:
    ids = [grid_ids((2, 3)), *([grid_ids((3, 2), t=1)] if context else [])]
    return {
        "img": fill([1, 12, 64], 100, 1)[:, : None if context else 6],
        "img_ids": torch.cat(ids),
        "txt": fill([1, 5, 48], 101, 1),
        "txt_ids": text_ids(5),
        "y": fill([1, 32], 102, 1),
        "guidance": torch.tensor([2.5]),
    }
