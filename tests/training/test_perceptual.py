"""The perceptual term of the autoencoder's loss."""

from __future__ import annotations

import pytest
import torch
from scipy.ndimage import gaussian_filter

from inkontext.training.perceptual import PyramidLoss


def test_a_shift_of_the_level_has_no_bands() -> None:
    picture = torch.rand(2, 3, 32, 48, generator=torch.Generator().manual_seed(0))
    assert PyramidLoss()(picture, picture).item() == 0
    assert PyramidLoss()(picture, picture + 0.25).item() == pytest.approx(0.25, rel=1e-4)


def test_a_blur_costs_more_than_a_shift_of_the_same_size() -> None:
    noise = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)).numpy()
    for width in (1, 2, 4):  # detail of this many pixels, and the same picture without it
        picture, blurred = (torch.from_numpy(gaussian_filter(noise, (0, 0, s, s))) for s in (width, 3 * width))
        shift = (picture - blurred).abs().mean()
        assert PyramidLoss()(picture, blurred) > 1.2 * PyramidLoss()(picture, picture + shift)
