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


@given(
    seed=st.integers(0, 99), x=st.integers(2, 40), y=st.integers(2, 40), wide=st.integers(5, 20),
    by=st.sampled_from([-60, 45, 100]), level=st.floats(0, 2.5),
)  # fmt: skip
def test_a_painted_box_is_found_and_the_rest_is_kept(
    seed: int, x: int, y: int, wide: int, by: int, level: float
) -> None:
    before, after = _noisy(seed, level), _noisy(seed + 1000, level).astype(int)
    box = (slice(y, y + wide), slice(x, x + wide))
    after[box] += by
    weight = change_of(Image.fromarray(before), Image.fromarray(np.clip(after, 0, 255).astype(np.uint8)))
    assert (weight[box] == 1).all()
    far = np.ones((SIDE, SIDE), bool)
    far[max(0, y - 8) : y + wide + 8, max(0, x - 8) : x + wide + 8] = False
    assert (weight[far] == 0).mean() > 0.99
    assert weight.min() >= 0 and weight.max() <= 1


def test_the_same_is_no_change() -> None:
    picture = Image.fromarray(_noisy(0, 30))
    assert not change_of(picture, picture).any()


@pytest.mark.parametrize("by", [6, 15, 80])
def test_a_change_of_the_whole_picture_is_no_noise(by: int) -> None:
    before = _noisy(0, 1)
    assert (change_of(Image.fromarray(before), Image.fromarray(before + np.uint8(by))) == 1).all()


def test_a_mask_has_the_last_word() -> None:
    before, after = Image.new("RGB", (SIDE, SIDE)), Image.new("RGB", (SIDE, SIDE), "white")
    allowed = np.zeros((SIDE, SIDE), np.float32)
    allowed[:, 32:] = 255
    weight = change_of(before, after, Image.fromarray(allowed))
    assert not weight[:, :32].any() and (weight[:, 32:] == 1).all()


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
