"""Small models made once a session, and the filling rule behind the golden numbers."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
import torch
from hypothesis import HealthCheck, settings
from PIL import Image, ImageOps

from inkontext.model.transformer import FluxTransformer
from inkontext.pipeline import Pipeline
from inkontext.weights.embedded import make_untrained

# A busy machine is no failure, and every run tries the same examples; `--hypothesis-profile=explore` tries new ones.
settings.register_profile("explore", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("same", settings.get_profile("explore"), derandomize=True)
settings.load_profile("same")
torch.set_num_threads(1)  # tiny tensors: a second thread costs more than it brings, more so on a busy machine


def pytest_unconfigure(config: pytest.Config) -> None:
    """The last line of a run: what it left out, and the command that brings it."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or hasattr(config, "workerinput"):
        return
    reasons = Counter(str(report.longrepr[2]).removeprefix("Skipped: ") for report in reporter.stats.get("skipped", []))
    parts = [f"{count} skipped ({reason})" for reason, count in reasons.items()]
    if config.option.markexpr == "not slow":
        parts.append("the slow tests (run them with: make test-all)")
    if parts:
        reporter.write_line("Not run: " + "; ".join(parts))


@pytest.fixture(params=["heic", "avif"])
def phone(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, Image.Image]:
    """A phone's photograph, stored lying on its side, and what is seen, as its own library decodes it."""
    pillow_heif.register_heif_opener()
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / f"IMG_0001.{request.param.upper()}"
    ramp = np.linspace(0, 255, 96, dtype=np.uint8)
    lying = Image.fromarray(np.stack(np.broadcast_arrays(ramp, ramp[:64, None], ramp[::-1]), axis=-1))
    lying.save(path, {"heic": "HEIF", "avif": "AVIF"}[request.param], quality=90, exif=exif.tobytes())
    with Image.open(path) as image:
        seen = ImageOps.exif_transpose(image).convert("RGB")
    assert seen.size == (64, 96)
    return path, seen


@pytest.fixture(scope="session")
def debug_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A complete model of the `debug` preset with random weights, as a diffusers-layout folder."""
    return make_untrained(tmp_path_factory.mktemp("models") / "debug", "debug")


@pytest.fixture(scope="session")
def pipeline(debug_folder: Path) -> Pipeline:
    return Pipeline.from_pretrained(debug_folder, device="cpu", dtype="float32")


@pytest.fixture
def fast(pipeline: Pipeline) -> Pipeline:
    """The debug model's weights, taken for those of a model with a kept context."""
    transformer = FluxTransformer(replace(pipeline.transformer.cfg, asymmetric=True)).requires_grad_(False).eval()
    transformer.load_state_dict(pipeline.transformer.state_dict())
    return Pipeline(
        transformer, pipeline.autoencoder, pipeline.towers, pipeline.sampling, pipeline.folder,
        pipeline.model | {"fingerprint": "asymmetric"},
    )  # fmt: skip


@pytest.fixture(scope="session")
def photo() -> Image.Image:
    """A smooth, asymmetric colour picture of 96x64 pixels."""
    y, x = np.mgrid[0:64, 0:96] / 64.0
    bands = [0.5 + 0.5 * np.sin(6 * x + 2 * y), y, 0.5 + 0.5 * np.cos(9 * x * y + 1)]
    return Image.fromarray((np.dstack(bands) * 255).astype(np.uint8))
