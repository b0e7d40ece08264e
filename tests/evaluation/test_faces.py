"""Faces: alignment against scikit-image, the embedding's preprocessing, what is missing."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image
from skimage.transform import SimilarityTransform, warp

from inkontext.errors import OptionError
from inkontext.evaluation import faces
from inkontext.evaluation.faces import PLACES, AuraFace, Face, aligned_face, similarity_to
from inkontext.evaluation.kontextbench.data import Item
from inkontext.evaluation.kontextbench.metrics import Identity
from tests.evaluation.faces_fixture import TURNED, smooth

ITEM = Item("k", "character", "show it on a beach", "k.png", Path("k.png"), 0, 0)
PICTURE = Image.new("RGB", (64, 64), "teal")


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
        self.vectors = iter(vectors)

    def available(self) -> str | None:
        return None

    def embed(self, picture: Image.Image) -> Face | None:
        vector = next(self.vectors)
        return None if vector is None else Face(np.array(vector), 2)


def test_the_score_is_the_cosine_and_zero_is_a_score() -> None:
    score = Identity(Fixed([0.6, 0.8], [0.8, 0.6])).score(ITEM, PICTURE, PICTURE)
    assert score.value == pytest.approx(0.96) and score.evidence == {"reference_faces": 2, "output_faces": 2}
    assert Identity(Fixed([1, 0], [0, 1])).score(ITEM, PICTURE, PICTURE).value == 0.0


@pytest.mark.parametrize(("vectors", "reason"), [((None, [1.0]), "reference"), (([1.0], None), "output")])
def test_without_a_face_there_is_no_score(vectors: tuple[Any, Any], reason: str) -> None:
    score = Identity(Fixed(*vectors)).score(ITEM, PICTURE, PICTURE)
    assert score.value is None and score.reason == f"no face in the {reason}"


def test_without_a_model_the_metric_says_so() -> None:
    assert "--face-model FOLDER" in (Identity(None).available() or "")


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
    monkeypatch.setattr(faces, "find_spec", find)
    assert "insightface not installed; pip install" in (Identity(embedder).available() or "")
