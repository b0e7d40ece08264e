"""How near a picture is to another, in numbers: PSNR and SSIM of 8-bit RGB arrays `[H, W, 3]`."""

from __future__ import annotations

import numpy as np

from inkontext.decibel import psnr_of

_SIGMA, _RADIUS = 1.5, 5  # of the Gaussian window, 11 pixels
_FLOOR, _CONTRAST = (0.01 * 255) ** 2, (0.03 * 255) ** 2


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    """10 log10(255² / mean squared error over all values), dB (`psnr_of`)."""
    return psnr_of(float(np.square(a.astype(np.float64) - b.astype(np.float64)).mean()))


def ssim(a: np.ndarray, b: np.ndarray) -> float:
    """Structural similarity, the mean over the three channels and all windows that lie inside.

    Both sides must be at least 11 pixels. As in scikit-image; torchmetrics (1.9) counts padded windows at edges too.
    """
    return float(ssim_map(a, b)[_RADIUS:-_RADIUS, _RADIUS:-_RADIUS].mean())


def ssim_map(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """SSIM around every pixel, mean of the channels, `[H, W]` in [-1, 1]; beyond the border the picture is mirrored.

    Wang, Bovik, Sheikh, Simoncelli 2004: a Gaussian window of 11 pixels with sigma 1.5, K1 = 0.01, K2 = 0.03, data
    range 255, population covariance.
    """
    x, y = a.astype(np.float64), b.astype(np.float64)
    mean_x, mean_y = _smooth(x), _smooth(y)
    var_x, var_y = _smooth(x * x) - mean_x**2, _smooth(y * y) - mean_y**2
    covariance = _smooth(x * y) - mean_x * mean_y
    over = (2 * mean_x * mean_y + _FLOOR) * (2 * covariance + _CONTRAST)
    under = (mean_x**2 + mean_y**2 + _FLOOR) * (var_x + var_y + _CONTRAST)
    return (over / under).mean(axis=-1)


def _smooth(x: np.ndarray) -> np.ndarray:
    """`[H, W, C]` under the Gaussian window."""
    taps = np.exp(-0.5 * (np.arange(-_RADIUS, _RADIUS + 1) / _SIGMA) ** 2)
    taps /= taps.sum()
    for axis in (0, 1):
        padded = np.pad(x, [(_RADIUS, _RADIUS) if a == axis else (0, 0) for a in range(3)], mode="symmetric")
        length = x.shape[axis]
        x = sum(tap * padded.take(range(i, i + length), axis) for i, tap in enumerate(taps))  # type: ignore[assignment]
    return x
