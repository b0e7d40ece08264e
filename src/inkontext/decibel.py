"""Squared errors as peak signal-to-noise ratios."""

from __future__ import annotations

import math
from typing import Final

HIGHEST: Final = 99.0  # dB where not a value differs, and no figure is above: a mean over pictures stays finite


def psnr_of(error: float, peak: float = 255.0) -> float:
    """10 log10(peak² / error), dB, at most `HIGHEST`; `error` is the mean squared difference. Of NaN it is NaN."""
    if error == 0:
        return HIGHEST
    value = -math.inf if error == math.inf else 10 * math.log10(peak**2 / error)
    return HIGHEST if value > HIGHEST else value  # NaN stays NaN
