"""Who tells real from made: PatchGAN for the autoencoder's pictures, heads on a frozen transformer for latents."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from inkontext.model.presets import TransformerConfig


class PatchDiscriminator(nn.Module):
    """PatchGAN (Isola et al. 2017): overlapping patches of a picture, judged one by one.

    `[B, 3, H, W]` in [-1, 1] -> logits `[B, 1, h, w]`, one for each patch of about 70 pixels.

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


class LaddHead(nn.Module):
    """Target tokens after one block -> logits of every place (latent adversarial diffusion distillation, 2403.12015).

    Convolutions on the tokens' grid; the condition enters as an inner product (Miyato and Koyama 2018), so that a
    place may look real by itself and yet not belong to its time and text.
    """

    def __init__(self, dim: int, width: int) -> None:
        super().__init__()
        self.enter = nn.Conv2d(dim, width, 1)
        self.norm = nn.GroupNorm(8, width)
        self.mix = nn.Conv2d(width, width, 3, padding=1)
        self.judge = nn.Conv2d(width, 1, 1)
        self.match = nn.Linear(dim, width)

    def forward(self, tokens: Tensor, grid: tuple[int, int], vec: Tensor) -> Tensor:
        """Tokens `[B, h w, dim]` and condition `[B, dim]` -> logits `[B, h, w]`."""
        x = F.layer_norm(tokens, tokens.shape[-1:])  # blocks differ in scale by orders of magnitude
        x = self.enter(rearrange(x, "B (h w) C -> B C h w", h=grid[0], w=grid[1]))
        x = F.leaky_relu(self.norm(x), 0.2)
        x = F.leaky_relu(x + self.mix(x), 0.2)
        matching = torch.einsum("B C h w, B C -> B h w", x, self.match(F.layer_norm(vec, vec.shape[-1:])))
        return self.judge(x)[:, 0] + matching / x.shape[1] ** 0.5


class LaddHeads(nn.Module):
    """One head after every block of a transformer of this shape; `width` channels each, a multiple of 8."""

    def __init__(self, cfg: TransformerConfig, width: int) -> None:
        super().__init__()
        blocks = cfg.depth + cfg.depth_single_blocks
        self.heads = nn.ModuleList(LaddHead(cfg.hidden_size, width) for _ in range(blocks))

    def forward(self, features: Sequence[Tensor], grid: tuple[int, int], vec: Tensor) -> Tensor:
        """Tokens after every block, each `[B, h w, dim]` -> logits `[B, heads, h, w]`."""
        return torch.stack([head(x, grid, vec) for head, x in zip(self.heads, features, strict=True)], dim=1)
