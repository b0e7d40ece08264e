"""Stage `guidance`: one pass that gives what classifier-free guidance needs two for (Meng et al., arXiv 2210.03142).

The student has the teacher's weights and an input for the guidance g. It regresses the teacher's guided velocity,

    L = E || v_student(z_t, t, y, c, g) - v_g ||^2,    v_g = v_0 + g (v_c - v_0),    g ~ U[low, high],

over target tokens. v_c knows text and pictures; v_0 knows the pictures alone. In that paper's words w = g - 1. A plain
difference of velocities weighs a difference of guessed pictures by 1 / t^2.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from inkontext.model.blocks import MLPEmbedder, scalar_embedding
from inkontext.model.text import TextTowers
from inkontext.model.transformer import FluxTransformer
from inkontext.training.config import RunConfig
from inkontext.training.start import Start
from inkontext.training.tables import GuidanceSection
from inkontext.training.teacher import TaughtStage


@torch.no_grad()
def with_guidance(transformer: FluxTransformer, at: float) -> FluxTransformer:
    """A copy with a guidance input that changes nothing yet: its output layer is constant.

    Args:
        at: the guidance whose embedding that constant is, where the transformer has the input already; else it is 0.
    """
    student = FluxTransformer(replace(transformer.cfg, guidance_embed=True))
    student.load_state_dict({**student.state_dict(), **transformer.state_dict()})
    entry = student.guidance_in
    assert isinstance(entry, MLPEmbedder)
    constant = torch.zeros_like(entry.out_layer.bias)
    if transformer.guidance_in is not None:
        constant = transformer.guidance_in(scalar_embedding(torch.tensor([at], device=constant.device)))[0]
    nn.init.normal_(entry.in_layer.weight, std=0.02)  # as `initialise` has it
    nn.init.zeros_(entry.in_layer.bias)
    nn.init.zeros_(entry.out_layer.weight)
    entry.out_layer.bias.copy_(constant)
    return student


class GuidanceStage(TaughtStage):
    """Learns as a flow stage does, but the guided velocity of the frozen `teacher`."""

    def __init__(self, config: RunConfig, start: Start, device: torch.device) -> None:
        self.distil = config.guidance or GuidanceSection()
        at = config.flow.guidance if config.flow else 1.0
        student = start.with_transformer(with_guidance(start.transformer, at))
        super().__init__(config, student.with_sampling(guidance=self.distil.default), device, start.transformer)

    def flops(self, target: int, image: int) -> int:
        learning = super().flops(target, image)
        return learning + 2 * (learning // 3)

    def loss(
        self, transformer: FluxTransformer, towers: TextTowers, target: Tensor, context: list[Tensor],
        prompts: list[str], t: Tensor, eps: Tensor,
    ) -> Tensor:  # fmt: skip
        """The loss of every row, `[n]`."""
        guidance = self.draw_guidance(len(t), self.distil.range)
        _, _, v = self.velocity(transformer, towers, target, context, prompts, t, eps, guidance)
        wanted = self.guided(target, context, prompts, t, eps, guidance)
        return (v - wanted).square().mean(dim=(1, 2))

    @torch.no_grad()
    def guided(
        self, target: Tensor, context: list[Tensor], prompts: list[str], t: Tensor, eps: Tensor, guidance: Tensor
    ) -> Tensor:
        """The teacher's velocity under true classifier-free guidance `[n]`, as tokens `[n, L, D]`."""
        teacher, towers = self.teacher, self.teacher_towers
        _, _, told = self.velocity(teacher, towers, target, context, prompts, t, eps)
        _, _, untold = self.velocity(teacher, towers, target, context, [""] * len(prompts), t, eps)
        return untold + guidance[:, None, None] * (told - untold)
