"""The perceptual terms of the autoencoder's loss."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from inkontext.errors import ModelNotFoundError
from inkontext.training.perceptual import VGGLoss


def vgg_weights() -> dict[str, torch.Tensor]:
    """Random weights under torchvision's names, the classifier and the last block among them."""
    out, width, index = {}, 3, 0
    for step in (64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512):
        if step:
            out[f"features.{index}.weight"] = 0.05 * torch.randn(step, width, 3, 3)
            out[f"features.{index}.bias"] = torch.zeros(step)
            width = step
        index += 2 if step else 1
    return out | {"classifier.0.bias": torch.zeros(4)}


def test_vgg_takes_torchvisions_names(tmp_path: Path) -> None:
    torch.manual_seed(0)
    weights = vgg_weights()
    save_file(weights, tmp_path / "vgg.safetensors")
    loss = VGGLoss(str(tmp_path / "vgg.safetensors"))
    assert torch.equal(loss.features[21].weight, weights["features.21.weight"])
    picture = torch.rand(1, 3, 32, 32)
    assert loss(picture, picture) == 0 < loss(picture, picture.flip(-1))


def test_a_file_without_a_layer_is_refused(tmp_path: Path) -> None:
    weights = vgg_weights()
    del weights["features.12.weight"]
    save_file(weights, tmp_path / "vgg.safetensors")
    with pytest.raises(ModelNotFoundError, match="holds no VGG-16 features"):
        VGGLoss(str(tmp_path / "vgg.safetensors"))
