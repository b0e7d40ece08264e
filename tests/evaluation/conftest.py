"""What several tests of evaluations use."""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from inkontext.evaluation.faces import PLACES
from tests.evaluation.faces_fixture import TURNED, mean_network, smooth


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
