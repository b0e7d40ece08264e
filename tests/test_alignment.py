"""The whole pipeline with networks that change nothing: an edit gives back the picture, where it was, at its size.

Nothing of the pipeline but its networks is replaced. The autoencoder keeps every pixel (8x8x3 of them as 192
channels), and the transformer's velocity points from wherever the latents are to the context, so that solving ends
on it.
"""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor, nn

from inkontext.geometry import Size, frame_for, nearest_canvas, ratio_buckets
from inkontext.model.presets import KONTEXT_BUCKETS, Sampling
from inkontext.model.text import TextEncoding
from inkontext.pipeline import Pipeline
from tests.alignment import displacement

CELL = 8


class KeepPixels(nn.Module):
    """An autoencoder without loss: a latent cell holds its 8x8 pixels."""

    cfg = SimpleNamespace(z_channels=3 * CELL**2)

    def encode(self, x: Tensor) -> Tensor:
        return F.pixel_unshuffle(x, CELL)

    def decode(self, z: Tensor) -> Tensor:
        return F.pixel_shuffle(z, CELL)


class TowardsContext(nn.Module):
    """The exact velocity v = (z - c) / t of the straight path that ends in the first context c."""

    cfg = SimpleNamespace(guidance_embed=False, asymmetric=False)

    def __init__(self) -> None:
        super().__init__()
        self.nothing = nn.Parameter(torch.zeros(()))

    def forward(self, *, img: Tensor, timesteps: Tensor, **_: Any) -> Tensor:
        z, context = img.chunk(2, dim=1)
        return torch.cat([(z - context) / timesteps.clamp_min(1e-6), torch.zeros_like(context)], dim=1)


class NoWords:
    """Text towers that read nothing."""

    length = 64

    def check(self, prompt: str) -> None: ...

    def encode(self, prompt: str) -> TextEncoding:
        return TextEncoding(torch.zeros(1, 4, 8), torch.zeros(1, 8))


@pytest.fixture(scope="module")
def identities() -> dict[int, Pipeline]:
    """Pipelines by resolution; 0 has the published Kontext sizes."""
    shift = ((64, 0.0), (1024, 0.5))
    model = {"name": "identity", "fingerprint": "", "trained": True}
    made = {}
    for resolution in (64, 128, 256, 0):
        buckets = () if resolution else KONTEXT_BUCKETS
        sampling = Sampling(1, None, 64, resolution or 1024, shift, buckets)
        made[resolution] = Pipeline(TowardsContext(), KeepPixels(), NoWords(), sampling, Path(), model)  # type: ignore[arg-type]
    return made


def edited(pipeline: Pipeline, image: Image.Image, **options: Any) -> Image.Image:
    return pipeline.edit(image, "change nothing", **options).images[0]


def scale_of(pipeline: Pipeline, size: Size, fit: str) -> float:
    buckets = pipeline.sampling.buckets or ratio_buckets(pipeline.resolution)
    return min(frame_for(size, nearest_canvas(size, buckets), fit).scale)


@st.composite
def ordinary_sizes(draw: st.DrawFn) -> Size:
    width = draw(st.integers(24, 500))
    height = round(width * math.exp(draw(st.floats(-math.log(4), math.log(4)))))
    assume(24 <= height <= 500 and width <= 4 * height and height <= 4 * width)
    return width, height


again = settings(deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])


@settings(again, max_examples=200)
@given(size=ordinary_sizes(), resolution=st.sampled_from([64, 128, 256]), fit=st.sampled_from(["pad", "stretch"]))
@example(size=(500, 125), resolution=64, fit="pad")
@example(size=(125, 500), resolution=64, fit="stretch")
def test_the_identity_edit_is_aligned(identities: dict[int, Pipeline], size: Size, resolution: int, fit: str) -> None:
    pipeline = identities[resolution]
    scale = scale_of(pipeline, size, fit)
    assert displacement(size, scale, lambda image: edited(pipeline, image, fit=fit)) <= 0.1


