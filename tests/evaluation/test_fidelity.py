"""PSNR and SSIM against two other implementations, and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from inkontext.decibel import HIGHEST
from inkontext.evaluation.fidelity import psnr, ssim, ssim_map


def test_psnr_and_ssim_are_scikit_images(pair: tuple[np.ndarray, np.ndarray]) -> None:
    other = pytest.importorskip("skimage.metrics")
    a, b = pair
    assert psnr(a, b) == pytest.approx(other.peak_signal_noise_ratio(a, b, data_range=255), abs=1e-9)
    theirs = other.structural_similarity(
        a, b, data_range=255, channel_axis=2, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    assert ssim(a, b) == pytest.approx(theirs, abs=1e-6) and 0.3 < ssim(a, b) < 0.95


def test_the_map_is_scikit_images(pair: tuple[np.ndarray, np.ndarray]) -> None:
    other = pytest.importorskip("skimage.metrics")
    how = {"channel_axis": -1, "gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    _, theirs = other.structural_similarity(*pair, data_range=255, full=True, **how)
    np.testing.assert_allclose(ssim_map(*pair), theirs.mean(axis=-1), atol=1e-9)
    assert ssim_map(pair[0], pair[0]).min() == pytest.approx(1)


def test_psnr_and_ssim_are_torchmetrics(pair: tuple[np.ndarray, np.ndarray]) -> None:
    other = pytest.importorskip("torchmetrics.functional.image")
    a, b = pair
    x, y = (torch.from_numpy(v).permute(2, 0, 1)[None].double() for v in pair)
    assert psnr(a, b) == pytest.approx(float(other.peak_signal_noise_ratio(y, x, data_range=255.0)), abs=1e-4)
    _, everywhere = other.structural_similarity_index_measure(y, x, data_range=255.0, return_full_image=True)
    inside = everywhere[..., 5:-5, 5:-5]  # its padded edges are left out
    assert ssim(a, b) == pytest.approx(float(inside.mean()), abs=1e-4)


def test_closed_forms() -> None:
    black = np.zeros((16, 16, 3), np.uint8)
    assert psnr(black, black) == HIGHEST and ssim(black, black) == pytest.approx(1)
    assert psnr(black, black + 255) == pytest.approx(0) and psnr(black, black + 51) == pytest.approx(20 * np.log10(5))
    # Flat pictures have no variance: only the luminance term is left.
    level = (2 * 100 * 200 + 6.5025) / (100**2 + 200**2 + 6.5025)
    assert ssim(black + 100, black + 200) == pytest.approx(level, abs=1e-12)
