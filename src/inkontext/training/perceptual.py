"""A distance between pictures that weighs structure over level."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class PyramidLoss(nn.Module):
    """Mean absolute difference of the bands of a Laplacian pyramid, summed over bands.

    Our own term, in place of LPIPS (Zhang et al. 2018), which needs a trained network: band-pass detail counts at every
    scale, so a blurred edge costs what a shifted level of the same size would not.
    """

    def __init__(self, levels: int = 4) -> None:
        super().__init__()
        self.levels = levels
        taps = torch.tensor([1.0, 4.0, 6.0, 4.0, 1.0]) / 16
        self.register_buffer("kernel", torch.outer(taps, taps).expand(3, 1, 5, 5).clone(), persistent=False)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """`[B, 3, H, W]` twice -> scalar."""
        difference = x.float() - y.float()
        total = difference.new_zeros(())
        for _ in range(self.levels):
            kernel: Tensor = self.kernel  # type: ignore[assignment]
            low = F.conv2d(F.pad(difference, (2, 2, 2, 2), mode="reflect"), kernel, groups=3)
            total = total + (difference - low).abs().mean()
            difference = low[:, :, ::2, ::2]
            if min(difference.shape[-2:]) < 4:
                break
        return total + difference.abs().mean()
