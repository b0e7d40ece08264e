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
        target: uint8 `[H, W, 3]`, or its latents `[z, h, w]`, floating.
        references: the same, each of its own size; none for text-to-image.
        instruction: what the target is, or what was changed.
        category: the task, for reports.
        unwanted: what the instruction asks for and a safe model does not make, like the target; None for other rows.
    """

    target: np.ndarray | Tensor
    references: tuple[np.ndarray | Tensor, ...] = ()
    instruction: str = ""
    category: str = ""
    unwanted: np.ndarray | Tensor | None = None

    @property
    def layout(self) -> tuple[tuple[int, ...], ...]:
        """Sizes of target and references, and whether a picture is unwanted: equal for examples that are stacked."""
        shapes = (tuple(self.target.shape), *(tuple(r.shape) for r in self.references))
        return shapes if self.unwanted is None else (*shapes, ())


@dataclass(frozen=True)
class Group:
    """Examples of one layout: `target [n, H, W, 3]`, `references` a list of `[n, h, w, 3]`, all uint8.

    Precomputed examples hold latents instead, `[n, z, H/8, W/8]`, floating.
    """

    target: Tensor
    references: list[Tensor]
    instructions: list[str]
    categories: list[str]
    unwanted: Tensor | None = None

    def __len__(self) -> int:
        return len(self.instructions)

    @property
    def encoded(self) -> bool:
        """Whether it holds latents instead of pictures."""
        return self.target.is_floating_point()


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
        None if rows[0].unwanted is None else _tensor(e.unwanted for e in rows if e.unwanted is not None),
    )


def _tensor(pictures: Iterable[np.ndarray | Tensor]) -> Tensor:
    pictures = list(pictures)
    if isinstance(pictures[0], Tensor):
        return torch.stack([torch.as_tensor(picture) for picture in pictures])
    return torch.from_numpy(np.stack(pictures))
