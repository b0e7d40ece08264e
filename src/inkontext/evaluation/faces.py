"""Is it still the same person? Cosine of face embeddings, AuraFace's where its files are given.

The picture's largest face counts. A picture in which no face is found has no score.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
from PIL import Image

from inkontext.errors import OptionError
from inkontext.evaluation.score import Score
from inkontext.weights.hashing import sha256

CROP: Final = 112  # pixels a side of an aligned face
# Where ArcFace's training put eyes, nose and corners of the mouth in that crop, (x, y) pixels.
PLACES: Final = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
)
RECOGNISER: Final = "glintr100.onnx"
DETECTORS: Final = "scrfd*.onnx"
NEEDS: Final = f"no face model; --face-model FOLDER with AuraFace's {RECOGNISER} and {DETECTORS}"
_DETECTION: Final = (640, 640)


@dataclass(frozen=True)
class Face:
    """The largest face of a picture: unit vector `[D]`, and how many faces there were."""

    vector: np.ndarray
    among: int


class Embedder(Protocol):
    """Finds a face and turns it into a vector; any network may stand behind it."""

    identity: dict[str, Any]

    def available(self) -> str | None:
        """None where it can work, else why not."""
        ...

    def embed(self, picture: Image.Image) -> Face | None:
        """The largest face; None where there is none."""
        ...


def likeness(embedder: Embedder, before: Image.Image, after: Image.Image) -> Score:
    """Cosine between the faces of two pictures, in [−1, 1]; missing where one has none."""
    first, second = embedder.embed(before), embedder.embed(after)
    seen = {"reference_faces": first.among if first else 0, "output_faces": second.among if second else 0}
    if first is None:
        return Score(None, "no face in the reference", seen)
    if second is None:
        return Score(None, "no face in the output", seen, judged=0.0)
    return Score(float(first.vector @ second.vector), evidence=seen, judged=1.0)


class AuraFace:
    """fal/AuraFace-v1: InsightFace's detector finds the face, glintr100 embeds it (512 numbers)."""

    def __init__(self, folder: Path) -> None:
        """The pack's folder, or one with models/auraface in it. Raises OptionError where a file is not there."""
        places = (folder, folder / "models/auraface")
        place = next((p for p in places if (p / RECOGNISER).is_file()), None)
        detectors = sorted(place.glob(DETECTORS)) if place else []
        if place is None or not detectors:
            missing = DETECTORS if place else RECOGNISER
            raise OptionError(f"the folder '{folder}' holds no {missing}; give the one with AuraFace's files")
        self._recogniser, self._detector = place / RECOGNISER, detectors[0]
        files = b"".join(bytes.fromhex(sha256(path)) for path in (self._recogniser, self._detector))
        self.identity: dict[str, Any] = {
            "model": "auraface", "detector": self._detector.name,
            "digest": hashlib.sha256(files).hexdigest()[:16],
        }  # fmt: skip
        self._networks: tuple[Any, Any] | None = None

    def available(self) -> str | None:
        missing = [name for name in ("onnxruntime", "insightface") if find_spec(name) is None]
        return f"{' and '.join(missing)} not installed; pip install insightface onnxruntime" if missing else None

    def embed(self, picture: Image.Image) -> Face | None:
        detector, session = self._open()
        pixels = np.asarray(picture)
        boxes, points = detector.detect(np.ascontiguousarray(pixels[..., ::-1]))  # blue first
        if not len(boxes):
            return None
        largest = int(np.argmax((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])))
        crop = aligned_face(pixels, np.asarray(points[largest]))
        x = ((crop.astype(np.float32) - 127.5) / 127.5).transpose(2, 0, 1)[None]
        vector = session.run(None, {session.get_inputs()[0].name: x})[0].reshape(-1).astype(np.float64)
        return Face(vector / np.linalg.norm(vector), len(boxes))

    def _open(self) -> tuple[Any, Any]:
        if self._networks is None:
            import onnxruntime

            providers = ["CPUExecutionProvider"]
            detector = import_module("insightface.model_zoo").get_model(str(self._detector), providers=providers)
            detector.prepare(ctx_id=-1, input_size=_DETECTION, det_thresh=0.5)
            self._networks = detector, onnxruntime.InferenceSession(str(self._recogniser), providers=providers)
        return self._networks


def aligned_face(pixels: np.ndarray, points: np.ndarray) -> np.ndarray:
    """The face turned and scaled so that its five points lie where ArcFace expects them; black beyond the picture.

    Args:
        pixels: uint8 `[H, W, 3]`. points: `[5, 2]`, (x, y): eyes, nose, corners of the mouth, left ones first.
    Returns:
        uint8 `[112, 112, 3]`.
    """
    back = np.linalg.inv(np.vstack([similarity_to(PLACES, points), [0, 0, 1]]))[:2]
    back[:, 2] += 0.5 - back[:, :2].sum(axis=1) / 2  # Pillow counts from a pixel's corner, the points from its centre
    size, method = (CROP, CROP), Image.Transform.AFFINE
    crop = Image.fromarray(pixels).transform(size, method, tuple(back.ravel()), Image.Resampling.BILINEAR)
    return np.asarray(crop)


def similarity_to(target: np.ndarray, points: np.ndarray) -> np.ndarray:
    """The `[2, 3]` rotation, scale and shift that brings `points` nearest to `target` (least squares).

    With points as complex numbers, w = αz + β: α = Σ conj(z−z̄)(w−w̄) / Σ |z−z̄|², β = w̄ − αz̄.
    """
    z, w = (p @ np.array([1, 1j]) for p in (points, target))
    centred = z - z.mean()
    alpha = (centred.conj() @ (w - w.mean())) / (centred.conj() @ centred)
    beta = w.mean() - alpha * z.mean()
    return np.array([[alpha.real, -alpha.imag, beta.real], [alpha.imag, alpha.real, beta.imag]])
