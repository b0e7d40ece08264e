"""The KL autoencoder: pictures `[B, 3, H, W]` in [-1, 1] <-> latents `[B, 16, H/8, W/8]`.

A convolutional autoencoder of the latent-diffusion family (Rombach et al. 2022) with 16 channels and no
quantisation convolutions; paper section 2 and table 1.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from inkontext.model.presets import AutoencoderConfig


def group_norm(groups: int, channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(groups, channels, eps=1e-6)


class AttnBlock(nn.Module):
    """One-head self-attention over all cells of the feature map, with a residual."""

    def __init__(self, groups: int, channels: int) -> None:
        super().__init__()
        self.norm = group_norm(groups, channels)
        self.q = nn.Conv2d(channels, channels, 1)
        self.k = nn.Conv2d(channels, channels, 1)
        self.v = nn.Conv2d(channels, channels, 1)
        self.proj_out = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.norm(x)
        # Contiguous, or PyTorch falls back to writing out all (H W)^2 scores: 2 GB at a megapixel.
        q, k, v = (rearrange(conv(h), "B C H W -> B 1 (H W) C").contiguous() for conv in (self.q, self.k, self.v))
        h = F.scaled_dot_product_attention(q, k, v)
        return x + self.proj_out(rearrange(h, "B 1 (H W) C -> B C H W", H=x.shape[2]))


class ResnetBlock(nn.Module):
    """Norm, SiLU, 3x3 convolution, twice, with a residual (1x1 convolution where the width changes)."""

    def __init__(self, groups: int, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.norm1 = group_norm(groups, in_channels)
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.norm2 = group_norm(groups, out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        widens = in_channels != out_channels
        self.nin_shortcut = nn.Conv2d(in_channels, out_channels, 1) if widens else None

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv1(F.silu(self.norm1(x)))
        h = self.conv2(F.silu(self.norm2(h)))
        return h + (x if self.nin_shortcut is None else self.nin_shortcut(x))


class Downsample(nn.Module):
    """3x3 convolution of stride 2 after padding the right and bottom edges only."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.pad(x, (0, 1, 0, 1)))


class Upsample(nn.Module):
    """Nearest-neighbour doubling, then a 3x3 convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))


class Level(nn.Module):
    """Residual blocks at one resolution."""

    def __init__(self, groups: int, width: int, out: int, count: int) -> None:
        super().__init__()
        self.block = nn.ModuleList(ResnetBlock(groups, width if j == 0 else out, out) for j in range(count))

    def forward(self, x: Tensor) -> Tensor:
        for block in self.block:
            x = block(x)
        return x


class DownLevel(Level):
    """Residual blocks, then half the resolution unless it is the last level."""

    def __init__(self, groups: int, width: int, out: int, count: int, last: bool) -> None:
        super().__init__(groups, width, out, count)
        self.downsample = None if last else Downsample(out)

    def forward(self, x: Tensor) -> Tensor:
        x = super().forward(x)
        return x if self.downsample is None else self.downsample(x)


class UpLevel(Level):
    """Residual blocks, then twice the resolution unless it is the last level."""

    def __init__(self, groups: int, width: int, out: int, count: int, last: bool) -> None:
        super().__init__(groups, width, out, count)
        self.upsample = None if last else Upsample(out)

    def forward(self, x: Tensor) -> Tensor:
        x = super().forward(x)
        return x if self.upsample is None else self.upsample(x)


class Middle(nn.Module):
    """Residual block, attention, residual block at the lowest resolution."""

    def __init__(self, groups: int, channels: int) -> None:
        super().__init__()
        self.block_1 = ResnetBlock(groups, channels, channels)
        self.attn_1 = AttnBlock(groups, channels)
        self.block_2 = ResnetBlock(groups, channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.block_2(self.attn_1(self.block_1(x)))


class Encoder(nn.Module):
    """`[B, 3, H, W]` -> `[B, 2 z, H/f, W/f]`: mean, then log-variance."""

    def __init__(self, cfg: AutoencoderConfig) -> None:
        super().__init__()
        widths = [cfg.ch * m for m in cfg.ch_mult]
        self.conv_in = nn.Conv2d(cfg.in_channels, cfg.ch, 3, padding=1)
        self.down = nn.ModuleList()
        width = cfg.ch
        for i, out in enumerate(widths):
            self.down.append(DownLevel(cfg.norm_groups, width, out, cfg.num_res_blocks, last=i == len(widths) - 1))
            width = out
        self.mid = Middle(cfg.norm_groups, width)
        self.norm_out = group_norm(cfg.norm_groups, width)
        self.conv_out = nn.Conv2d(width, 2 * cfg.z_channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv_in(x)
        for level in self.down:
            h = level(h)
        return self.conv_out(F.silu(self.norm_out(self.mid(h))))


class Decoder(nn.Module):
    """`[B, z, h, w]` -> `[B, 3, H, W]`. `up[i]` is the level of width index i; the deepest runs first."""

    def __init__(self, cfg: AutoencoderConfig) -> None:
        super().__init__()
        widths = [cfg.ch * m for m in cfg.ch_mult]
        width = widths[-1]
        self.conv_in = nn.Conv2d(cfg.z_channels, width, 3, padding=1)
        self.mid = Middle(cfg.norm_groups, width)
        levels: list[UpLevel] = []
        for i, out in reversed(list(enumerate(widths))):
            levels.insert(0, UpLevel(cfg.norm_groups, width, out, cfg.num_res_blocks + 1, last=i == 0))
            width = out
        self.up = nn.ModuleList(levels)
        self.norm_out = group_norm(cfg.norm_groups, width)
        self.conv_out = nn.Conv2d(width, cfg.out_channels, 3, padding=1)

    def forward(self, z: Tensor) -> Tensor:
        h = self.mid(self.conv_in(z))
        for level in reversed(self.up):
            h = level(h)
        return self.conv_out(F.silu(self.norm_out(h)))


class AutoEncoder(nn.Module):
    """Encoder and decoder with the latent convention z = scale * (mean - shift)."""

    def __init__(self, cfg: AutoencoderConfig) -> None:
        super().__init__()
        self.cfg = cfg
        self.encoder = Encoder(cfg)
        self.decoder = Decoder(cfg)

    def moments(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of the posterior, each `[B, z, h, w]`, before scale and shift."""
        mean, logvar = self.encoder(x).chunk(2, dim=1)
        return mean, logvar.clamp(-30.0, 20.0)

    def encode(self, x: Tensor) -> Tensor:
        """`[B, 3, H, W]` in [-1, 1] -> latents `[B, z, h, w]` of the posterior mean."""
        return self.cfg.scale_factor * (self.moments(x)[0] - self.cfg.shift_factor)

    def sample(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """As `encode`, with a draw from the posterior instead of its mean."""
        mean, logvar = self.moments(x)
        noise = torch.randn(mean.shape, generator=generator, dtype=mean.dtype, device=mean.device)
        return self.cfg.scale_factor * (mean + torch.exp(0.5 * logvar) * noise - self.cfg.shift_factor)

    def decode(self, z: Tensor) -> Tensor:
        """Latents `[B, z, h, w]` -> picture `[B, 3, H, W]`, about [-1, 1], not clamped."""
        return self.decoder(z / self.cfg.scale_factor + self.cfg.shift_factor)
