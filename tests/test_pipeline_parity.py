"""The whole pipeline, text towers included, against diffusers' `FluxKontextPipeline` on the same folder."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import FluxKontextInpaintPipeline, FluxKontextPipeline
from diffusers.pipelines.flux import pipeline_flux_kontext, pipeline_flux_kontext_inpaint
from diffusers.schedulers import scheduling_flow_match_euler_discrete, scheduling_flow_match_lcm
from PIL import Image

from inkontext import geometry
from inkontext.coding import Coder
from inkontext.model.presets import KONTEXT_BUCKETS, PRESETS
from inkontext.pipeline import Pipeline
from inkontext.sequence import pack, unpack
from inkontext.weights.embedded import make_untrained

AREA = 64 * 64


@pytest.fixture(scope="module")
def theirs(debug_folder: Path) -> FluxKontextPipeline:
    pipe = FluxKontextPipeline.from_pretrained(debug_folder)
    pipe.set_progress_bar_config(disable=True)
    return pipe


@pytest.fixture(autouse=True)
def small_buckets(monkeypatch: pytest.MonkeyPatch) -> None:
    """diffusers stretches to its list of sizes; give it the small model's."""
    sizes = list(geometry.ratio_buckets(64))
    for module in (pipeline_flux_kontext, pipeline_flux_kontext_inpaint):
        monkeypatch.setattr(module, "PREFERRED_KONTEXT_RESOLUTIONS", sizes)


def reference(pipe: Any, prompt: str = "make it red", seed: int = 3, latents: bool = False, **more: Any) -> Any:
    out = pipe(
        prompt=prompt, num_inference_steps=4, guidance_scale=2.5, max_sequence_length=64,
        generator=torch.Generator().manual_seed(seed), output_type="latent" if latents else "pil", **more,
    )  # fmt: skip
    return out.images[0]


def capture_latents(monkeypatch: pytest.MonkeyPatch) -> list[torch.Tensor]:
    """Collect the packed latents that reach the decoder."""
    caught: list[torch.Tensor] = []
    decode = Coder.decode

    def spy(self: Coder, z: torch.Tensor) -> Image.Image:
        caught.append(pack(z)[0])
        return decode(self, z)

    monkeypatch.setattr(Coder, "decode", spy)
    return caught


SCHEDULERS: dict[str, dict[str, Any]] = {
    "shift": {"use_dynamic_shifting": False, "shift": 5.0},
    "another line": {"base_shift": 0.9, "max_shift": 2.0, "base_image_seq_len": 4, "max_image_seq_len": 64},
    "linear": {"time_shift_type": "linear", "base_shift": 0.5},
    "terminal": {"shift_terminal": 0.2},
    "karras": {"use_karras_sigmas": True},
    "exponential": {"use_exponential_sigmas": True},
    "beta": {"use_beta_sigmas": True},
    "stochastic": {"stochastic_sampling": True},
    "LCM": {},
}


def pixel_gap(a: Image.Image, b: Image.Image) -> int:
    assert a.size == b.size
    return int(np.abs(np.asarray(a).astype(int) - np.asarray(b)).max())


CASES: dict[str, tuple[dict, dict]] = {
    "edit": ({}, {}),
    "true cfg": (
        {"negative": "blurry", "true_cfg": 3.0},
        {"negative_prompt": "blurry", "true_cfg_scale": 3.0},
    ),
    "empty negative": ({"true_cfg": 2.0}, {"negative_prompt": "", "true_cfg_scale": 2.0}),
    "guidance": ({"guidance": 4.5}, {"guidance_scale": 4.5}),
}


