"""PSNR and SSIM against two other implementations, the VGG distance against plain convolutions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from inkontext.errors import OptionError, WeightsError
from inkontext.evaluation.autoencoder import metrics
from inkontext.evaluation.autoencoder.metrics import HIGHEST, VGGDistance, find_vgg, psnr, ssim

INDICES = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)


@pytest.fixture
def pair() -> tuple[np.ndarray, np.ndarray]:
    """A smooth picture of 48x37 pixels and a noisy one of it."""
    y, x = np.mgrid[0:48, 0:37] / 20.0
    smooth = np.dstack([np.sin(3 * x + y), np.cos(2 * x * y), np.sin(x - 4 * y)]) * 90 + 128
    noisy = smooth + np.random.default_rng(0).normal(0, 12, smooth.shape)
    return smooth.round().astype(np.uint8), noisy.clip(0, 255).round().astype(np.uint8)


def test_psnr_and_ssim_are_scikit_images(pair: tuple[np.ndarray, np.ndarray]) -> None:
    other = pytest.importorskip("skimage.metrics")
    a, b = pair
    assert psnr(a, b) == pytest.approx(other.peak_signal_noise_ratio(a, b, data_range=255), abs=1e-9)
    theirs = other.structural_similarity(
        a, b, data_range=255, channel_axis=2, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    assert ssim(a, b) == pytest.approx(theirs, abs=1e-6) and 0.3 < ssim(a, b) < 0.95


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


@pytest.fixture(scope="module")
def weights() -> dict[str, torch.Tensor]:
    """Random VGG-16 features under torchvision's names."""
    generator = torch.Generator().manual_seed(0)
    out, width = {}, 3
    for index, wide in zip(INDICES, (64, 64, 128, 128, 256, 256, 256, *[512] * 6), strict=True):
        out[f"features.{index}.weight"] = torch.randn(wide, width, 3, 3, generator=generator) * (2 / (9 * width)) ** 0.5
        out[f"features.{index}.bias"] = torch.randn(wide, generator=generator) * 0.1
        width = wide
    return out


def plain(weights: dict[str, torch.Tensor], pixels: np.ndarray) -> list[torch.Tensor]:
    """relu1_2, 2_2, 3_3, 4_3, 5_3 of torchvision's VGG-16, built as a list of layers."""
    layers: list[torch.nn.Module] = []
    width = 3
    for wide in (64, 64, "M", 128, 128, "M", 256, 256, 256, "M", 512, 512, 512, "M", 512, 512, 512):
        if isinstance(wide, int):
            layers += [torch.nn.Conv2d(width, wide, 3, padding=1), torch.nn.ReLU()]
            width = wide
        else:
            layers.append(torch.nn.MaxPool2d(2, 2))
    features = torch.nn.Sequential(*layers)
    features.load_state_dict({name.removeprefix("features."): t for name, t in weights.items()})
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    x = ((torch.from_numpy(pixels).float() / 255 - mean) / std).permute(2, 0, 1)[None]
    out = []
    with torch.no_grad():
        for number, layer in enumerate(features):
            x = layer(x)
            if number in (3, 8, 15, 22, 29):
                out.append(x[0])
    return out


def test_the_vgg_distance(
    weights: dict[str, torch.Tensor], pair: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    save_file(weights, tmp_path / "vgg.safetensors")
    torch.save(weights | {"classifier.0.weight": torch.ones(2)}, tmp_path / "vgg.pth")
    one, two = VGGDistance(tmp_path / "vgg.safetensors"), VGGDistance(tmp_path / "vgg.pth")
    assert one.identity == two.identity
    a, b = pair
    wanted = 0.0
    for f, g in zip(plain(weights, a), plain(weights, b), strict=True):
        cosine = torch.nn.functional.cosine_similarity(f, g, dim=0)  # |u - v|² = 2 - 2 cos of unit vectors
        wanted += float((2 - 2 * cosine).mean())
    assert one(a, b) == pytest.approx(wanted, rel=1e-4) and wanted > 0.01
    assert one(b, a) == pytest.approx(one(a, b)) and one(a, a) == 0


def test_wrong_vgg_weights(weights: dict[str, torch.Tensor], tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="no file"):
        VGGDistance(tmp_path / "none.pth")
    save_file({k: v for k, v in weights.items() if "28" not in k}, tmp_path / "part.safetensors")
    with pytest.raises(WeightsError, match=r"no features\.28\.weight"):
        VGGDistance(tmp_path / "part.safetensors")
    (tmp_path / "torn.pth").write_bytes(b"PK\x03\x04 torn")
    with pytest.raises(WeightsError, match="cannot be read"):
        VGGDistance(tmp_path / "torn.pth")


def test_torchvisions_cache_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    assert find_vgg(None) is None and find_vgg(Path("mine.pth")) == Path("mine.pth")
    cached = tmp_path / "checkpoints" / metrics._TORCHVISION
    cached.parent.mkdir()
    cached.touch()
    assert find_vgg(None) == cached
