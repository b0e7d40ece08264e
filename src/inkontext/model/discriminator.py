"""PatchGAN: judges overlapping patches of a picture (Isola et al. 2017; the autoencoder's adversary)."""

from __future__ import annotations

from torch import Tensor, nn


class PatchDiscriminator(nn.Module):
    """`[B, 3, H, W]` in [-1, 1] -> logits `[B, 1, h, w]`, one for each patch of about 70 pixels.

    Three strided 4x4 convolutions, widths doubling from `base`; group norm keeps it free of batch statistics,
    so that its judgement of a picture does not depend on the pictures beside it.
    """

    def __init__(self, base: int = 64, layers: int = 3) -> None:
        super().__init__()
        modules: list[nn.Module] = [nn.Conv2d(3, base, 4, stride=2, padding=1), nn.LeakyReLU(0.2)]
        width = base
        for i in range(1, layers + 1):
            wider = base * min(2**i, 8)
            stride = 2 if i < layers else 1
            modules += [
                nn.Conv2d(width, wider, 4, stride=stride, padding=1, bias=False),
                nn.GroupNorm(16, wider),
                nn.LeakyReLU(0.2),
            ]
            width = wider
        modules.append(nn.Conv2d(width, 1, 4, padding=1))
        self.layers = nn.Sequential(*modules)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, 0.0, 0.02)

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)