@pytest.mark.parametrize("case", CASES)
def test_edit(
    case: str, pipeline: Pipeline, theirs: FluxKontextPipeline, photo: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours_more, theirs_more = CASES[case]
    width, height = geometry.reference_canvas(photo.size, geometry.ratio_buckets(64))
    theirs_more = {"guidance_scale": 2.5} | theirs_more
    shared = {
        "image": photo, "prompt": "make it red", "width": width, "height": height, "max_area": width * height,
        "num_inference_steps": 4, "max_sequence_length": 64,
    }  # fmt: skip
    expected_latents = theirs(
        **shared, **theirs_more, generator=torch.Generator().manual_seed(3), output_type="latent"
    ).images[0]
    expected = theirs(**shared, **theirs_more, generator=torch.Generator().manual_seed(3)).images[0]
    caught = capture_latents(monkeypatch)
    result = pipeline.edit(
        photo, "make it red", seed=3, steps=4, fit="reference", reference_numerics="diffusers", **ours_more
    )
    assert (caught[0] - expected_latents).abs().max().item() <= 1e-4
    assert pixel_gap(result.images[0], expected) <= 1


@pytest.fixture
def wide(photo: Image.Image) -> Image.Image:
    return photo.resize((416, 352))


@pytest.mark.parametrize("context", [None, 64])
def test_edit_at_another_resolution(
    context: int | None, wide: Image.Image, pipeline: Pipeline, theirs: FluxKontextPipeline,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """A model of 64 x 64 pixels on a canvas of 208 x 176; its context there too, or by diffusers' own rule."""
    if context is None:
        for module in (pipeline_flux_kontext, pipeline_flux_kontext_inpaint):
            monkeypatch.setattr(module, "PREFERRED_KONTEXT_RESOLUTIONS", [(208, 176), (176, 208)])
    more = {"image": wide, "height": 176, "width": 208, "max_area": 208 * 176}
    expected_latents, expected = reference(theirs, latents=True, **more), reference(theirs, **more)
    caught = capture_latents(monkeypatch)
    result = pipeline.edit(
        wide, "make it red", seed=3, steps=4, guidance=2.5, fit="reference", reference_numerics="diffusers",
        resolution=192, context_resolution=context,
    )  # fmt: skip
    assert result.images[0].size == (208, 176)
    assert (caught[0] - expected_latents).abs().max().item() <= 1e-4
    assert pixel_gap(result.images[0], expected) <= 1
    other = pipeline.edit(wide, "make it red", seed=3, steps=4, guidance=2.5, fit="reference")
    assert other.images[0].size != expected.size  # so the resolution made the difference


def test_a_picture_of_the_canvas_needs_no_reference_rule(
    wide: Image.Image, pipeline: Pipeline, theirs: FluxKontextPipeline
) -> None:
    picture = wide.resize((208, 176))
    more = {"image": picture, "height": 176, "width": 208, "max_area": 208 * 176, "_auto_resize": False}
    expected = reference(theirs, **more)
    ours = pipeline.edit(picture, "make it red", seed=3, steps=4, guidance=2.5, resolution=192)
    assert ours.images[0].size == picture.size
    assert pixel_gap(ours.images[0], expected) <= 1


@pytest.mark.parametrize("strength", [1.0, 0.6])
@pytest.mark.parametrize("context", [None, 64])
def test_inpaint_at_another_resolution(
    context: int | None, strength: float, wide: Image.Image, pipeline: Pipeline, theirs: FluxKontextPipeline,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """The clean picture that the mask keeps lies on the result's canvas, whatever the context's is."""
    inpaint = FluxKontextInpaintPipeline(**theirs.components)
    inpaint.set_progress_bar_config(disable=True)
    mask = Image.new("L", (208, 176))
    mask.paste(255, (20, 31, 111, 150))
    picture = wide.resize(mask.size)
    caught = capture_latents(monkeypatch)
    ours = pipeline.edit(
        picture, "make it red", mask=mask, strength=strength, mask_mode="reference", seed=3, steps=4, guidance=2.5,
        reference_numerics="diffusers", resolution=192, context_resolution=context,
    ).images[0]  # fmt: skip
    more = {"image": picture, "mask_image": mask, "strength": strength, "height": 176, "width": 208,
            "max_area": 208 * 176, "_auto_resize": False}  # fmt: skip
    if context is None:
        assert (caught[0] - reference(inpaint, latents=True, **more)).abs().max().item() <= 1e-4
        assert pixel_gap(ours, reference(inpaint, **more)) <= 1
        return
    made, clean = (unpack(z, (11, 13)) for z in (caught[0][None], pack(pipeline.encode(picture, 192)[0])))
    inside = torch.zeros(22, 26, dtype=torch.bool)
    inside[3:19, 2:14] = True
    assert torch.allclose(made[..., ~inside], clean[..., ~inside], atol=1e-5)
    assert (made - clean)[..., inside].abs().mean() > 0.1


def test_generate_at_another_resolution(
    pipeline: Pipeline, theirs: FluxKontextPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = {"width": 208, "height": 176, "max_area": 208 * 176}
    expected_latents = reference(theirs, "a red cat", latents=True, **size)
    caught = capture_latents(monkeypatch)
    small = pipeline.generate("a red cat", seed=3, steps=4, size=(104, 88), resolution=192)
    assert (caught[0] - expected_latents).abs().max().item() <= 1e-4
    assert small.images[0].size == (104, 88)
    assert pipeline.generate("a red cat", steps=1, resolution=96).images[0].size == (96, 96)


def test_generate(pipeline: Pipeline, theirs: FluxKontextPipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    size = {"width": 80, "height": 48, "max_area": 80 * 48}
    expected_latents = reference(theirs, "a red cat", latents=True, **size)
    expected = reference(theirs, "a red cat", **size)
    caught = capture_latents(monkeypatch)
    result = pipeline.generate("a red cat", seed=3, steps=4, size=(80, 48), reference_numerics="diffusers")
    assert (caught[0] - expected_latents).abs().max().item() <= 1e-4
    assert pixel_gap(result.images[0], expected) <= 1


@pytest.mark.parametrize("kind", SCHEDULERS)
def test_a_foreign_scheduler(
    kind: str, debug_folder: Path, tmp_path: Path, photo: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A diffusers folder without our card, scheduled otherwise; its noises are drawn as ours are."""
    folder = shutil.copytree(debug_folder, tmp_path / "model")
    (folder / "inkontext.json").unlink()
    path = folder / "scheduler/scheduler_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | SCHEDULERS[kind]))
    if kind == "LCM":
        index = json.loads((folder / "model_index.json").read_text())
        index["scheduler"] = ["diffusers", "FlowMatchLCMScheduler"]
        (folder / "model_index.json").write_text(json.dumps(index))
    theirs = FluxKontextPipeline.from_pretrained(folder)
    theirs.set_progress_bar_config(disable=True)
    width, height = geometry.reference_canvas(photo.size, geometry.ratio_buckets(64))
    generator = torch.Generator().manual_seed(3)

    def draw(*_: Any, **__: Any) -> torch.Tensor:
        return pack(torch.randn(1, 16, height // 8, width // 8, generator=generator))

    for module in (scheduling_flow_match_euler_discrete, scheduling_flow_match_lcm):
        monkeypatch.setattr(module, "randn_tensor", draw)
    expected = theirs(
        image=photo, prompt="make it red", width=width, height=height, max_area=width * height, guidance_scale=2.5,
        num_inference_steps=4, max_sequence_length=64, generator=generator, output_type="latent",
    ).images[0]  # fmt: skip
    gaps = []
    for place in (folder, debug_folder):
        ours = Pipeline.from_pretrained(place, device="cpu", dtype="float32")
        result = ours.edit(photo, "make it red", seed=3, steps=4, fit="reference", reference_numerics="diffusers")
        gaps.append((pack(result.latents[0])[0] - expected).abs().max().item())
    assert gaps[0] <= 1e-4
    assert gaps[1] > 1e-2  # so the scheduler made a difference


@pytest.mark.parametrize("strength", [1.0, 0.6])
def test_inpaint(
    strength: float,
    pipeline: Pipeline,
    theirs: FluxKontextPipeline,
    photo: Image.Image,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    inpaint = FluxKontextInpaintPipeline(**theirs.components)
    inpaint.set_progress_bar_config(disable=True)
    mask = Image.new("L", photo.size)
    mask.paste(255, (20, 11, 71, 50))
    width, height = geometry.reference_canvas(photo.size, geometry.ratio_buckets(64))
    more = {
        "image": photo, "mask_image": mask, "strength": strength, "width": width, "height": height,
        "max_area": width * height,
    }  # fmt: skip
    expected_latents = reference(inpaint, latents=True, **more)
    expected = reference(inpaint, **more)
    caught = capture_latents(monkeypatch)
    result = pipeline.edit(
        photo, "make it red", mask=mask, strength=strength, mask_mode="reference", seed=3, steps=4, guidance=2.5,
        fit="reference", reference_numerics="diffusers",
    )  # fmt: skip
    assert (caught[0] - expected_latents).abs().max().item() <= 1e-4
    assert pixel_gap(result.images[0], expected) <= 1


def slim_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model of the `debug` preset's kind with a block of each sort and few channels: what a megapixel costs."""
    debug = PRESETS["debug"]
    transformer = replace(
        debug.transformer, hidden_size=32, num_heads=2, depth=1, depth_single_blocks=1,
    )  # fmt: skip
    autoencoder = replace(debug.autoencoder, ch=8, norm_groups=4)
    monkeypatch.setitem(PRESETS, "slim", replace(debug, name="slim", transformer=transformer, autoencoder=autoencoder))
    return make_untrained(folder, "slim")


def test_full_size_canvas_follows_the_reference(
    photo: Image.Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At one megapixel and the published 17 sizes: stretch, 4150 target tokens, one step."""
    folder = slim_folder(tmp_path / "slim", monkeypatch)
    theirs = FluxKontextPipeline.from_pretrained(folder)
    theirs.set_progress_bar_config(disable=True)
    pipeline = Pipeline.from_pretrained(folder, device="cpu", dtype="float32")
    for module in (pipeline_flux_kontext, pipeline_flux_kontext_inpaint):
        monkeypatch.setattr(module, "PREFERRED_KONTEXT_RESOLUTIONS", list(KONTEXT_BUCKETS))
    large = Pipeline(
        pipeline.transformer, pipeline.autoencoder, pipeline.towers,
        replace(pipeline.sampling, buckets=KONTEXT_BUCKETS, resolution=1024), pipeline.folder, pipeline.model,
    )  # fmt: skip
    picture = photo.resize((300, 181))
    expected = theirs(
        image=picture, prompt="x", width=1328, height=800, num_inference_steps=1, guidance_scale=2.5,
        max_sequence_length=64, max_area=1328 * 800, generator=torch.Generator().manual_seed(0),
    ).images[0]  # fmt: skip
    ours = large.edit(picture, "x", steps=1, guidance=2.5, fit="reference", reference_numerics="diffusers").images[0]
    assert ours.size == (1328, 800)
    assert pixel_gap(ours, expected) <= 1


def test_bfl_numerics_truncate_bytes_and_agree_otherwise(pipeline: Pipeline, photo: Image.Image) -> None:
    a, b, c = (
        np.asarray(pipeline.edit(photo, "x", fit="reference", reference_numerics=name).images[0]).astype(int)
        for name in ("bfl", "diffusers", None)
    )
    assert set(np.unique(b - a)) == {0, 1}
    assert np.array_equal(b, c)


@pytest.mark.parametrize("numerics", ["diffusers", "bfl", None])
def test_bfloat16_edit_stays_close_to_diffusers(
    numerics: str | None, debug_folder: Path, theirs: FluxKontextPipeline, photo: Image.Image
) -> None:
    """No closer bound than the references keep to each other: a few bytes of 255 on a random decoder."""
    half = FluxKontextPipeline.from_pretrained(debug_folder, torch_dtype=torch.bfloat16)
    half.set_progress_bar_config(disable=True)
    width, height = geometry.reference_canvas(photo.size, geometry.ratio_buckets(64))
    size = {"width": width, "height": height, "max_area": width * height, "image": photo}
    exact = np.asarray(reference(theirs, **size)).astype(int)
    expected = np.asarray(reference(half, **size)).astype(int)
    own = np.abs(expected - exact).mean()
    ours = Pipeline.from_pretrained(debug_folder, device="cpu", dtype="bfloat16").edit(
        photo, "make it red", seed=3, steps=4, guidance=2.5, fit="reference", reference_numerics=numerics
    )
    assert np.abs(np.asarray(ours.images[0]) - expected).mean() <= own + 0.5
