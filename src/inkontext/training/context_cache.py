"""Stage `context-cache`: a model whose context is computed once, distilled from the one it starts from.

The student has the teacher's weights and an asymmetric attention (see `FluxTransformer`). It regresses the teacher's
velocity at the times, noises and rows of flow matching,

    L = (1 - flow) E || v_student - v_teacher ||^2 + flow E || v_student - (eps - x) ||^2,

over target tokens. What was a velocity of the sequence as a whole becomes one that reads kept keys and values.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from inkontext.data.stream import Mixture
from inkontext.errors import ConfigError
from inkontext.flow.path import flow_matching_loss
from inkontext.model.autoencoder import AutoEncoder
from inkontext.model.presets import Preset
from inkontext.model.text import TextTowers
from inkontext.model.transformer import FluxTransformer
from inkontext.runtime.flops import transformer_flops
from inkontext.training.config import ContextCacheSection, RunConfig
from inkontext.training.flow import build_flow
from inkontext.training.teacher import TaughtStage
from inkontext.weights.card import Card


def asymmetric(transformer: FluxTransformer) -> FluxTransformer:
    """A copy of a symmetric transformer under asymmetric attention."""
    student = FluxTransformer(replace(transformer.cfg, asymmetric=True))
    student.load_state_dict(transformer.state_dict())
    return student


class ContextCacheStage(TaughtStage):
    """Learns as a flow stage does, but from the frozen `teacher` with its own frozen text towers."""

    def __init__(
        self, config: RunConfig, card: Card, transformer: FluxTransformer, autoencoder: AutoEncoder, towers: TextTowers,
        mixture: Mixture, held_out: Mixture, device: torch.device,
    ) -> None:  # fmt: skip
        if transformer.cfg.asymmetric:
            raise ConfigError(
                f"'{config.model.start}' is asymmetric already; begin from the symmetric model it was made from"
            )
        self.distil = config.context_cache or ContextCacheSection()
        if self.distil.guidance is not None and not transformer.cfg.guidance_embed:
            raise ConfigError(
                f"'{config.model.start}' has no guidance input to draw a guidance for; remove context_cache.guidance"
            )
        student = asymmetric(transformer)
        card = replace(card, transformer=student.cfg)
        super().__init__(config, card, student, autoencoder, towers, mixture, held_out, device, transformer)

    def flops(self, target: int, image: int) -> int:
        return super().flops(target, image) + transformer_flops(self.teacher.cfg, image, self.towers.length)

    def loss(
        self, transformer: FluxTransformer, towers: TextTowers, target: Tensor, context: list[Tensor],
        prompts: list[str], t: Tensor, eps: Tensor,
    ) -> Tensor:  # fmt: skip
        """The loss of every row, `[n]`."""
        span = self.distil.guidance
        guidance = None if span is None else self.draw_guidance(len(t), span)
        rows = (target, context, prompts, t, eps, guidance)
        x0, noise, v = self.velocity(transformer, towers, *rows)
        with torch.no_grad():
            _, _, wanted = self.velocity(self.teacher, self.teacher_towers, *rows)
        share = self.distil.flow
        error = (v - wanted).square().mean(dim=(1, 2))
        return error if share == 0 else (1 - share) * error + share * flow_matching_loss(v, x0, noise)


def build_context_cache(config: RunConfig, preset: Preset, device: torch.device) -> ContextCacheStage:
    """Teacher and student from `model.start`.

    Raises:
        ConfigError: there is none, it is asymmetric already, or it lacks the input that a guidance is drawn for.
    """
    if config.model.start is None:
        raise ConfigError("stage 'context-cache' distils a model; name it or its run in model.start")
    return build_flow(config, preset, device, ContextCacheStage)
