"""What a transformer's blocks make of the target: for a discriminator to look at, or a student to follow."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from inkontext.model.transformer import FluxTransformer


@dataclass
class Features:
    """Tokens of the target `[B, L, dim]` after each block, double blocks first, and their condition `[B, dim]`."""

    tokens: list[Tensor] = field(default_factory=list)
    vec: Tensor | None = None

    def detached(self) -> Features:
        return Features([x.detach() for x in self.tokens], None if self.vec is None else self.vec.detach())


@contextmanager
def block_features(transformer: FluxTransformer, image: int, target: int) -> Iterator[Features]:
    """Collect the features of one evaluation, of whose `image` tokens the first `target` are the target's."""
    found = Features()
    if transformer.cfg.asymmetric:
        with _extensions(transformer, found):
            yield found
        return

    def double(module: nn.Module, given: tuple[Any, ...], made: tuple[Tensor, Tensor]) -> None:
        found.vec = given[2]
        found.tokens.append(made[0][:, :target].float())

    def single(module: nn.Module, given: tuple[Any, ...], made: Tensor) -> None:
        found.vec = given[1]
        text = made.shape[1] - image
        found.tokens.append(made[:, text : text + target].float())

    hooks = [block.register_forward_hook(double) for block in transformer.double_blocks]
    hooks += [block.register_forward_hook(single) for block in transformer.single_blocks]
    try:
        yield found
    finally:
        for hook in hooks:
            hook.remove()


@contextmanager
def _extensions(transformer: FluxTransformer, found: Features) -> Iterator[None]:
    """The same of an asymmetric transformer, whose blocks take context, text and target in turn: the last counts."""
    blocks: list[Any] = [*transformer.double_blocks, *transformer.single_blocks]
    found.tokens = [torch.empty(0)] * len(blocks)

    def watch(place: int, extend: Any) -> Any:
        def watched(x: Tensor, vec: Tensor, *rest: Any) -> Any:
            made = extend(x, vec, *rest)
            found.vec, found.tokens[place] = vec, made[0].float()
            return made

        return watched

    for place, block in enumerate(blocks):
        block.extend = watch(place, block.extend)
    try:
        yield
    finally:
        for block in blocks:
            del block.extend


def unlike(student: Features, teacher: Features) -> Tensor:
    """How far the student's tokens are from the teacher's, in the teacher's mean square, `[B]`; mean over blocks."""
    distances = [
        (a - b).square().mean(dim=(1, 2)) / b.square().mean()
        for a, b in zip(student.tokens, teacher.tokens, strict=True)
    ]
    return torch.stack(distances).mean(0)
