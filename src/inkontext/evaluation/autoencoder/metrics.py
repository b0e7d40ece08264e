"""How near a reconstruction is to its picture in VGG features; PSNR and SSIM are in `evaluation/fidelity.py`.

All three compare 8-bit RGB arrays `[H, W, 3]`, so that what is measured is what a file would hold.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from inkontext.errors import OptionError, WeightsError
from inkontext.weights.hashing import weights_digest

if TYPE_CHECKING:
    import torch

# VGG-16's convolutions up to each tap: relu1_2, relu2_2, relu3_3, relu4_3, relu5_3; torchvision's indices and widths.
_STAGES: Final = (
    ((0, 64), (2, 64)), ((5, 128), (7, 128)), ((10, 256), (12, 256), (14, 256)),
    ((17, 512), (19, 512), (21, 512)), ((24, 512), (26, 512), (28, 512)),
)  # fmt: skip
_MEAN, _SPREAD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet's channels
_TORCHVISION: Final = "vgg16-397923af.pth"


class VGGDistance:
    """PDist: squared distance of unit-length VGG-16 features, summed over five layers, averaged over places.

    This is LPIPS (Zhang et al. 2018) without its learned weights. The paper says no more than "VGG feature space".

    Attributes:
        identity: a digest of the weights.
    """

    def __init__(self, path: Path, device: str | torch.device = "cpu") -> None:
        """path: VGG-16 with torchvision's names, .safetensors or .pth. Raises WeightsError, OptionError."""
        tensors = _vgg_tensors(path)
        self.identity: dict[str, Any] = {"network": "vgg16", "weights": weights_digest(tensors)}
        self._device = device
        self._tensors = {name: tensor.to(device) for name, tensor in tensors.items()}

    def __call__(self, a: np.ndarray, b: np.ndarray) -> float:
        """`[H, W, 3]` uint8 twice -> distance, 0 for equal pictures."""
        import torch
        from torch.nn import functional as F

        pair = np.stack([a, b]).astype(np.float32) / 255
        pair = (pair - np.array(_MEAN, np.float32)) / np.array(_SPREAD, np.float32)
        total = 0.0
        with torch.no_grad():
            x = torch.from_numpy(pair).permute(0, 3, 1, 2).to(self._device)
            for number, stage in enumerate(_STAGES):
                x = F.max_pool2d(x, 2) if number else x
                for index, _ in stage:
                    weight, bias = (self._tensors[f"features.{index}.{kind}"] for kind in ("weight", "bias"))
                    x = F.relu(F.conv2d(x, weight, bias, padding=1))
                unit = x / (x.square().sum(1, keepdim=True).sqrt() + 1e-10)
                total += float((unit[0] - unit[1]).square().sum(0).mean())
        return total


def find_vgg(given: Path | None) -> Path | None:
    """The file given, else the one in torchvision's download cache, else None."""
    if given is not None:
        return given
    import torch

    cached = Path(torch.hub.get_dir()) / "checkpoints" / _TORCHVISION
    return cached if cached.is_file() else None


def _vgg_tensors(path: Path) -> dict[str, torch.Tensor]:
    """The 13 convolutions' weights and biases, float32."""
    import torch

    if not path.is_file():
        raise OptionError(f"there is no file '{path}'; give --vgg VGG-16 weights with torchvision's names")
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            stored = load_file(path)
        else:
            stored = torch.load(path, map_location="cpu", weights_only=True)  # tensors only: nothing of it is run
    except Exception as error:  # reading damaged files raises whatever comes
        raise WeightsError(
            f"'{path}' cannot be read as VGG-16 weights ({type(error).__name__}); get it again"
        ) from error
    out: dict[str, torch.Tensor] = {}
    width = 3
    for index, wider in (layer for stage in _STAGES for layer in stage):
        for name, shape in ((f"features.{index}.weight", (wider, width, 3, 3)), (f"features.{index}.bias", (wider,))):
            tensor = stored.get(name) if isinstance(stored, dict) else None
            if not isinstance(tensor, torch.Tensor) or tuple(tensor.shape) != shape:
                raise WeightsError(f"'{path}' has no {name} of shape {list(shape)}; give torchvision's VGG-16 weights")
            out[name] = tensor.float()
        width = wider
    return out
