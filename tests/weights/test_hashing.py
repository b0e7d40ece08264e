"""One hash of each kind for weights, the same wherever it is asked for."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from inkontext.data.latents import fingerprint_of
from inkontext.evaluation.world.systems import ModelSystem
from inkontext.pipeline import Pipeline
from inkontext.weights.hashing import fingerprint, sha256, weights_digest

STATE = {"b": torch.arange(6.0).reshape(2, 3), "a": torch.tensor([1.5], dtype=torch.bfloat16)}


def test_fingerprint_tells_files_apart_and_not_places(tmp_path: Path) -> None:
    paths = [tmp_path / f"{name}.safetensors" for name in "abc"]
    for path, value in zip(paths, (1.0, 1.0, 2.0), strict=True):
        save_file({"x": torch.full((1000,), value)}, path)
    a, b, c = (fingerprint([p]) for p in paths)
    assert a == b != c


def test_sha256_is_the_hash_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc" * 100_000)
    assert sha256(tmp_path / "a") == hashlib.sha256(b"abc" * 100_000).hexdigest()


def test_the_digest_is_of_names_dtypes_shapes_and_all_bytes() -> None:
    told = b"words" + b"a torch.bfloat16 [1]" + b"\xc0\x3f" + b"b torch.float32 [2, 3]" + STATE["b"].numpy().tobytes()
    assert weights_digest(STATE, words="words") == hashlib.sha256(told).hexdigest()[:16]
    flipped = dict(reversed(STATE.items()))
    assert weights_digest(flipped, words="words") == weights_digest(STATE, words="words")


@pytest.mark.parametrize("change", ["value", "name", "dtype", "shape", "words"])
def test_the_digest_knows_every_change(change: str) -> None:
    other = {name: tensor.clone() for name, tensor in STATE.items()}
    if change == "value":
        other["b"][1, 1] = torch.nextafter(other["b"][1, 1], torch.tensor(9.0))
    elif change == "name":
        other["c"] = other.pop("b")
    elif change == "dtype":
        other["b"] = other["b"].view(torch.int32)
    elif change == "shape":
        other["b"] = other["b"].reshape(3, 2)
    assert weights_digest(other, words="x" if change == "words" else "") != weights_digest(STATE)


def test_sessions_and_evaluations_know_weights_by_the_same_hash(debug_folder: Path) -> None:
    pipeline = Pipeline.from_pretrained(debug_folder)
    autoencoder, cfg = pipeline.autoencoder.state_dict(), pipeline.autoencoder.cfg
    scale = f"{cfg.scale_factor!r} {cfg.shift_factor!r}"
    assert fingerprint_of(pipeline.autoencoder) == weights_digest(autoencoder, words=scale)
    networks = pipeline.transformer, pipeline.autoencoder, pipeline.towers.t5, pipeline.towers.clip
    weights = ModelSystem(pipeline).identity["weights"]
    assert weights == weights_digest(*(network.state_dict() for network in networks))
    with torch.no_grad():
        pipeline.transformer.img_in.bias[-1] += 1
    assert ModelSystem(pipeline).identity["weights"] != weights
