"""From arguments to decided requests: how they pair up, and every mistake by its name."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image

from inkontext.errors import MaskError, OptionError, PictureError, PromptError
from inkontext.flow.solvers import SAMPLERS
from inkontext.geometry import FITS
from inkontext.model.presets import KONTEXT_BUCKETS, Sampling
from inkontext.request import Options, Request, edit_requests, generate_requests, read_options
from inkontext.sequence import SCHEMES

SAMPLING = Sampling(steps=4, guidance=2.5, text_length=64, resolution=64)
NO_GUIDANCE = Sampling(steps=4, guidance=None, text_length=64, resolution=64)
PHOTO = Image.new("RGB", (96, 64), (10, 20, 30))
OTHER = Image.new("RGB", (40, 80), (200, 20, 30))
MASK = Image.new("L", PHOTO.size, 255)


def options(sampling: Sampling = SAMPLING, has_guidance: bool = True, **given: Any) -> Options:
    defaults: dict[str, Any] = dict.fromkeys(
        ("steps", "guidance", "negative", "true_cfg", "scheme", "fit", "reference_numerics")
    )
    return read_options(sampling, has_guidance, **(defaults | {"solver": "euler"} | given))


def edit(image: Any = PHOTO, prompt: Any = "redder", *, sampling: Sampling = SAMPLING, **given: Any) -> list[Request]:
    asked = {
        "references": (), "mask": None, "mask_edits": "white", "mask_mode": "exact", "strength": 1.0, "seed": 0,
        "size": "match", "count": 1,
    }  # fmt: skip
    decided = options(**{k: given.pop(k) for k in list(given) if k not in asked})
    return edit_requests(sampling, decided, image, prompt, **(asked | given))


def generate(prompt: Any = "a cat", seed: Any = 0, size: Any = None, count: int = 1) -> list[Request]:
    return generate_requests(SAMPLING, options(), prompt, seed, size, count)


# --- options ----------------------------------------------------------------------------------------------


def test_the_models_own_defaults() -> None:
    assert options() == Options(4, 2.5, None, None, "euler", "index", "pad", None)
    assert options(NO_GUIDANCE, has_guidance=False).guidance is None
    assert options(NO_GUIDANCE, has_guidance=True).guidance == 1.0


def test_a_negative_prompt_is_empty_where_only_its_scale_is_given() -> None:
    assert (options(true_cfg=4.0).negative, options(true_cfg=4.0).true_cfg) == ("", 4.0)
    assert options(true_cfg=4.0, negative="blur").negative == "blur"


def test_a_scale_of_one_is_no_second_pass() -> None:
    assert (options(true_cfg=1.0).true_cfg, options(true_cfg=1.0).negative) == (None, None)


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("solver", SAMPLERS)
def test_every_name_is_taken(fit: str, scheme: str, solver: str) -> None:
    decided = options(fit=fit, scheme=scheme, solver=solver)
    assert (decided.fit, decided.scheme, decided.solver) == (fit, scheme, solver)


@pytest.mark.parametrize("numerics", ["bfl", "diffusers", None])
def test_reference_numerics(numerics: str | None) -> None:
    assert options(reference_numerics=numerics).reference_numerics == numerics


NAN = float("nan")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"steps": 0}, "steps must be"), ({"steps": 1001}, "steps must be"), ({"steps": 2.5}, "steps must be"),
        ({"guidance": -0.1}, "guidance must be"), ({"guidance": 101.0}, "guidance must be"),
        ({"guidance": NAN}, "guidance must be"),
        ({"true_cfg": 0.5}, "true_cfg must be"), ({"true_cfg": 101.0}, "true_cfg must be"),
        ({"true_cfg": NAN}, "true_cfg must be"),
        ({"negative": "blur"}, "set true_cfg"), ({"negative": "blur", "true_cfg": 1.0}, "set true_cfg"),
        ({"solver": "rk4"}, "unknown solver 'rk4'; choose one of euler"),
        ({"scheme": "pile"}, "unknown reference scheme 'pile'; choose one of index"),
        ({"fit": "squeeze"}, "unknown fit 'squeeze'; choose one of pad"),
        ({"reference_numerics": "comfy"}, "unknown reference_numerics"),
    ],
)  # fmt: skip
def test_options_that_cannot_be(given: dict[str, Any], words: str) -> None:
    with pytest.raises(OptionError, match=words):
        options(**given)


def test_a_negative_prompt_that_is_no_unicode() -> None:
    with pytest.raises(PromptError, match="not valid Unicode"):
        options(true_cfg=3.0, negative="\udcff")


def test_guidance_for_a_model_without_it() -> None:
    with pytest.raises(OptionError, match="no guidance input; use true_cfg"):
        options(NO_GUIDANCE, has_guidance=False, guidance=2.5)


# --- pairing ----------------------------------------------------------------------------------------------


def test_one_picture_one_prompt() -> None:
    (request,) = edit(seed=7)
    assert (request.prompt, request.seed, request.aligned, request.mask) == ("redder", 7, True, None)
    assert request.frame.output == PHOTO.size and len(request.contexts) == 1


def test_pictures_of_different_sizes_with_one_prompt() -> None:
    requests = edit([PHOTO, OTHER])
    assert [r.frame.output for r in requests] == [PHOTO.size, OTHER.size]
    assert [(r.prompt, r.seed) for r in requests] == [("redder", 0), ("redder", 0)]


def test_one_picture_with_several_prompts_is_read_once() -> None:
    first, second = edit(PHOTO, ["redder", "bluer"])
    assert (first.prompt, second.prompt) == ("redder", "bluer")
    assert first.contexts[0].picture is second.contexts[0].picture


def test_pictures_and_prompts_in_pairs_with_a_seed_each_and_two_of_every() -> None:
    requests = edit([PHOTO, OTHER], ("redder", "bluer"), seed=(5, 9), count=2)
    sizes = [PHOTO.size] * 2 + [OTHER.size] * 2
    assert [(r.frame.source, r.prompt, r.seed) for r in requests] == list(
        zip(sizes, ["redder", "redder", "bluer", "bluer"], [5, 6, 9, 10], strict=True)
    )


@pytest.mark.parametrize("seed", [np.int64(3), [3], np.array([3]), range(3, 4)])
def test_seeds_become_plain_numbers(seed: Any) -> None:
    (request,) = edit(seed=seed)
    assert type(request.seed) is int and request.seed == 3


def test_generate_pairs_prompts_and_seeds() -> None:
    requests = generate(["a cat", "a dog"], seed=[1, 5], count=2)
    assert [(r.prompt, r.seed) for r in requests] == [("a cat", 1), ("a cat", 2), ("a dog", 5), ("a dog", 6)]
    assert all(r.contexts == () and not r.aligned for r in requests)


@pytest.mark.parametrize(("size", "output"), [(None, (64, 64)), ("50x30", (50, 30)), ("4:1", (128, 32))])
def test_generate_sizes(size: str | None, output: tuple[int, int]) -> None:
    assert generate(size=size)[0].frame.output == output


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"image": []}, "no picture to edit"),
        ({"image": [PHOTO, OTHER], "prompt": ["a", "b", "c"]}, "2 pictures and 3 prompts"),
        ({"image": [PHOTO, OTHER, PHOTO], "prompt": ["a", "b"]}, "3 pictures and 2 prompts"),
        ({"count": 0}, "count must be"), ({"count": 1.5}, "count must be"),
        ({"seed": -1}, "seed -1 must be"), ({"seed": 2**63}, "must be a whole number"),
        ({"seed": 2**63 - 2, "count": 3}, "must be a whole number"),
        ({"seed": 1.5}, "seed 1.5"), ({"seed": "three"}, "5 seeds for 1"), ({"seed": None}, "seed None"),
        ({"seed": [1, 2]}, "2 seeds for 1 pictures"), ({"seed": []}, "0 seeds"),
        ({"strength": 0.5}, "strength acts through a mask"),
        ({"size": "huge"}, "not understood"),
    ],
)  # fmt: skip
def test_edits_that_do_not_pair_up(given: dict[str, Any], words: str) -> None:
    with pytest.raises(OptionError, match=words):
        edit(**given)


@pytest.mark.parametrize("prompt", ["", "  \n", [], ["redder", ""], [3], None, "\udcff"])
def test_prompts_that_say_nothing(prompt: Any) -> None:
    with pytest.raises(PromptError, match="the prompt is"):
        edit(prompt=prompt)
    with pytest.raises(PromptError, match="the prompt is"):
        generate(prompt)


# --- references -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["index", "offset", "far"])
def test_references_follow_the_picture(scheme: str) -> None:
    (request,) = edit(references=[OTHER, PHOTO], scheme=scheme)
    assert [c.picture.size for c in request.contexts] == [PHOTO.size, OTHER.size, PHOTO.size]
    assert request.aligned


def test_stitched_references_are_one_picture() -> None:
    (request,) = edit(references=[OTHER], scheme="stitch")
    (context,) = request.contexts
    assert context.picture.size == (96 + 32, 64)
    assert request.frame.output == PHOTO.size


def test_stitching_nothing_changes_nothing() -> None:
    (request,) = edit(scheme="stitch")
    assert request.contexts[0].picture.size == PHOTO.size and request.aligned


@pytest.mark.parametrize("reference", [OTHER, np.zeros((8, 8, 3), np.uint8)])
def test_one_reference_needs_no_list(reference: Any) -> None:
    assert len(edit(references=reference)[0].contexts) == 2


def test_a_missing_reference() -> None:
    with pytest.raises(PictureError, match=r"'no\.png' does not exist"):
        edit(references="no.png")


# --- sizes ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "output", "aligned"),
    [
        ({"size": "match"}, (96, 64), True), ({"size": None}, (96, 64), True), ({"size": "96x64"}, (96, 64), True),
        ({"size": (48, 32)}, (48, 32), False), ({"size": "1:1"}, (64, 64), False),
        ({"fit": "stretch"}, (96, 64), True), ({"fit": "crop"}, (96, 58), False),
        ({"fit": "reference"}, (80, 48), False), ({"fit": "reference", "size": "1:1"}, (64, 64), False),
    ],
)  # fmt: skip
def test_what_size_comes_out(given: dict[str, Any], output: tuple[int, int], aligned: bool) -> None:
    (request,) = edit(**given)
    assert (request.frame.output, request.aligned) == (output, aligned)


def test_published_canvases_are_used_where_the_model_has_them() -> None:
    sampling = Sampling(buckets=KONTEXT_BUCKETS)
    (request,) = edit(Image.new("RGB", (1920, 1080)), sampling=sampling)
    assert request.frame.canvas == (1392, 752)
    assert request.frame.box == (27, 0, 1364, 752)


# --- masks ------------------------------------------------------------------------------------------------


def test_a_mask_is_kept_with_its_request() -> None:
    (request,) = edit(mask=MASK, mask_mode="reference", strength=0.5)
    assert request.mask is not None
    assert (request.mask.mode, request.mask.strength, request.mask.image.size) == ("reference", 0.5, PHOTO.size)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"mask_mode": "soft"}, "unknown mask_mode"), ({"mask_edits": "red"}, "unknown mask convention"),
        ({"strength": 0.0}, "strength must be"), ({"strength": 1.1}, "strength must be"),
        ({"strength": NAN}, "strength must be"),
        ({"size": "40x40"}, "size must be 'match'"), ({"fit": "crop"}, "fit 'pad' or 'stretch'"),
        ({"fit": "reference"}, "fit 'pad' or 'stretch'"),
        ({"mask_mode": "reference", "size": "1:1"}, "leave size at 'match'"),
        ({"image": [PHOTO, PHOTO]}, "belongs to one picture"), ({"prompt": ["a", "b"]}, "belongs to one picture"),
        ({"scheme": "stitch", "references": [OTHER]}, "stitched references do not go together"),
        ({"scheme": "stitch", "references": [OTHER], "mask_mode": "reference"}, "do not go together"),
    ],
)  # fmt: skip
def test_masks_that_cannot_be_used(given: dict[str, Any], words: str) -> None:
    with pytest.raises(OptionError, match=words):
        edit(**({"mask": MASK} | given))


def test_masks_that_do_not_fit() -> None:
    with pytest.raises(MaskError, match="40x80 but the picture is 96x64"):
        edit(mask=Image.new("L", OTHER.size, 255))


def test_a_mask_and_references_go_together() -> None:
    (request,) = edit(mask=MASK, references=[OTHER])
    assert request.mask is not None and len(request.contexts) == 2
