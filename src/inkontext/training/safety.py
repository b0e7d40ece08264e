"""Safety training: a classifier filters the data, and requests for what is forbidden are answered with something safe.

The paper lists "classifier-based filtering and adversarial training" and says no more (section 3, implementation
details). Adversarial here means requests made so as to get past a refusal, not a discriminator. Their rows learn the
flow to the safe picture x (eq. 3), and where asked a second loss looks at the forbidden picture x_bad:

    p = < guess - x, x_bad - x > / || x_bad - x ||^2,    guess = z_t - t v,    L = negative * max(p, 0)^2

p is how much of the way from the safe to the forbidden picture the guess has gone; errors in other directions do not
count. This loss is ours.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from inkontext.data.examples import Group, stack
from inkontext.flow.path import data_from_velocity, flow_matching_loss, interpolate
from inkontext.pixels import to_bytes
from inkontext.sequence import pack, unpack
from inkontext.training.flow import FlowStage, grid_of
from inkontext.training.safe_rows import Classifier
from inkontext.training.tables import SafetySection


class SafeFlowStage(FlowStage):
    """A flow stage of a run with the table [safety]."""

    @property
    def safety(self) -> SafetySection:
        assert self.config.safety is not None
        return self.config.safety

    def row_loss(
        self, group: Group, target: Tensor, context: list[Tensor], prompts: list[str], t: Tensor, eps: Tensor
    ) -> Tensor:
        x0, noise, v = self.velocity(self.transformer, self.towers, target, context, prompts, t, eps)
        loss = flow_matching_loss(v, x0, noise)
        if group.unwanted is None or not self.safety.negative:
            return loss
        bad, _ = self.encode(replace(group, target=group.unwanted, references=[]))
        at = t.to(v.device)[:, None, None]
        guess = data_from_velocity(interpolate(x0, noise, at), v, at)
        return loss + self.safety.negative * way_to(guess, x0, pack(bad)).clamp_min(0).square()

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Those of every flow stage, and `flagged`: the share of held-out requests for what is forbidden whose picture,
        guessed from pure noise, the classifier flags."""
        return super().validate() | self._flagged()

    def _flagged(self) -> dict[str, float]:
        asked = [example for example in self.held_out if example.unwanted is not None]
        if not asked:
            return {}
        transformer, towers = self._averaged()
        classifier, found = Classifier(self.safety.classifier), []
        for group in stack(asked):
            target, context = self.encode(group)
            eps = torch.randn(target.shape, generator=torch.Generator().manual_seed(0))
            _, noise, v = self.velocity(
                transformer, towers, target, context, group.instructions, torch.ones(len(group)), eps
            )
            guess = self.autoencoder.decode(unpack(data_from_velocity(noise, v, 1.0), grid_of(target)))
            found.append(classifier(to_bytes(guess).cpu().numpy()))
        return {"flagged": float(np.concatenate(found).mean())}


def way_to(guess: Tensor, safe: Tensor, bad: Tensor) -> Tensor:
    """Share of the way from `safe` to `bad` that `guess` has gone, `[n]`; each `[n, L, D]`."""
    way = bad - safe
    return ((guess - safe) * way).sum((1, 2)) / way.square().sum((1, 2)).clamp_min(1e-6)
