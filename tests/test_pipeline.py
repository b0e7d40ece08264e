"""What the pipeline promises: seeds, sizes, masks, callbacks, records, and no black pictures."""

from __future__ import annotations

import copy
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from inkontext.cues import Cue
from inkontext.cues.drawing import line_width
from inkontext.errors import Cancelled, MemoryPlanError, NonFiniteError, OptionError, PromptError
from inkontext.flow.timesteps import schedule
from inkontext.numerics import EXACT
from inkontext.pipeline import Pipeline
from inkontext.result import Progress
from inkontext.safety.provenance import read_metadata
from inkontext.sequence import pack, unpack
from inkontext.velocity import Velocity


def pixels(images: list[Image.Image]) -> list[bytes]:
    return [image.tobytes() for image in images]


@pytest.fixture(scope="module")
def other(photo: Image.Image) -> Image.Image:
    return photo.rotate(90, expand=True).resize((50, 71))


def test_same_seed_alone_in_a_batch_and_in_another_order(
    pipeline: Pipeline, photo: Image.Image, other: Image.Image
) -> None:
    alone = [pipeline.edit(im, p, seed=s).images[0] for im, p, s in ((photo, "a", 5), (other, "b", 9))]
    batch = pipeline.edit([photo, other], ["a", "b"], seed=[5, 9]).images
    turned = pipeline.edit([other, photo], ["b", "a"], seed=[9, 5]).images
    assert pixels(batch) == pixels(alone) == pixels(turned)[::-1]
    assert [im.size for im in batch] == [photo.size, other.size]


def test_count_uses_the_seeds_that_follow(pipeline: Pipeline, photo: Image.Image) -> None:
    three = pipeline.edit(photo, "a", seed=7, count=3)
    assert [r["seed"] for r in three.records] == [7, 8, 9]
    assert pixels(three.images)[2] == pixels(pipeline.edit(photo, "a", seed=9).images)[0]
    assert len(set(pixels(three.images))) == 3


def test_seed_is_the_references_noise(pipeline: Pipeline) -> None:
    noise = pipeline._noise(torch.Generator().manual_seed(0), (2, 2))
    assert noise.shape == (1, 16, 4, 4)
    assert noise.bfloat16().flatten()[:4].tolist() == [-1.125, -1.15625, -0.25, -0.43359375]


def test_a_call_leaves_the_global_generator_alone(pipeline: Pipeline, photo: Image.Image) -> None:
    before = torch.get_rng_state()
    pipeline.edit(photo, "a")
    assert torch.equal(torch.get_rng_state(), before)


def test_prompt_context_guidance_references_and_solver_all_matter(
    pipeline: Pipeline, photo: Image.Image, other: Image.Image
) -> None:
    calls = [
        {}, {"prompt": "b"}, {"image": photo.transpose(Image.Transpose.FLIP_LEFT_RIGHT)}, {"guidance": 9.0},
        {"references": [other]}, {"references": [other], "scheme": "far"}, {"references": [other], "scheme": "offset"},
        {"references": [other], "scheme": "stitch"}, {"references": [other, other]}, {"solver": "heun"},
        {"solver": "midpoint"}, {"solver": "multistep"}, {"true_cfg": 3.0}, {"true_cfg": 3.0, "negative": "c"},
        {"steps": 3},
    ]  # fmt: skip
    made = [pipeline.edit(**({"image": photo, "prompt": "a"} | call)).images[0] for call in calls]
    assert len(set(pixels(made))) == len(calls)
    assert {im.size for im in made} == {photo.size}


