"""What an edit left alone is found, and put back exactly."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from inkontext.geometry import frame_for
from inkontext.session.keep import blend_latents, change_of, composite, weight_on_picture

SIDE = 64


def _noisy(seed: int, level: float, base: int = 120) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.clip(base + rng.normal(0, level, (SIDE, SIDE, 3)), 0, 255).astype(np.uint8)


def _image(pixels: np.ndarray) -> Image.Image:
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


@given(
    seed=st.integers(0, 99), x=st.integers(2, 40), y=st.integers(2, 40), wide=st.integers(5, 20),
    by=st.sampled_from([-60, 45, 100]), level=st.floats(0, 2.5),
)  # fmt: skip
def test_a_painted_box_is_found_and_the_rest_is_kept(
    seed: int, x: int, y: int, wide: int, by: int, level: float
) -> None:
    before, drawn = _noisy(seed, level), _noisy(seed + 1000, level).astype(int)
    expected = np.full_like(drawn, 120)
    box = (slice(y, y + wide), slice(x, x + wide))
    drawn[box] += by
    expected[box] += by
    weight = change_of(_image(before), _image(drawn), _image(expected))
    assert (weight[box] == 1).all()
    far = np.ones((SIDE, SIDE), bool)
    far[max(0, y - 8) : y + wide + 8, max(0, x - 8) : x + wide + 8] = False
    assert (weight[far] == 0).mean() > 0.99
    assert weight.min() >= 0 and weight.max() <= 1


def test_what_was_drawn_and_not_expected_is_put_back_and_so_the_other_way_round() -> None:
    before = np.full((SIDE, SIDE, 3), 120)
    drawn, expected = before.copy(), before.copy()
    drawn[5:20, 5:20] += 80  # spoilt
    expected[5:20, 40:55] += 80  # asked for, not done
    drawn[40:55, 5:20] += 80  # asked for and done
    expected[40:55, 5:20] += 60
    weight = change_of(_image(before), _image(drawn), _image(expected))
    assert (weight[40:55, 5:20] == 1).all()
    assert not weight[:36].any() and not weight[:, 24:].any()


def test_an_addition_may_be_anywhere() -> None:
    """Four places are as likely, so the expected picture shows a quarter of the thing in each."""
    before = np.full((SIDE, SIDE, 3), 120)
    drawn, expected = before.copy(), before.copy()
    for y, x in ((4, 4), (4, 44), (44, 4), (44, 44)):
        expected[y : y + 12, x : x + 12] += 32
    drawn[44:56, 4:16] += 128
    weight = change_of(_image(before), _image(drawn), _image(expected))
    assert (weight[44:56, 4:16] == 1).all()
    assert not weight[:40].any() and not weight[:, 24:].any()


def test_a_blurred_expectation_of_much_detail_is_no_change() -> None:
    before = _noisy(0, 30)
    expected = np.full((SIDE, SIDE, 3), 120)
    assert not change_of(_image(before), _image(before), _image(expected)).any()
    drawn = np.clip(before + np.random.default_rng(1).normal(0, 2, before.shape), 0, 255)
    assert not change_of(_image(before), _image(drawn), _image(expected)).any()


def test_the_more_a_model_spoils_the_more_is_a_change() -> None:
    """A change of 30 is seen beside a model that draws what it expects, and not beside one that is 20 off."""
    before = np.full((SIDE, SIDE, 3), 120)
    expected = before.copy()
    expected[20:40, 20:40] += 30
    drawn = expected.copy()
    assert (change_of(_image(before), _image(drawn), _image(expected))[20:40, 20:40] == 1).all()
    stripes = np.where(np.arange(SIDE) // 8 % 2, 20, -20)[:, None, None]
    assert not change_of(_image(before), _image(drawn + stripes), _image(expected)).any()


@pytest.mark.parametrize("by", [6, 15, 80])
def test_a_change_of_the_whole_picture_is_no_noise(by: int) -> None:
    before = _noisy(0, 1)
    after = Image.fromarray(before + np.uint8(by))
    assert (change_of(Image.fromarray(before), after, after) == 1).all()


@given(seed=st.integers(0, 99), alpha=st.booleans())
def test_bytes_are_the_ancestors_where_the_weight_is_nothing(seed: int, alpha: bool) -> None:
    rng = np.random.default_rng(seed)
    ancestor = rng.integers(0, 256, (24, 32, 4 if alpha else 3), np.uint8)
    made = Image.fromarray(rng.integers(0, 256, (24, 32, 3), np.uint8))
    weight = rng.integers(0, 256, (24, 32), np.uint8) * rng.integers(0, 2, (24, 32), np.uint8)
    out = np.asarray(composite(Image.fromarray(ancestor), made, Image.fromarray(weight), None))
    assert (out[weight == 0] == ancestor[weight == 0]).all()
    if not alpha:
        assert (out[weight == 255] == np.asarray(made)[weight == 255]).all()


def test_latents_are_taken_by_cell() -> None:
    weight = np.zeros((32, 48), np.float32)
    weight[9, 17] = 0.01  # one pixel of cell (1, 2)
    before, after = torch.zeros(1, 16, 4, 6), torch.ones(1, 16, 4, 6)
    out = blend_latents(before, after, weight)
    wanted = torch.zeros(4, 6)
    wanted[1, 2] = 1
    assert torch.equal(out, wanted.expand(1, 16, 4, 6))


@pytest.mark.parametrize("size", [(64, 64), (130, 97), (31, 40)])
def test_the_weight_lies_where_the_canvas_says(size: tuple[int, int]) -> None:
    frame = frame_for(size, (64, 64))
    weight = np.zeros((64, 64), np.float32)
    left, top, right, bottom = frame.box
    weight[top : (top + bottom) // 2, left : (left + right) // 2] = 1
    levels = np.asarray(weight_on_picture(weight, frame))
    assert levels.shape == size[::-1]
    assert levels[: size[1] // 2 - 2, : size[0] // 2 - 2].min() == 255
    assert levels[size[1] // 2 + 2 :].max() == 0 and levels[:, size[0] // 2 + 2 :].max() == 0
