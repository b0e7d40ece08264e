"""What an edit left alone is found and put back, in pixels exactly and in latents exactly, so that nothing adds up.

Both sides of the comparison come out of the decoder, the latents before and the latents after, so that what the
autoencoder loses is in both and does not count as a change. All measures are on the model's canvas, in its pixels.
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

QUIET: Final = 25  # percentile of the differences that is taken for the model's own noise
LOUDEST: Final = 4.0  # grey levels; noise above this is an edit of the whole picture
TIMES: Final = 8.0  # a change is so many times the noise
LOW: Final = 0.5  # of the threshold: what hangs together with a change belongs to it down to this
LEAST: Final = 12.0  # grey levels below which nothing is a change
MOST: Final = 20.0  # grey levels above which anything is one
DETAIL: Final = 0.7  # of the local contrast: what moves less where there is much detail is a blurred edge, no change
_CELL: Final = GRID // 2  # pixels a latent covers


def change_of(before: Image.Image, after: Image.Image, allowed: Image.Image | None = None) -> np.ndarray:
    """How much of a canvas is new: float32 `[H, W]`, 1 where it changed, fading to 0 a little outside.

    The signed difference is averaged over a few pixels, in which noise cancels and a change does not. Its lower
    quartile over the picture is the model's noise, whatever it painted elsewhere; a change is a multiple of that, more
    where there is detail that a model blurs, with what hangs together with it down to half the threshold. Gaps are
    closed and the region is widened before it fades, so that the seam lies in what is the same on both sides. Where
    even the quietest quarter moved, all of it is new.

    Args:
        allowed: mode L, 0 = must be kept whatever was found.
    """
    pixels = [torch.from_numpy(np.array(im, dtype=np.float32)).permute(2, 0, 1)[None] for im in (before, after)]
    height, width = pixels[0].shape[-2:]
    reach = max(1, min(height, width) // 128)
    moved = _mean(pixels[1] - pixels[0], reach).abs().amax(dim=1, keepdim=True)
    noise = float(np.percentile(moved.numpy(), QUIET))
    free = torch.ones_like(moved) if allowed is None else torch.from_numpy(np.array(allowed))[None, None].float()
    if noise > LOUDEST:
        changed = torch.ones_like(moved)
    else:
        least = min(max(TIMES * noise, LEAST), MOST)
        threshold = (DETAIL * _contrast(pixels[0], 4 * reach)).clamp(min=least)
        changed = _grow(moved > threshold, moved > threshold * LOW)
        changed = -_wide(-_wide(changed, 2 * reach), 2 * reach)  # closed
    weight = _mean(_wide(changed, reach), reach) * (free > 0)
    return weight[0, 0].clamp(0, 1).numpy()


def _grow(seeds: Tensor, through: Tensor) -> Tensor:
    """The seeds with everything of `through` that touches them, float `[1, 1, H, W]`."""
    region, room = seeds.float(), through.float()
    for _ in range(max(region.shape)):
        wider = torch.maximum(region, _wide(region, 1) * room)
        if torch.equal(wider, region):
            break
        region = wider
    return region


def _wide(mask: Tensor, reach: int) -> Tensor:
    """Grown by `reach` pixels in every direction; `-_wide(-mask)` is shrunk."""
    return F.max_pool2d(mask, 2 * reach + 1, stride=1, padding=reach)


def _mean(x: Tensor, reach: int) -> Tensor:
    """The mean over `2 reach + 1` pixels both ways; beyond the border nothing is counted."""
    return F.avg_pool2d(x, 2 * reach + 1, stride=1, padding=reach, count_include_pad=False)


def _contrast(x: Tensor, reach: int) -> Tensor:
    """The standard deviation around every pixel, of the channel that has the greatest, `[1, 1, H, W]`."""
    variance = _mean(x * x, reach) - _mean(x, reach) ** 2
    return variance.clamp(min=0).sqrt().amax(dim=1, keepdim=True)


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
