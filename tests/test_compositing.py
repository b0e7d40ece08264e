"""What an edit may not touch is not touched."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from inkontext.compositing import SEAM, Mask, keep_outside, latent_blend, restore_alpha
from inkontext.geometry import Size, frame_for, nearest_canvas, ratio_buckets
from inkontext.pipeline import Pipeline
from inkontext.safety.pictures import read_picture
from inkontext.sequence import unpack

seeds = st.integers(0, 2**32 - 1)
sizes = st.tuples(st.integers(1, 60), st.integers(1, 60))
again = settings(max_examples=150, deadline=None, derandomize=True)


def noise(size: Size, seed: int, bands: int = 3) -> Image.Image:
    shape = (size[1], size[0], bands)
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8))


def random_mask(size: Size, seed: int, soft: bool) -> np.ndarray:
    """`[H, W]` uint8: a few rectangles, hard or of several greys."""
    rng = np.random.default_rng(seed)
    mask = np.zeros(size[::-1], np.uint8)
    for _ in range(rng.integers(1, 4)):
        x, y = rng.integers(0, size[0]), rng.integers(0, size[1])
        w, h = rng.integers(1, 40, 2)
        mask[y : y + h, x : x + w] = rng.integers(1, 256) if soft else 255
    return mask


# --- bytes outside ----------------------------------------------------------------------------------------


@again
@given(sizes, seeds, st.booleans())
def test_every_byte_outside_is_kept(size: Size, seed: int, soft: bool) -> None:
    mask = random_mask(size, seed, soft)
    before, after = noise(size, seed), noise(size, seed + 1)
    out = np.asarray(keep_outside(before, after, Image.fromarray(mask)))
    assert np.array_equal(out[mask == 0], np.asarray(before)[mask == 0])


@again
@given(sizes, seeds, st.booleans())
def test_inside_lies_between_before_and_after(size: Size, seed: int, soft: bool) -> None:
    mask = random_mask(size, seed, soft)
    before, after = (np.asarray(noise(size, s), np.int16) for s in (seed, seed + 1))
    out = np.asarray(keep_outside(*(Image.fromarray(a.astype(np.uint8)) for a in (before, after, mask))), np.int16)
    assert (np.minimum(before, after) <= out).all() and (out <= np.maximum(before, after)).all()


def seam_of(mask: np.ndarray) -> np.ndarray:
    """What of a white picture comes through the mask over a black one, in 0..1."""
    size = mask.shape[1], mask.shape[0]
    out = keep_outside(Image.new("RGB", size, "black"), Image.new("RGB", size, "white"), Image.fromarray(mask))
    return np.asarray(out)[..., 0] / 255


def test_the_seam_rises_inside_the_mask_only() -> None:
    mask = np.zeros((40, 60), np.uint8)
    mask[:, 20:] = 255
    row = seam_of(mask)[20]
    assert (row[:20] == 0).all() and (row[20 + SEAM - 1 :] == 1).all()
    assert np.diff(row[19 : 20 + SEAM]) == pytest.approx(np.full(SEAM, 1 / SEAM), abs=0.004)


def test_the_border_of_the_picture_is_no_seam() -> None:
    assert (seam_of(np.full((20, 30), 255, np.uint8)) == 1).all()


@pytest.mark.parametrize("thickness", [1, 2, 3, 7, 15])
def test_a_thin_stroke_is_edited_in_full_at_its_middle(thickness: int) -> None:
    mask = np.zeros((40, 40), np.uint8)
    mask[10 : 10 + thickness] = 255
    seam = seam_of(mask)
    assert seam[10 + thickness // 2, 20] == 1
    assert (seam[mask == 0] == 0).all()


def test_a_soft_mask_is_followed() -> None:
    mask = np.full((30, 30), 51, np.uint8)
    assert seam_of(mask)[15, 15] == pytest.approx(0.2)


# --- latents ----------------------------------------------------------------------------------------------


def cells(mask: np.ndarray, canvas: Size, fit: str = "pad", mode: str = "exact") -> np.ndarray:
    """The mask as the latents see it: `latent_blend` between a clean 0 and a state of 1, at t = 0."""
    frame = frame_for((mask.shape[1], mask.shape[0]), canvas, fit)
    clean = torch.zeros(1, 16, canvas[1] // 8, canvas[0] // 8)
    tokens = torch.zeros(1, canvas[0] * canvas[1] // 256, 64)
    blended = latent_blend(Mask(Image.fromarray(mask), mode, 1.0), frame, clean, tokens)(tokens + 1, 0.0)
    return unpack(blended, (canvas[1] // 16, canvas[0] // 16))[0, 0].numpy()


@settings(max_examples=80, deadline=None, derandomize=True)
@given(st.tuples(st.integers(20, 500), st.integers(20, 500)), seeds)
def test_no_pixel_of_a_mask_is_lost_on_the_way_to_the_latents(size: Size, seed: int) -> None:
    """The cell under every free pixel is free, single pixels of large pictures included."""
    canvas = nearest_canvas(size, ratio_buckets(64))
    frame = frame_for(size, canvas)
    rng = np.random.default_rng(seed)
    mask = np.zeros(size[::-1], np.uint8)
    x, y = int(rng.integers(0, size[0])), int(rng.integers(0, size[1]))
    mask[y, x] = 255
    free = cells(mask, canvas)
    cx, cy = frame.to_canvas(x + 0.5, y + 0.5)
    assert free[int(cy) // 8, int(cx) // 8] == 1
    assert free.sum() <= 9 * max(1.0, max(frame.scale)) ** 2 + 9


def test_a_whole_mask_frees_all_and_half_a_mask_half() -> None:
    assert (cells(np.full((64, 64), 255, np.uint8), (64, 64)) == 1).all()
    mask = np.zeros((64, 64), np.uint8)
    mask[:, 32:] = 255
    assert np.array_equal(cells(mask, (64, 64)), np.repeat([[0.0, 1.0]], 4, axis=1).repeat(8, axis=0))


def test_the_reference_mask_is_that_of_diffusers() -> None:
    """Binarised at a half after the resize, then nearest: 8-pixel cells by their first pixel."""
    mask = np.zeros((64, 64), np.uint8)
    mask[8:16, 9:24] = 255
    free = cells(mask, (64, 64), "reference", "reference")
    assert free.sum() == 1 and free[1, 2] == 1


def test_the_reference_mask_lies_where_the_picture_lies() -> None:
    mask = np.zeros((64, 128), np.uint8)
    mask[:, 64:] = 255
    padded = cells(mask, (64, 64), "pad", "reference")
    assert np.array_equal(padded[2:6], np.repeat([[0.0, 1.0]], 4, axis=1).repeat(4, axis=0))


def test_the_clean_picture_is_renoised_to_the_step() -> None:
    frame = frame_for((64, 64), (64, 64))
    clean, tokens = torch.full((1, 16, 8, 8), 3.0), torch.full((1, 16, 64), 7.0)
    mask = np.zeros((64, 64), np.uint8)
    mask[0, 0] = 255
    blend = latent_blend(Mask(Image.fromarray(mask), "exact", 1.0), frame, clean, tokens)
    out = blend(torch.full((1, 16, 64), -1.0), 0.25)
    assert out[0, 1:].unique().tolist() == [0.75 * 3 + 0.25 * 7]
    assert sorted(out[0, 0].unique().tolist()) == [-1.0, 4.0]


# --- transparency -----------------------------------------------------------------------------------------


@again
@given(sizes, seeds)
def test_where_nothing_moved_all_four_bytes_are_kept(size: Size, seed: int) -> None:
    rgba = noise(size, seed, bands=4)
    before = read_picture(rgba)
    if before.alpha is not None:
        assert restore_alpha(before, before.rgb).tobytes() == rgba.tobytes()


def test_clear_stays_clear_under_a_little_noise() -> None:
    before = read_picture(Image.new("RGBA", (8, 8), (10, 20, 30, 0)))
    edited = Image.new("RGB", (8, 8), (240, 250, 255))
    assert restore_alpha(before, edited).getpixel((4, 4)) == (10, 20, 30, 0)


def test_what_is_painted_on_clear_ground_is_seen() -> None:
    before = read_picture(Image.new("RGBA", (8, 8), (10, 20, 30, 0)))
    assert restore_alpha(before, Image.new("RGB", (8, 8), (200, 0, 0))).getpixel((4, 4)) == (200, 0, 0, 255)


@again
@given(st.integers(1, 255), st.tuples(*[st.integers(0, 255)] * 3), st.tuples(*[st.integers(0, 255)] * 3))
def test_over_white_the_result_looks_as_the_edit_did(alpha: int, old: tuple, change: tuple) -> None:
    """As far as the alpha allows: nothing darker than black shows through."""
    before = read_picture(Image.new("RGBA", (1, 1), (*old, alpha)))
    if before.alpha is None:
        return
    seen = np.asarray(before.rgb, int)[0, 0]
    wanted = np.clip(seen + np.array(change) % 9 - 4, 255 - alpha, 255)
    out = restore_alpha(before, Image.fromarray(wanted.astype(np.uint8)[None, None]))
    shown = Image.alpha_composite(Image.new("RGBA", (1, 1), "white"), out).convert("RGB")
    assert np.abs(np.asarray(shown, int)[0, 0] - wanted).max() <= 1


# --- through the pipeline ---------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(96, 64), (61, 47), (33, 120), (200, 51), (7, 9)])
@pytest.mark.parametrize("fit", ["pad", "stretch"])
@pytest.mark.parametrize("bands", [3, 4])
@pytest.mark.parametrize("soft", [False, True])
def test_a_masked_edit_keeps_every_byte_outside(
    pipeline: Pipeline, size: Size, fit: str, bands: int, soft: bool
) -> None:
    image = noise(size, 3, bands)
    mask = random_mask(size, 5, soft)
    mask[: size[1] // 2, :] = 0
    mask[-1, -1] = 255
    out = pipeline.edit(image, "a cat", mask=Image.fromarray(mask), fit=fit, steps=1).images[0]
    assert out.mode == image.mode and out.size == size
    assert np.array_equal(np.asarray(out)[mask == 0], np.asarray(image)[mask == 0])
    assert not np.array_equal(np.asarray(out), np.asarray(image)), "and inside something happened"


@pytest.mark.parametrize(
    ("edits", "free"), [("white", np.s_[:, 48:]), ("black", np.s_[:, :48]), ("transparent", np.s_[:32])]
)
def test_the_polarity_decides_which_side_is_kept(pipeline: Pipeline, photo: Image.Image, edits: str, free: Any) -> None:
    mask = Image.new("RGBA", photo.size, "black")
    mask.paste((255, 255, 255, 255), (48, 0, 96, 64))
    if edits == "transparent":
        alpha = Image.new("L", photo.size, 255)
        alpha.paste(0, (0, 0, 96, 32))
        mask.putalpha(alpha)
    out = np.asarray(pipeline.edit(photo, "a cat", mask=mask, mask_edits=edits, steps=1).images[0])
    kept = np.ones((64, 96), bool)
    kept[free] = False
    before = np.asarray(photo)
    assert np.array_equal(out[kept], before[kept])
    assert not np.array_equal(out[~kept], before[~kept])


def test_a_masked_edit_of_a_turned_photo(pipeline: Pipeline, photo: Image.Image) -> None:
    turned = photo.copy()
    turned.getexif()[0x0112] = 6
    upright = photo.rotate(-90, expand=True)
    mask = Image.new("L", upright.size, 0)
    mask.paste(255, (10, 10, 40, 40))
    out = np.asarray(pipeline.edit(turned, "a cat", mask=mask, steps=1).images[0])
    kept = np.asarray(mask) == 0
    assert np.array_equal(out[kept], np.asarray(upright)[kept])


def test_the_reference_mask_mode_leaves_bytes_to_the_decoder(pipeline: Pipeline, photo: Image.Image) -> None:
    mask = Image.new("L", photo.size, 0)
    mask.paste(255, (40, 20, 60, 40))
    out = pipeline.edit(photo, "a cat", mask=mask, mask_mode="reference", steps=1).images[0]
    assert out.size == photo.size
    assert out.getpixel((0, 0)) != photo.getpixel((0, 0))
