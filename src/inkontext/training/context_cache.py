"""Stage `context-cache`: a model whose context is computed once, distilled from the one it starts from.

The student has the teacher's weights and an asymmetric attention (see `FluxTransformer`). It regresses the teacher's
velocity at the times, noises and rows of flow matching,

    L = (1 - flow) E || v_student - v_teacher ||^2 + flow E || v_student - (eps - x) ||^2 + features E[D],

over target tokens, D being how far those are from the teacher's after each block. What was a velocity of the sequence
as a whole becomes one that reads kept keys and values.

Where rows are asked at guidances g of a range, the data's velocity, which no guidance went into, is learnt in rows of
its own, a share `flow` of all, asked at the guidance of table [flow]. Mixed into every row it would pull the answer at
g towards that at 1: the minimiser would be 1 + (1 - flow)(g - 1).
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from inkontext.data.examples import Group
from inkontext.errors import ConfigError
from inkontext.flow.path import flow_matching_loss
from inkontext.model.text import TextTowers
from inkontext.model.transformer import FluxTransformer
from inkontext.runtime.flops import transformer_flops
from inkontext.training.config import RunConfig
from inkontext.training.features import block_features, unlike
from inkontext.training.start import Start, load_start
from inkontext.training.tables import ContextCacheSection
from inkontext.training.teacher import TaughtStage

OWN = ("asymmetric", "context_time", "guidance_embed")  # in which a student may differ from its teacher


def asymmetric(transformer: FluxTransformer, time: float) -> FluxTransformer:
    """A copy of a symmetric transformer under asymmetric attention, its context modulated at a fixed time."""
    student = FluxTransformer(replace(transformer.cfg, asymmetric=True, context_time=time))
    student.load_state_dict(transformer.state_dict())
    return student


def follower(student: FluxTransformer, teacher: FluxTransformer, name: str | None) -> FluxTransformer:
    """An asymmetric student for a teacher it does not come from, with its guidance input where only that one has it.

    Raises:
        ConfigError: the student is symmetric, or the two have other shapes.
    """
    shape = replace(student.cfg, guidance_embed=student.cfg.guidance_embed or teacher.cfg.guidance_embed)
    if replace(teacher.cfg, **{key: getattr(shape, key) for key in OWN}) != shape or not shape.asymmetric:
        raise ConfigError(
            f"context_cache.teacher is for an asymmetric student of the shape of '{name}'; name one in model.start"
        )
    made = FluxTransformer(shape)
    made.load_state_dict({**teacher.state_dict(), **student.state_dict()})
    return made


class ContextCacheStage(TaughtStage):
    """Learns as a flow stage does, but the velocity of the frozen `teacher`.

    `start` is the teacher. The student begins as that one, or, where `context_cache.teacher` names it, with the
    transformer of the asymmetric `model.start`; text towers and autoencoder are the teacher's either way, so that the
    two models can share them.

    Raises:
        ConfigError: teacher and student do not fit, or the teacher lacks the input that a guidance is drawn for.
    """

    def __init__(self, config: RunConfig, start: Start, device: torch.device) -> None:
        self.distil = config.context_cache or ContextCacheSection()
        named = self.distil.teacher or config.model.start
        teacher = start.transformer
        if teacher.cfg.asymmetric:
            raise ConfigError(f"'{named}' is asymmetric already; its teacher is the symmetric model it was made from")
        if self.distil.guidance is not None and not teacher.cfg.guidance_embed:
            raise ConfigError(f"'{named}' has no guidance input to draw a guidance for; remove context_cache.guidance")
        if self.distil.teacher is None:
            student = asymmetric(teacher, self.distil.time)
        else:
            student = follower(load_start(str(config.model.start)).transformer, teacher, named)
        super().__init__(config, start.with_transformer(student), device, teacher)

    def flops(self, target: int, image: int) -> int:
        return super().flops(target, image) + transformer_flops(self.teacher.cfg, image, self.towers.length)

    def row_loss(
        self, group: Group, target: Tensor, context: list[Tensor], prompts: list[str], t: Tensor, eps: Tensor
    ) -> Tensor:
        rows = (group, target, context, prompts, t, eps)
        if not self.distil.features:
            return super().row_loss(*rows)
        tokens = [z.shape[2] * z.shape[3] // 4 for z in (target, *context)]
        with (
            block_features(self.transformer, sum(tokens), tokens[0]) as mine,
            block_features(self.teacher, sum(tokens), tokens[0]) as theirs,
        ):
            loss = super().row_loss(*rows)
        return loss + self.distil.features * unlike(mine, theirs)

    def loss(
        self, transformer: FluxTransformer, towers: TextTowers, target: Tensor, context: list[Tensor],
        prompts: list[str], t: Tensor, eps: Tensor,
    ) -> Tensor:  # fmt: skip
        """The loss of every row, `[n]`; in validation, of a range of guidances, the teacher's part alone."""
        guidance, share = self.asked(len(t))
        rows = (target, context, prompts, t, eps, guidance)
        x0, noise, v = self.velocity(transformer, towers, *rows)
        with torch.no_grad():
            _, _, wanted = self.velocity(self.teacher, self.teacher_towers, *rows)
        error = (v - wanted).square().mean(dim=(1, 2))
        return (1 - share) * error + share * flow_matching_loss(v, x0, noise)

    def asked(self, count: int) -> tuple[Tensor | None, Tensor]:
        """The guidance of every row `[count]`, None for that of table [flow], and its share `[count]` of the data's."""
        share, span = self.distil.flow, self.distil.guidance
        if span is None:
            return None, torch.full((count,), share, device=self.device)
        guidance = self.draw_guidance(count, span)
        drawn = torch.zeros(count) if self.generator is None else torch.rand(count, generator=self.generator) < share
        of_data = drawn.to(self.device, torch.float32)
        return torch.where(of_data > 0, self.section.guidance, guidance), of_data
