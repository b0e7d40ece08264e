"""What the stages that distil have in common: a frozen teacher beside the student, and guidances drawn in a step."""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from inkontext.data.examples import Group
from inkontext.model.text import TextTowers
from inkontext.model.transformer import FluxTransformer
from inkontext.training.config import RunConfig
from inkontext.training.flow import FlowStage
from inkontext.training.start import Start


class TaughtStage(FlowStage):
    """A flow stage whose transformer learns from a frozen `teacher` with its own frozen text towers."""

    def __init__(self, config: RunConfig, student: Start, device: torch.device, teacher: FluxTransformer) -> None:
        self.teacher = teacher.to(device).eval().requires_grad_(False)
        self.teacher_towers = frozen_towers(student.towers, device) if config.model.train_text else student.towers
        self.generator: torch.Generator | None = None
        super().__init__(config, student, device)

    def update(self, step: int, batch: list[Group], generator: torch.Generator) -> dict[str, float]:
        self.generator = generator  # `loss` draws from it in a step, and draws nothing in validation
        try:
            return super().update(step, batch, generator)
        finally:
            self.generator = None

    def draw_guidance(self, count: int, span: tuple[float, float]) -> Tensor:
        """`[count]` guidances, drawn evenly from the span in a step, and its middle in validation."""
        low, high = span
        share = torch.full((count,), 0.5) if self.generator is None else torch.rand(count, generator=self.generator)
        return (low + (high - low) * share).to(self.device)


def frozen_towers(towers: TextTowers, device: torch.device) -> TextTowers:
    """A copy that does not learn."""
    t5, clip = (copy.deepcopy(m).to(device).eval().requires_grad_(False) for m in (towers.t5, towers.clip))
    return TextTowers(t5, clip, towers.t5_tokenizer, towers.clip_tokenizer, towers.length)
