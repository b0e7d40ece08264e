"""Other rules than the session's for what an edit changed, to measure it against."""

from __future__ import annotations

from typing import Final

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from inkontext.geometry import GRID
from inkontext.session.keep import local_mean, widened

_HALF: Final = 0.5  # DiffEdit's threshold on the map scaled to [0, 1]


def drawn_alone(before: Image.Image, drawn: Image.Image) -> np.ndarray:
    """What was drawn against the picture, and nothing else: float32 `[H, W]`.

    The rule of sessions before they asked what the model expected: a change is eight times the quietest quarter of the
    averaged difference, between 12 and 20 grey levels, and 0.7 of the local contrast; half of that where it hangs
    together. Everything is new where the quietest quarter has more than 4 grey levels.
    """
    old, new = (torch.from_numpy(np.array(im, dtype=np.float32)).permute(2, 0, 1)[None] for im in (before, drawn))
    reach = max(1, min(old.shape[-2:]) // 128)
    moved = local_mean(new - old, reach).abs().amax(dim=1, keepdim=True)
    noise = float(np.percentile(moved.numpy(), 25))
    if noise > 4:
        return np.ones(moved.shape[-2:], np.float32)
    around = local_mean(old * old, 4 * reach) - local_mean(old, 4 * reach) ** 2
    contrast = around.clamp(min=0).sqrt().amax(dim=1, keepdim=True)
    threshold = (0.7 * contrast).clamp(min=min(max(8 * noise, 12.0), 20.0))
    region, room = (moved > threshold).float(), (moved > threshold / 2).float()
    while not torch.equal(wider := torch.maximum(region, widened(region, 1) * room), region):
        region = wider
    closed = -widened(-widened(region, 2 * reach), 2 * reach)
    return local_mean(widened(closed, reach), reach)[0, 0].clamp(0, 1).numpy()


def differs(hoped: Tensor, idle: Tensor) -> np.ndarray:
    """DiffEdit's mask (Couairon et al., arXiv 2210.11427, section 3.2): where two estimates of the same noised picture
    differ, one with the instruction and one without, scaled to [0, 1] and cut at one half; float32 `[H, W]`.

    Args:
        hoped, idle: latents `[1, C, h, w]`.
    """
    far = (hoped - idle).abs().mean(dim=1, keepdim=True)
    scaled = (far - far.min()) / (far.max() - far.min()).clamp(min=1e-9)
    return F.interpolate((scaled > _HALF).float(), scale_factor=GRID // 2)[0, 0].numpy()
