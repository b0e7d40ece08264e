"""What an edit left alone is found and put back, in pixels exactly and in latents exactly, so that nothing adds up.

Three pictures tell it: the parent's latents decoded, what the edit drew, and what the model expected of it before it
drew (`flow.expectation`). What drawing spoiled by chance is not in the expected one, what was asked for is in both;
what the autoencoder loses is in all three, and does not count as a change. All measures are on the model's canvas.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from inkontext.compositing import keep_outside, restore_alpha
from inkontext.geometry import GRID, Frame
from inkontext.safety.pictures import read_picture

QUIET: Final = 25  # percentile of the evidence; that much of a picture is left alone unless it is edited as a whole
LOUDEST: Final = 5.0  # grey levels; where the quiet part has more, all of it was edited
CHANCE: Final = 75  # percentile of drawn against expected that is taken for what the model spoils by chance
TIMES: Final = 5.0  # a change is so many times that
LEAST: Final = 12.0  # grey levels below which nothing is a change
MOST: Final = 60.0  # grey levels above which anything is one
LOW: Final = 0.5  # of the threshold: what hangs together with a change belongs to it down to this
_CELL: Final = GRID // 2  # pixels a latent covers


def change_of(before: Image.Image, drawn: Image.Image, expected: Image.Image) -> np.ndarray:
    """How much of a canvas is new: float32 `[H, W]`, 1 where it changed, fading to 0 a little outside.

    The evidence for a change is the geometric mean of two differences from `before`, that of what was drawn and that
    of what was expected, each signed and averaged over a few pixels. A smear is in the drawn one alone; a thing added
    at a place that chance chooses is faint in the expected one, strong in the drawn. The threshold is a multiple of
    the difference between the two, which is what this model does by chance. What hangs together with a change belongs
    to it down to half the threshold; gaps are closed, and the region is widened before it fades, so that the seam lies
    in what is the same on both sides. Where even the quietest quarter has evidence, all of it is new.

    Args:
        before, drawn, expected: RGB of one size.
    """
    old, new, mean = (
        torch.from_numpy(np.array(im, dtype=np.float32)).permute(2, 0, 1)[None] for im in (before, drawn, expected)
    )
    reach = max(1, min(old.shape[-2:]) // 128)
    evidence = (_moved(old, new, reach) * _moved(old, mean, reach)).sqrt()
    if float(np.percentile(evidence.numpy(), QUIET)) > LOUDEST:
        changed = torch.ones_like(evidence)
    else:
        chance = float(np.percentile(_moved(mean, new, reach).numpy(), CHANCE))
        threshold = min(max(TIMES * chance, LEAST), MOST)
        changed = _grow(evidence > threshold, evidence > threshold * LOW)
        changed = -widened(-widened(changed, 2 * reach), 2 * reach)  # closed
    return local_mean(widened(changed, reach), reach)[0, 0].clamp(0, 1).numpy()


def _moved(a: Tensor, b: Tensor, reach: int) -> Tensor:
    """How far the means around every pixel are apart, in the channel where it is most, `[1, 1, H, W]`."""
    return local_mean(b - a, reach).abs().amax(dim=1, keepdim=True)


def _grow(seeds: Tensor, through: Tensor) -> Tensor:
    """The seeds with everything of `through` that touches them, float `[1, 1, H, W]`."""
    region, room = seeds.float(), through.float()
    for _ in range(max(region.shape)):
        wider = torch.maximum(region, widened(region, 1) * room)
        if torch.equal(wider, region):
            break
        region = wider
    return region


def widened(mask: Tensor, reach: int) -> Tensor:
    """Grown by `reach` pixels in every direction; `-widened(-mask)` is shrunk."""
    return F.max_pool2d(mask, 2 * reach + 1, stride=1, padding=reach)


def local_mean(x: Tensor, reach: int) -> Tensor:
    """The mean over `2 reach + 1` pixels both ways; beyond the border nothing is counted."""
    return F.avg_pool2d(x, 2 * reach + 1, stride=1, padding=reach, count_include_pad=False)


def blend_latents(before: Tensor, after: Tensor, weight: np.ndarray) -> Tensor:
    """`after` in the cells that hold any change, `before` in all others; `[1, C, h, w]`, float32."""
    cells = F.max_pool2d(torch.from_numpy(weight)[None, None], _CELL)
    return torch.where(cells > 0, after, before)


def weight_on_picture(weight: np.ndarray, frame: Frame) -> Image.Image:
    """The canvas's weight on the picture's own pixels, mode L; a pixel that any change reaches is not 0."""
    levels = np.ceil(np.clip(weight, 0, 1) * 255).astype(np.uint8)
    left, top, right, bottom = frame.box
    shown = Image.fromarray(levels[top:bottom, left:right])
    return shown if shown.size == frame.output else shown.resize(frame.output, Image.Resampling.BILINEAR)


def composite(ancestor: Image.Image, made: Image.Image, weight: Image.Image, mask: Image.Image | None) -> Image.Image:
    """The ancestor's bytes where `weight` is 0 (and outside `mask`), blended up to `made` where it is 255.

    Args:
        ancestor: RGB or RGBA. made: RGB of the same size. weight, mask: mode L.
    """
    picture = read_picture(ancestor)
    whole = made if picture.alpha is None else restore_alpha(picture, made)
    share = np.asarray(weight, dtype=np.float32)[..., None] / 255
    old, new = (np.asarray(im, dtype=np.float32) for im in (ancestor, whole))
    mixed = np.rint(old + share * (new - old)).astype(np.uint8)
    out = Image.fromarray(np.where(share > 0, mixed, np.asarray(ancestor)))
    return out if mask is None else keep_outside(ancestor, out, mask)
