"""What a network expects a picture to be before it has drawn one: its estimates of the data, averaged over noise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor

from inkontext.flow.path import data_from_velocity, interpolate
from inkontext.flow.solvers import Velocity

TIMES: Final = (0.95, 0.85, 0.7, 0.5)  # later ones only repeat the clean latents that the noise was added to


@torch.no_grad()
def expectation(velocity: Velocity, clean: Tensor, noise: Tensor, times: Sequence[float] = TIMES) -> Tensor:
    """The mean over `times` of x0 = z_t - t v(z_t, t), with z_t = (1 - t) clean + t noise (eq. 3).

    A trained velocity makes x0 the conditional mean E[x0 | z_t, text, context]. What a sample gets wrong by chance,
    another way each time, is averaged out of that mean; what the text asks for stays in. One evaluation a time.
    DiffEdit (Couairon et al., arXiv 2210.11427, section 3.2) looks for an edit in such estimates of a noised picture.

    Args:
        clean: packed tokens `[1, L, C]` of the picture to be edited.
        noise: the same of a standard normal.
    """
    estimates = []
    for t in times:
        z = interpolate(clean, noise, t)
        estimates.append(data_from_velocity(z, velocity(z, t), t))
    return torch.stack(estimates).mean(dim=0)