@pytest.mark.parametrize("size", [(1920, 1080), (1080, 1920), (1023, 767), (3000, 750), (333, 1201), (61, 47)])
@pytest.mark.parametrize("fit", ["pad", "stretch"])
def test_the_identity_edit_is_aligned_at_published_sizes(identities: dict[int, Pipeline], size: Size, fit: str) -> None:
    scale = scale_of(identities[0], size, fit)
    assert displacement(size, scale, lambda image: edited(identities[0], image, fit=fit)) <= 0.1


@settings(again, max_examples=150)
@given(
    width=st.integers(1, 1200), height=st.integers(1, 1200), resolution=st.sampled_from([64, 128]),
    fit=st.sampled_from([None, "pad", "stretch"]),
)  # fmt: skip
@example(width=1, height=1, resolution=64, fit="pad")
@example(width=3000, height=2, resolution=64, fit="pad")
@example(width=1, height=2999, resolution=128, fit="stretch")
def test_any_size_comes_back(
    identities: dict[int, Pipeline], width: int, height: int, resolution: int, fit: str | None
) -> None:
    out = edited(identities[resolution], Image.new("RGB", (width, height), (9, 99, 199)), fit=fit)
    assert out.size == (width, height)
    assert np.abs(np.asarray(out, int) - (9, 99, 199)).max() <= 1


@pytest.mark.parametrize("solver", ["euler", "midpoint", "multistep"])  # heun asks at t = 0, where v is 0 / 0
@pytest.mark.parametrize("steps", [1, 2])
def test_a_picture_of_the_canvas_size_comes_back_to_the_byte(
    identities: dict[int, Pipeline], solver: str, steps: int
) -> None:
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (128, 128, 3), dtype=np.uint8))
    assert edited(identities[128], image, solver=solver, steps=steps).tobytes() == image.tobytes()


@pytest.mark.parametrize(
    ("options", "size"),
    [
        ({"size": "100x70"}, (100, 70)), ({"size": "16:9"}, (160, 96)), ({"size": (33, 77)}, (33, 77)),
        ({"fit": "crop"}, (200, 120)), ({"fit": "reference"}, (160, 96)),
        ({"fit": "reference", "size": "1:1"}, (128, 128)),
    ],
)  # fmt: skip
def test_other_sizes_are_given_when_asked_for(pipeline: Pipeline, options: dict[str, Any], size: Size) -> None:
    """With the small random model, whose context may have another size than its target."""
    sampling = Sampling(1, 2.5, 64, 128, None)
    larger = Pipeline(
        pipeline.transformer, pipeline.autoencoder, pipeline.towers, sampling, pipeline.folder, pipeline.model
    )
    assert larger.edit(Image.new("RGB", (200, 128)), "any", **options).images[0].size == size


def test_the_reference_fit_gives_the_reference_stretch(identities: dict[int, Pipeline], photo: Image.Image) -> None:
    out = edited(identities[64], photo, fit="reference")
    assert out.tobytes() == photo.resize(out.size, Image.Resampling.LANCZOS).tobytes()


def test_a_crop_shows_the_middle_in_place(identities: dict[int, Pipeline], photo: Image.Image) -> None:
    wide = photo.resize((300, 64))
    out = edited(identities[64], wide, fit="crop")
    left = (300 - out.width) // 2
    middle = wide.crop((left, 0, left + out.width, 64))
    assert out.size[1] == 64 and out.size[0] < 300
    assert np.abs(np.asarray(out, int) - np.asarray(middle, int)).mean() < 3


def test_transparency_comes_back_to_the_byte(identities: dict[int, Pipeline]) -> None:
    rgba = np.random.default_rng(0).integers(0, 256, (128, 128, 4), dtype=np.uint8)
    out = edited(identities[128], Image.fromarray(rgba))
    assert out.mode == "RGBA"
    assert np.array_equal(np.asarray(out), rgba)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_photo_comes_back_upright(
    identities: dict[int, Pipeline], orientation: int, photo: Image.Image
) -> None:
    turned = photo.copy()
    turned.getexif()[0x0112] = orientation
    out = edited(identities[64], turned)
    assert out.size == (photo.size if orientation < 5 else photo.size[::-1])
    assert out.getexif().get(0x0112, 1) == 1
