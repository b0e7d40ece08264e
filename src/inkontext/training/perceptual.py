"""A distance between pictures that weighs structure over level."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from inkontext.errors import ModelNotFoundError


class PyramidLoss(nn.Module):
    """Mean absolute difference of the bands of a Laplacian pyramid, summed over bands.

    Our own feature term, used where nobody brings VGG weights: band-pass detail counts at every scale, so a
    blurred edge costs what a shifted level of the same size would not.
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


class VGGLoss(nn.Module):
    """LPIPS-like distance in VGG-16 features, from weights the user has (safetensors, torchvision's names)."""

    TAPS = (3, 8, 15, 22)
    WIDTHS = (64, 64, "M", 128, 128, "M", 256, 256, 256, "M", 512, 512, 512)

    def __init__(self, path: str) -> None:
        super().__init__()
        from safetensors.torch import load_file

        layers: list[nn.Module] = []
        width = 3
        for step in self.WIDTHS:
            if isinstance(step, int):
                layers += [nn.Conv2d(width, step, 3, padding=1), nn.ReLU()]
                width = step
            else:
                layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        wanted = self.features.state_dict()  # a file's later layers are not used
        try:
            there = {name.removeprefix("features."): tensor for name, tensor in load_file(path).items()}
            self.features.load_state_dict({name: tensor for name, tensor in there.items() if name in wanted})
        except (OSError, RuntimeError) as error:
            raise ModelNotFoundError(
                f"'{path}' holds no VGG-16 features ({error}); remove the key to use ours"
            ) from error
        self.requires_grad_(False)
        mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
        self.register_buffer("mean", mean.view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", std.view(1, 3, 1, 1), persistent=False)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        a, b = ((t / 2 + 0.5 - self.mean) / self.std for t in (x, y))  # type: ignore[operator]
        total = x.new_zeros(())
        for i, layer in enumerate(self.features):
            a, b = layer(a), layer(b)
            if i in self.TAPS:
                total = total + (F.normalize(a, dim=1) - F.normalize(b, dim=1)).square().sum(1).mean()
        return total
