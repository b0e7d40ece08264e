"""One formula for PSNR, against scikit-image, torchmetrics and closed forms, and everywhere the same ceiling."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio
from torchmetrics.functional.image import peak_signal_noise_ratio as torch_psnr

from inkontext.data.report import compare
from inkontext.data.world.pair import sample_pair
from inkontext.data.world.score import score
from inkontext.decibel import HIGHEST, psnr_of
from inkontext.evaluation import fidelity
from inkontext.evaluation.alignment.untouched import untouched
from inkontext.session import drift


@pytest.mark.parametrize("peak", [1.0, 255.0])
def test_against_two_others(peak: float) -> None:
    a, b = np.random.default_rng(0).random((2, 9, 7, 3)) * peak
    mine = psnr_of(float(np.square(a - b).mean()), peak)
    assert mine == pytest.approx(peak_signal_noise_ratio(a, b, data_range=peak), abs=1e-12)
    theirs = torch_psnr(torch.from_numpy(b), torch.from_numpy(a), data_range=peak)
    assert mine == pytest.approx(float(theirs), abs=1e-6)


def test_closed_forms() -> None:
    assert psnr_of(1.0) == pytest.approx(20 * math.log10(255))
    assert psnr_of(255.0**2) == 0
    assert psnr_of(0.01, 1.0) == pytest.approx(20)
    assert psnr_of(0) == psnr_of(1e-30) == HIGHEST == 99
    assert math.isnan(psnr_of(math.nan)), "a broken picture is no perfect one"
    assert psnr_of(math.inf) == -math.inf


def test_every_measure_has_it() -> None:
    """The same picture twice is 99 dB, and another one is what the formula says, by whichever measure."""
    picture = np.random.default_rng(1).integers(40, 200, (64, 64, 3)).astype(np.uint8)
    shifted, everywhere = picture + np.uint8(1), np.ones((64, 64), bool)
    assert fidelity.psnr(picture, picture) == untouched(picture, picture, None).psnr == HIGHEST
    assert drift.psnr(picture, picture, everywhere) == compare(*_twice(picture))[2] == HIGHEST
    assert fidelity.psnr(picture, shifted) == pytest.approx(psnr_of(1))
    assert untouched(picture, shifted, None).psnr == pytest.approx(psnr_of(1))
    assert drift.psnr(picture, shifted, everywhere) == pytest.approx(psnr_of(1), abs=1e-6)
    assert compare(Image.fromarray(picture), [Image.fromarray(shifted)])[2] == pytest.approx(psnr_of(1), abs=1e-4)
    pair = sample_pair(3, "local", 64)
    assert score(pair, pair.target).kept_psnr == HIGHEST


def _twice(picture: np.ndarray) -> tuple[Image.Image, list[Image.Image]]:
    return Image.fromarray(picture), [Image.fromarray(picture)]
