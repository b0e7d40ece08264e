"""One example, and a stack of examples of one layout."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Example:
    """A target with its context and instruction (paper eq. 1: x given y and c).

    Attributes:
        target: uint8 `[H, W, 3]`.
        references: uint8 pictures, each of its own size; none for text-to-image.
        instruction: what the target is, or what was changed.
        category: the task, for reports.
    """

    target: np.ndarray
    references: tuple[np.ndarray, ...] = ()
    instruction: str = ""
    category: str = ""

    @property
    def layout(self) -> tuple[tuple[int, ...], ...]:
        """Sizes of target and references: what must be equal for examples to be stacked."""
        return (self.target.shape, *(r.shape for r in self.references))


@dataclass(frozen=True)
class Group:
    """Examples of one layout: `target [n, H, W, 3]`, `references` a list of `[n, h, w, 3]`, all uint8."""

    target: Tensor
    references: list[Tensor]
    instructions: list[str]
    categories: list[str]

    def __len__(self) -> int:
        return len(self.instructions)


def stack(examples: Sequence[Example]) -> list[Group]:
    """Sort examples by layout into groups, in order of first appearance."""
    layouts: dict[tuple, list[Example]] = {}
    for example in examples:
        layouts.setdefault(example.layout, []).append(example)
    return [_group(rows) for rows in layouts.values()]


def _group(rows: Sequence[Example]) -> Group:
    return Group(
        _tensor(e.target for e in rows),
        [_tensor(e.references[i] for e in rows) for i in range(len(rows[0].references))],
        [e.instruction for e in rows],
        [e.category for e in rows],
    )


def _tensor(pictures: Iterable[np.ndarray]) -> Tensor:
    return torch.from_numpy(np.stack(list(pictures)))


def to_float(pictures: Tensor, device: torch.device) -> Tensor:
    """uint8 `[n, H, W, 3]` -> float32 `[n, 3, H, W]` in [-1, 1]."""
    return pictures.to(device).permute(0, 3, 1, 2).float() / 127.5 - 1