def test_without_a_picture_nothing_is_in_the_sequence(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    lengths = []
    forward = pipeline.transformer.forward
    monkeypatch.setattr(
        pipeline.transformer, "forward", lambda **kw: lengths.append(kw["img"].shape[1]) or forward(**kw)
    )
    image = pipeline.generate("a", size=(48, 32), steps=2).images[0]
    assert lengths == [6, 6]
    assert image.size == (48, 32)


@pytest.mark.parametrize("size", ["100x60", (33, 65), "3:2", (64, 64)])
def test_explicit_sizes(pipeline: Pipeline, photo: Image.Image, size: str | tuple[int, int]) -> None:
    expected = {"100x60": (100, 60), "3:2": (64, 48)}.get(size, size) if isinstance(size, str) else size
    assert pipeline.edit(photo, "a", size=size).images[0].size == expected
    assert pipeline.generate("a", size=size).images[0].size == expected


def test_callback_sees_every_step_and_previews(pipeline: Pipeline, photo: Image.Image) -> None:
    seen: list[tuple[int, int, int, int]] = []
    previews: list[Image.Image] = []

    def watch(progress: Progress) -> None:
        seen.append((progress.image, progress.images, progress.step, progress.steps))
        if progress.step == 3:
            previews.append(progress.preview())

    watched = pipeline.edit(photo, "a", steps=3, count=2, callback=watch)
    assert seen == [(i, 2, s, 3) for i in (1, 2) for s in (1, 2, 3)]
    assert previews[0].size == (80, 48)
    assert pixels(watched.images) == pixels(pipeline.edit(photo, "a", steps=3, count=2).images)


def test_cancel_stops_within_one_step(pipeline: Pipeline, photo: Image.Image) -> None:
    steps: list[int] = []

    def stop(progress: Progress) -> bool:
        steps.append(progress.step)
        return progress.step < 2

    with pytest.raises(Cancelled):
        pipeline.edit(photo, "a", steps=50, callback=stop)
    assert steps == [1, 2]


def test_numpy_in_and_the_same_picture_out(pipeline: Pipeline, photo: Image.Image) -> None:
    assert pixels(pipeline.edit(np.asarray(photo), "a").images) == pixels(pipeline.edit(photo, "a").images)


def test_record_is_written_and_makes_the_picture_again(pipeline: Pipeline, photo: Image.Image, tmp_path: Path) -> None:
    result = pipeline.edit(photo, 'say "hé"', seed=11, steps=3, guidance=3.0, count=2)
    paths = result.save(tmp_path / "out.png")
    assert [p.name for p in paths] == ["out-1.png", "out-2.png"]
    record = read_metadata(paths[1])
    assert record is not None
    assert record["frame"]["canvas"] == [80, 48]
    assert record["model"] == pipeline.model
    again = pipeline.edit(
        photo, record["prompt"], seed=record["seed"], steps=record["steps"], guidance=record["guidance"],
        solver=record["solver"], fit=record["fit"], scheme=record["scheme"],
    )  # fmt: skip
    assert again.images[0].tobytes() == Image.open(paths[1]).tobytes()


@pytest.fixture
def broken(pipeline: Pipeline) -> Pipeline:
    parts = copy.deepcopy((pipeline.transformer, pipeline.autoencoder))
    return Pipeline(*parts, pipeline.towers, pipeline.sampling, pipeline.folder, pipeline.model)


def test_nan_in_a_block_is_named_with_its_step(broken: Pipeline, photo: Image.Image) -> None:
    broken.transformer.single_blocks[1].linear2.weight.data[3, 3] = torch.nan
    with pytest.raises(NonFiniteError, match=r"transformer\.single_blocks\.1\.linear2 at step 1 \(t = 1\.000\)"):
        broken.edit(photo, "a")


def test_overflow_in_the_decoder_is_named(broken: Pipeline, photo: Image.Image) -> None:
    broken.autoencoder.decoder.mid.block_1.conv1.bias.data[0] = torch.inf
    with pytest.raises(NonFiniteError, match=r"autoencoder\.decoder\.mid\.block_1\.conv1"):
        broken.edit(photo, "a")


def test_text_is_checked_before_any_work(
    pipeline: Pipeline, photo: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Pipeline, "_make", lambda *a: pytest.fail("work began"))
    with pytest.raises(PromptError, match="reads 64"):
        pipeline.edit([photo, photo], ["fine", "x" * 100])
    with pytest.raises(PromptError, match="reads 64"):
        pipeline.edit(photo, "fine", true_cfg=3.0, negative="x" * 100)


def test_fill_and_control_models_are_refused(debug_folder: Path, tmp_path: Path) -> None:
    from dataclasses import replace

    from inkontext.model.presets import PRESETS
    from inkontext.weights.embedded import make_untrained

    preset = PRESETS["debug"]
    wide = replace(preset, name="wide", transformer=replace(preset.transformer, in_channels=128, out_channels=64))
    PRESETS["wide"] = wide
    try:
        folder = make_untrained(tmp_path / "wide", "wide")
    finally:
        del PRESETS["wide"]
    with pytest.raises(OptionError, match="Fill or control"):
        Pipeline.from_pretrained(folder)


def test_defaults_come_from_the_model(pipeline: Pipeline, debug_folder: Path) -> None:
    assert (pipeline.text_length, pipeline.resolution, pipeline.folder) == (64, 64, debug_folder)
    record = pipeline.generate("a").metadata
    assert (record["steps"], record["guidance"], record["seed"]) == (4, 2.5, 0)
    assert record["images"][0]["prompt"] == "a"


def test_stitching_keeps_the_edited_pictures_own_size_and_transparency(
    pipeline: Pipeline, photo: Image.Image, other: Image.Image
) -> None:
    clear = photo.convert("RGBA")
    clear.putalpha(Image.linear_gradient("L").resize(photo.size))
    result = pipeline.edit(clear, "a", references=[other], scheme="stitch")
    assert (result.images[0].mode, result.images[0].size) == ("RGBA", photo.size)
    assert result.metadata["references"] == 1


def test_the_consistency_sampler_is_a_plain_recomputation(pipeline: Pipeline, photo: Image.Image) -> None:
    """Its noises follow the first from the seed; a model may name it as its own."""
    steps, seed = 3, 11
    result = pipeline.edit(photo, "make it blue", steps=steps, seed=seed, solver="consistency")
    assert result.metadata["solver"] == "consistency"
    z0 = result.latents[0]
    shape, generator = z0.shape, torch.Generator().manual_seed(seed)
    context, _ = pipeline.encode(photo)
    grid = (shape[2] // 2, shape[3] // 2)
    velocity = Velocity(
        pipeline.transformer, EXACT, pipeline.towers.encode("make it blue"), [context], grid, "index", 2.5
    )
    times = schedule(steps, grid[0] * grid[1], pipeline.sampling.shift)
    z = torch.randn(shape, generator=generator)
    with torch.no_grad():
        for t, t_next in pairwise(times):
            x0 = z - t * unpack(velocity(pack(z), t), grid)
            z = x0 if t_next == 0 else (1 - t_next) * x0 + t_next * torch.randn(shape, generator=generator)
    torch.testing.assert_close(z0, z, rtol=1e-5, atol=1e-5)
    own = Pipeline(
        pipeline.transformer, pipeline.autoencoder, pipeline.towers,
        replace(pipeline.sampling, solver="consistency", steps=steps), pipeline.folder, pipeline.model,
    )  # fmt: skip
    assert own.edit(photo, "make it blue", seed=seed).images[0].tobytes() == result.images[0].tobytes()
    assert own.edit(photo, "make it blue", seed=seed, solver="euler").metadata["solver"] == "euler"


# --- at another resolution --------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(96, 64), (501, 333), (50, 200), (200, 50), (16, 16)])
@pytest.mark.parametrize("asked", [(16, None), (192, None), (192, 48), (None, 100)])
def test_the_result_keeps_its_size_at_any_resolution(
    size: tuple[int, int], asked: tuple[int | None, int | None], pipeline: Pipeline, photo: Image.Image
) -> None:
    side, context = asked
    made = pipeline.edit(photo.resize(size), "a", steps=1, resolution=side, context_resolution=context)
    assert made.images[0].size == size
    width, height = made.records[0]["frame"]["canvas"]
    assert 0.5 < width * height / (side or 64) ** 2 <= 2
    assert made.latents[0].shape[2:] == (height // 8, width // 8)


def test_the_models_own_resolution_by_its_number_is_its_own(pipeline: Pipeline, photo: Image.Image) -> None:
    own, said = pipeline.edit(photo, "a"), pipeline.edit(photo, "a", resolution=64, context_resolution=64)
    assert pixels(own.images) == pixels(said.images)
    assert "resolution" not in own.metadata and "context_resolution" not in own.metadata
    assert (said.metadata["resolution"], said.metadata["context_resolution"]) == (64, 64)


def test_resolutions_reach_the_sequence(
    pipeline: Pipeline, photo: Image.Image, other: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    grids = []
    made = Velocity.__post_init__

    def spy(self: Velocity) -> None:
        grids.append([self.target, *((z.shape[2] // 2, z.shape[3] // 2) for z in self.context)])
        made(self)

    monkeypatch.setattr(Velocity, "__post_init__", spy)
    for asked in ({}, {"resolution": 128}, {"resolution": 128, "context_resolution": 64}, {"context_resolution": 128}):
        pipeline.edit(photo, "a", references=[other], steps=1, **asked)
    small, large = [(3, 5), (5, 3)], [(6, 10), (9, 7)]
    assert grids == [[small[0], *small], [large[0], *large], [large[0], *small], [small[0], *large]]


def test_the_record_makes_a_picture_of_another_resolution_again(
    pipeline: Pipeline, photo: Image.Image, other: Image.Image, tmp_path: Path
) -> None:
    asked = {"resolution": 100, "context_resolution": np.int64(48)}
    (path,) = pipeline.edit(photo, "a", seed=3, references=[other], **asked).save(tmp_path / "out.png")
    record = read_metadata(path)
    assert record is not None
    again = pipeline.edit(
        photo, record["prompt"], seed=record["seed"], references=[other], resolution=record["resolution"],
        context_resolution=record["context_resolution"],
    )  # fmt: skip
    assert again.images[0].tobytes() == Image.open(path).tobytes()
    drawn = pipeline.generate("a", seed=3, size="2:1", resolution=96)
    assert pixels(pipeline.generate("a", seed=3, size="2:1", resolution=drawn.metadata["resolution"]).images) == pixels(
        drawn.images
    )
    assert drawn.images[0].size == (128, 64)


def test_a_mask_keeps_every_byte_at_another_resolution(pipeline: Pipeline, photo: Image.Image) -> None:
    mask = Image.new("L", photo.size)
    mask.paste(255, (30, 20, 70, 50))
    for asked in ({"resolution": 160}, {"resolution": 32}, {"resolution": 128, "context_resolution": 48}):
        made = np.asarray(pipeline.edit(photo, "a", mask=mask, **asked).images[0])
        changed = (made != np.asarray(photo)).any(axis=-1)
        assert changed.any() and not changed[np.asarray(mask) == 0].any()


def test_what_is_expected_lies_on_the_results_canvas(pipeline: Pipeline, photo: Image.Image) -> None:
    for asked in ({"resolution": 128}, {"resolution": 128, "context_resolution": 64}, {"context_resolution": 128}):
        made = pipeline.edit(photo, "a", steps=1, expect=True, **asked)
        assert made.expected[0].shape == made.latents[0].shape


def test_a_kept_context_is_of_its_resolution(fast: Pipeline, photo: Image.Image) -> None:
    made = [fast.edit(photo, "a", steps=2, resolution=side).images[0].tobytes() for side in (64, 128, 64, 128)]
    assert made[:2] == made[2:] and made[0] != made[1]
    assert fast.context_cache is not None and fast.context_cache.computed["context"] == 2
    split = fast.edit(photo, "a", steps=2, resolution=128, context_resolution=64)
    assert fast.context_cache.computed["context"] == 2  # the picture at 64 was kept
    assert split.images[0].tobytes() not in made


def test_latents_of_another_resolution_are_refused_by_shape(pipeline: Pipeline, photo: Image.Image) -> None:
    latents, _ = pipeline.encode(photo)
    with pytest.raises(OptionError, match=r"are \[1, 16, 6, 10\] where this picture's are \[1, 16, 12, 20\]"):
        pipeline.edit(photo, "a", context_latents=latents, resolution=128)
    larger, frame = pipeline.encode(photo, 128)
    assert frame.canvas == (160, 96)
    handed = pipeline.edit(photo, "a", steps=2, context_latents=larger, resolution=128)
    encoded = pipeline.edit(photo, "a", steps=2, resolution=128)
    torch.testing.assert_close(handed.latents[0], encoded.latents[0], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["resolution", "context_resolution"])
def test_resolutions_that_cannot_be(name: str, pipeline: Pipeline, photo: Image.Image) -> None:
    for value in (15, 5000, 64.0, float("nan"), "64", True):
        with pytest.raises(OptionError, match=f"^{name} must be a whole number from 16 to 4096, not "):
            pipeline.edit(photo, "a", **{name: value})
        with pytest.raises(OptionError, match=f"^{name} must be"):
            pipeline.generate("a", **{name: value})


def test_cues_are_as_thick_as_the_model_sees_them(pipeline: Pipeline, photo: Image.Image) -> None:
    cue = Cue("box", ((0.2, 0.2), (0.7, 0.7)))
    widths = [
        pipeline.edit(photo, "a", steps=1, cues=[cue], **asked).metadata["cues"][0]["width"]
        for asked in ({}, {"resolution": 128}, {"resolution": 128, "context_resolution": 64})
    ]
    assert widths == [pytest.approx(line_width(side), rel=1e-6) for side in (64, 128, 64)]


def test_a_resolution_that_memory_has_no_room_for(
    pipeline: Pipeline, photo: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INKONTEXT_MEMORY", "0.05")
    for asked in ({"resolution": 4096}, {"context_resolution": 4096}):
        with pytest.raises(MemoryPlanError, match=r"resolution 4096 needs \d+\.\d GiB beside the model on cpu"):
            pipeline.edit(photo, "a", **asked)
    with pytest.raises(MemoryPlanError, match="ask for a smaller resolution"):
        pipeline.generate("a", resolution=4096)
    pipeline.edit(photo, "a", steps=1, resolution=48)
    pipeline.edit(photo, "a", steps=1)
