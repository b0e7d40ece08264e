"""The VGG distance against plain convolutions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from inkontext.errors import OptionError, WeightsError
from inkontext.evaluation.autoencoder import metrics
from inkontext.evaluation.autoencoder.metrics import VGGDistance, find_vgg

INDICES = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)


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
