"""Faces: alignment against scikit-image, the embedding's preprocessing, what is missing."""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image
from skimage.transform import SimilarityTransform, warp

from inkontext.errors import OptionError
from inkontext.evaluation import kontextbench_faces
from inkontext.evaluation.kontextbench_data import Item
from inkontext.evaluation.kontextbench_faces import PLACES, AuraFace, Face, Identity, aligned_face, similarity_to

ITEM = Item("k", "character", "show it on a beach", "k.png", Path("k.png"), 0, 0)
PICTURE = Image.new("RGB", (64, 64), "teal")
TURNED = SimilarityTransform(scale=1.7, rotation=0.3, translation=(90, 20))


def smooth(width: int, height: int) -> np.ndarray:
    y, x = np.mgrid[0:height, 0:width] / 40
    bands = [np.sin(2 * x + y), np.cos(3 * y - x), np.sin(x * y / 4)]
    return (127.5 + 120 * np.dstack(bands)).astype(np.uint8)


def test_the_transform_is_the_one_of_least_squares() -> None:
    points = TURNED(PLACES) + np.random.default_rng(0).normal(0, 2, (5, 2))
    expected = SimilarityTransform.from_estimate(points, PLACES).params[:2]
    np.testing.assert_allclose(similarity_to(PLACES, points), expected, atol=1e-9)


def test_an_aligned_face_is_what_another_library_cuts_out() -> None:
    pixels = smooth(300, 320)
    crop = aligned_face(pixels, TURNED(PLACES))
    expected = warp(pixels, TURNED, output_shape=(112, 112), order=1, preserve_range=True)
    assert crop.shape == (112, 112, 3) and crop.dtype == np.uint8
    assert np.abs(crop[4:-4, 4:-4] - expected[4:-4, 4:-4]).max() <= 1.5


class Fixed:
    """Vectors in turn."""

    def __init__(self, *vectors: list[float] | None) -> None:
        self.identity: dict[str, Any] = {"model": "fixed"}
        self.faces = iter(vectors)

    def available(self) -> str | None:
        return None

    def embed(self, picture: Image.Image) -> Face | None:
        vector = next(self.faces)
        return None if vector is None else Face(np.array(vector), 2)


def test_the_score_is_the_cosine_and_zero_is_a_score() -> None:
    score = Identity(Fixed([0.6, 0.8], [0.8, 0.6])).score(ITEM, PICTURE, PICTURE)
    assert score.value == pytest.approx(0.96) and score.evidence == {"reference_faces": 2, "output_faces": 2}
    assert Identity(Fixed([1, 0], [0, 1])).score(ITEM, PICTURE, PICTURE).value == 0.0


@pytest.mark.parametrize(("faces", "reason"), [((None, [1.0]), "reference"), (([1.0], None), "output")])
def test_without_a_face_there_is_no_score(faces: tuple[Any, Any], reason: str) -> None:
    score = Identity(Fixed(*faces)).score(ITEM, PICTURE, PICTURE)
    assert score.value is None and score.reason == f"no face in the {reason}"


def test_without_a_model_the_metric_says_so() -> None:
    assert "--face-model FOLDER" in (Identity(None).available() or "")


def number(value: int) -> bytes:
    out = b""
    while value > 127:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])


def field(place: int, value: int | bytes) -> bytes:
    if isinstance(value, int):
        return number(place << 3) + number(value)
    return number(place << 3 | 2) + number(len(value)) + value


def mean_network() -> bytes:
    """An ONNX file by hand: the mean of each channel, `[1, 3, 112, 112]` to `[1, 3]`."""
    axes = field(1, b"axes") + field(8, 2) + field(8, 3) + field(20, 7)
    keep = field(1, b"keepdims") + field(3, 0) + field(20, 2)
    node = field(1, b"x") + field(2, b"y") + field(4, b"ReduceMean") + field(5, axes) + field(5, keep)

    def value(name: bytes, *shape: int) -> bytes:
        dimensions = b"".join(field(1, field(1, n)) for n in shape)
        return field(1, name) + field(2, field(1, field(1, 1) + field(2, dimensions)))

    inside = field(1, node) + field(2, b"g") + field(11, value(b"x", 1, 3, 112, 112)) + field(12, value(b"y", 1, 3))
    return field(1, 8) + field(7, inside) + field(8, field(1, b"") + field(2, 13))


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


def test_the_largest_face_goes_through_the_network_as_red_green_blue(pack: Path) -> None:
    embedder = AuraFace(pack)
    assert embedder.available() is None and embedder.identity["detector"] == "scrfd_10g_bnkps.onnx"
    pixels = smooth(300, 320)
    face = embedder.embed(Image.fromarray(pixels))
    assert face is not None and face.among == 3
    means = (
        warp(pixels, TURNED, output_shape=(112, 112), order=1, preserve_range=True).mean(axis=(0, 1)) - 127.5
    ) / 127.5
    np.testing.assert_allclose(face.vector, means / np.linalg.norm(means), atol=0.01)
    assert np.linalg.norm(face.vector) == pytest.approx(1)
    assert embedder.embed(PICTURE) is None


def test_packs_that_lack_something(pack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert AuraFace(pack / "models/auraface").identity == AuraFace(pack).identity
    with pytest.raises(OptionError, match=r"no glintr100\.onnx"):
        AuraFace(tmp_path / "none")
    (pack / "models/auraface/scrfd_10g_bnkps.onnx").unlink()
    with pytest.raises(OptionError, match=r"no scrfd\*\.onnx"):
        AuraFace(pack)


def test_a_missing_library_is_told(pack: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    embedder = AuraFace(pack)
    find = lambda name: None if name == "insightface" else SimpleNamespace()  # noqa: E731
    monkeypatch.setattr(kontextbench_faces, "find_spec", find)
    assert "insightface not installed; pip install" in (Identity(embedder).available() or "")
