"""One declarative row a tensor, read in both directions; no arithmetic, so every conversion is bit-exact."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Entry:
    """How one tensor in BFL's naming is spelled in diffusers' naming.

    Attributes:
        bfl: its name in a BFL file (and in our modules).
        parts: its name, or the names of the row slices it is split into, in a diffusers folder.
        rows: height of each slice; empty for a tensor that is not split.
        swap: the two row halves change places (the final layer's shift and scale).
        squeeze: a 1x1 convolution here, a matrix there.
    """

    bfl: str
    parts: tuple[str, ...]
    rows: tuple[int, ...] = ()
    swap: bool = False
    squeeze: bool = False

    def to_diffusers(self, tensor: Tensor) -> list[Tensor]:
        """The BFL tensor as its diffusers parts."""
        if self.swap:
            tensor = _swap_halves(tensor)
        if self.squeeze:
            tensor = tensor[:, :, 0, 0]
        return list(tensor.split(self.rows)) if self.rows else [tensor]

    def to_bfl(self, parts: Sequence[Tensor]) -> Tensor:
        """The inverse of `to_diffusers`."""
        tensor = torch.cat(list(parts)) if self.rows else parts[0]
        if self.squeeze:
            tensor = tensor[:, :, None, None]
        return _swap_halves(tensor) if self.swap else tensor

    def part_shapes(self, shape: Sequence[int]) -> list[tuple[int, ...]]:
        """Shapes of the diffusers parts of a BFL tensor of this shape."""
        shape = tuple(shape[:2]) if self.squeeze else tuple(shape)
        return [(rows, *shape[1:]) for rows in self.rows] or [shape]


def _swap_halves(tensor: Tensor) -> Tensor:
    first, second = tensor.chunk(2)
    return torch.cat([second, first])
