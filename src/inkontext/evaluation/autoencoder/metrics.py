"""How near a reconstruction is to its picture: PSNR, SSIM, and a distance in VGG features.

All three compare 8-bit RGB arrays `[H, W, 3]`, so that what is measured is what a file would hold.
"""

from __future__ import annotations

import hashlib
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from inkontext.errors import OptionError, WeightsError

if TYPE_CHECKING:
    import torch

HIGHEST: Final = 99.0  # dB where not a value differs
_WINDOW, _SIGMA = 11, 1.5
_FLOOR, _CONTRAST = (0.01 * 255) ** 2, (0.03 * 255) ** 2
# VGG-16's convolutions up to each tap: relu1_2, relu2_2, relu3_3, relu4_3, relu5_3; torchvision's indices and widths.
_STAGES: Final = (
    ((0, 64), (2, 64)), ((5, 128), (7, 128)), ((10, 256), (12, 256), (14, 256)),
    ((17, 512), (19, 512), (21, 512)), ((24, 512), (26, 512), (28, 512)),
)  # fmt: skip
_MEAN, _SPREAD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet's channels
_TORCHVISION: Final = "vgg16-397923af.pth"


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    """10 log10(255² / mean squared error over all pixels and channels), dB; `HIGHEST` where not a value differs."""
    error = float(np.square(a.astype(np.float64) - b.astype(np.float64)).mean())
    return min(HIGHEST, 10 * math.log10(255**2 / error)) if error else HIGHEST


def ssim(a: np.ndarray, b: np.ndarray) -> float:
    """Structural similarity (Wang et al. 2004), the mean over the three channels and all whole windows.

    Gaussian window of 11 with sigma 1.5, K1 = 0.01, K2 = 0.03, data range 255, population covariance. Both sides
    must be at least 11 pixels. As in scikit-image; torchmetrics (1.9) counts padded windows at the edges too.
    """
    x, y = a.astype(np.float64), b.astype(np.float64)
    mean_x, mean_y = _blur(x), _blur(y)
    var_x, var_y = _blur(x * x) - mean_x**2, _blur(y * y) - mean_y**2
    covariance = _blur(x * y) - mean_x * mean_y
    over = (2 * mean_x * mean_y + _FLOOR) * (2 * covariance + _CONTRAST)
    under = (mean_x**2 + mean_y**2 + _FLOOR) * (var_x + var_y + _CONTRAST)
    return float((over / under).mean())


def _blur(values: np.ndarray) -> np.ndarray:
    """Gaussian means over the windows that lie inside: `[H, W, 3]` -> `[H - 10, W - 10, 3]`."""
    offsets = np.arange(_WINDOW) - _WINDOW // 2
    taps = np.exp(-(offsets**2) / (2 * _SIGMA**2))
    taps /= taps.sum()
    height, width = (side - _WINDOW + 1 for side in values.shape[:2])
    rows = sum(tap * values[i : i + height] for i, tap in enumerate(taps))
    return sum(tap * rows[:, i : i + width] for i, tap in enumerate(taps))  # type: ignore[index, return-value]


class VGGDistance:
    """PDist: squared distance of unit-length VGG-16 features, summed over five layers, averaged over places.

    This is LPIPS (Zhang et al. 2018) without its learned weights. The paper says no more than "VGG feature space".

    Attributes:
        identity: a digest of the weights.
    """

    def __init__(self, path: Path, device: str | torch.device = "cpu") -> None:
        """path: VGG-16 with torchvision's names, .safetensors or .pth. Raises WeightsError, OptionError."""
        tensors = _vgg_tensors(path)
        digest = hashlib.sha256()
        for tensor in tensors.values():
            digest.update(tensor.numpy().tobytes())
        self.identity: dict[str, Any] = {"network": "vgg16", "weights": digest.hexdigest()[:16]}
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
