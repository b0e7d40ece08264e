"""What several tests of evaluations use."""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, Dinov2Config, Dinov2Model

from inkontext.evaluation.faces import PLACES
from inkontext.weights.embedded import byte_clip_tokenizer
from tests.evaluation.faces_fixture import TURNED, mean_network, smooth

SIDE = {"shortest_edge": 32}
CROP = {"height": 32, "width": 32}


@pytest.fixture
def pack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a network whose embedding is known, and a detector that answers as InsightFace's does."""
    pytest.importorskip("onnxruntime")
    place = tmp_path / "models/auraface"
    place.mkdir(parents=True)
    (place / "glintr100.onnx").write_bytes(mean_network())
    (place / "scrfd_10g_bnkps.onnx").write_bytes(b"detector")
    boxes = np.array([[0, 0, 30, 30, 0.99], [60, 60, 230, 240, 0.8], [0, 0, 10, 10, 0.9]])
    points = np.stack([PLACES / 4, TURNED(PLACES), PLACES / 9])

    class Detector:
        def prepare(self, ctx_id: int, **options: Any) -> None:
            assert options["input_size"] == (640, 640)

        def detect(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            assert pixels.flags["C_CONTIGUOUS"]
            blue_first = pixels[0, 0].tolist() == smooth(300, 320)[0, 0, ::-1].tolist()
            return (boxes, points) if blue_first else (boxes[:0], points[:0])

    for name, content in {
        "insightface": {},
        "insightface.model_zoo": {"get_model": lambda *_, **__: Detector()},
    }.items():
        module = ModuleType(name)
        module.__spec__ = ModuleSpec(name, None)
        vars(module).update(content)
        monkeypatch.setitem(sys.modules, name, module)
    return tmp_path


@pytest.fixture(scope="session")
def networks(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A CLIP and a DINO model with random weights."""
    place = tmp_path_factory.mktemp("networks")
    tokenizer = byte_clip_tokenizer()
    small = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    end = tokenizer.eos_token_id
    text = {**small, "vocab_size": len(tokenizer), "max_position_embeddings": 24, "eos_token_id": end}
    vision = {**small, "image_size": 32, "patch_size": 8}
    torch.manual_seed(0)
    clip = CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=16))
    dino = Dinov2Model(
        Dinov2Config(hidden_size=32, num_hidden_layers=2, num_attention_heads=2, image_size=32, patch_size=8)
    )
    with torch.no_grad():  # far enough from the start that pictures differ
        for parameter in (*clip.parameters(), *dino.parameters()):
            parameter.add_(torch.randn_like(parameter) * 0.1)
    clip.save_pretrained(place / "clip")
    tokenizer.save_pretrained(place / "clip")
    dino.save_pretrained(place / "dino")
    for name in ("clip", "dino"):
        CLIPImageProcessor(size=SIDE, crop_size=CROP).save_pretrained(place / name)
    return place / "clip", place / "dino"


@pytest.fixture
def pair() -> tuple[np.ndarray, np.ndarray]:
    """A smooth picture of 48x37 pixels and a noisy one of it."""
    y, x = np.mgrid[0:48, 0:37] / 20.0
    smooth = np.dstack([np.sin(3 * x + y), np.cos(2 * x * y), np.sin(x - 4 * y)]) * 90 + 128
    noisy = smooth + np.random.default_rng(0).normal(0, 12, smooth.shape)
    return smooth.round().astype(np.uint8), noisy.clip(0, 255).round().astype(np.uint8)
