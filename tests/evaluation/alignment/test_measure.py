"""Planted shifts, scales and rotations; what an edit leaves alone; what cannot be measured."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw
from skimage import data
from skimage.metrics import peak_signal_noise_ratio
from skimage.transform import AffineTransform
from skimage.transform import warp as resample

from inkontext.errors import PictureError
from inkontext.evaluation.alignment.measure import Alignment, at_size_of, measure, overlap
from inkontext.evaluation.alignment.resampling import Similarity

Motion = tuple[float, float, float, float]  # right, down, scale, degrees counter-clockwise


def photo(name: str, width: int, height: int) -> np.ndarray:
    """A photograph, cut to shape and reduced to size."""
    image = Image.fromarray(getattr(data, name)())
    ratio = max(width / image.width, height / image.height)
    image = image.resize((round(image.width * ratio), round(image.height * ratio)), Image.Resampling.LANCZOS)
    return np.asarray(image.crop((0, 0, width, height)))


def moved(picture: np.ndarray, motion: Motion, mode: str = "reflect") -> np.ndarray:
    """The picture after the motion, by scikit-image's spline resampling of order 3."""
    right, down, scale, degrees = motion
    height, width = picture.shape[:2]
    middle = np.array([(width - 1) / 2, (height - 1) / 2])
    to_origin, back = (
        AffineTransform(translation=-middle),
        AffineTransform(translation=middle + np.array([right, down])),
    )
    # scikit-image turns from x to y, which with y down is clockwise as seen
    forward = to_origin + AffineTransform(scale=scale, rotation=-np.radians(degrees)) + back
    out = resample(picture / 255, forward.inverse, order=3, mode=mode)
    return np.rint(np.clip(out, 0, 1) * 255).astype(np.uint8)


def drawn(width: int, height: int, motion: Motion, fine: int = 8) -> np.ndarray:
    """Shapes whose corners are moved before they are drawn, at eight times the resolution, averaged."""
    right, down, scale, degrees = motion
    rng = np.random.default_rng(5)
    image = Image.new("RGB", (width * fine, height * fine), (230, 225, 210))
    draw = ImageDraw.Draw(image)
    turn = scale * np.exp(-1j * np.radians(degrees))
    for _ in range(60):
        centre = complex(rng.uniform(-0.8, 0.8) * width, rng.uniform(-0.8, 0.8) * height)
        ring = np.exp(2j * np.pi * (np.arange(n := rng.integers(3, 7)) / n + rng.random()))
        corners = turn * (centre + rng.uniform(0.04, 0.16) * width * ring) + complex(right, down)
        corners = corners + complex(width / 2, height / 2)
        points = [(z.real * fine - 0.5, z.imag * fine - 0.5) for z in corners]
        draw.polygon(points, fill=tuple(int(v) for v in rng.integers(0, 256, 3)))
    return np.asarray(image.reduce(fine))


def edited(picture: np.ndarray, kind: str, share: float = 0.25) -> np.ndarray:
    """A rectangle of the picture painted over, given other colours, or other content."""
    out = picture.copy()
    height, width = picture.shape[:2]
    h, w = round(height * share**0.5), round(width * share**0.5)
    part = out[height // 3 : height // 3 + h, width // 4 : width // 4 + w]
    if kind == "painted":
        part[:] = (200, 30, 60)
    elif kind == "recoloured":
        part[:] = part[..., [2, 0, 1]]
    elif kind == "replaced":
        part[:] = photo("chelsea", part.shape[1], part.shape[0])
    return out


def toned(picture: np.ndarray, gain: float, brightness: float) -> np.ndarray:
    return np.rint(np.clip(picture.astype(float) * gain + brightness, 0, 255)).astype(np.uint8)


def check(found: Alignment, motion: Motion) -> None:
    assert found.reason is None
    assert (found.shift_x, found.shift_y) == pytest.approx(motion[:2], abs=0.05)
    assert found.scale == pytest.approx(motion[2], rel=0.001)
    assert found.rotation == pytest.approx(motion[3], abs=0.05)


@pytest.mark.parametrize(
    ("name", "size", "motion", "kind", "tones"),
    [
        ("astronaut", (64, 64), (3.3, -2.6, 0.95, 4.0), "none", (1, 0)),
        ("coffee", (96, 64), (-12.0, 9.0, 1.1, -7.0), "painted", (1, 0)),
        ("astronaut", (80, 128), (10.4, 20.2, 1.22, 3.0), "none", (0.85, 10)),
        ("coffee", (128, 128), (25.0, -18.0, 0.82, 14.0), "recoloured", (1, 0)),
        ("rocket", (192, 256), (-20.5, 30.25, 1.15, -14.5), "replaced", (1.1, 0)),
        ("astronaut", (256, 192), (0.4, -0.3, 1.0, 0.0), "painted", (1, -20)),
        ("astronaut", (256, 256), (50.0, -51.0, 1.0, 0.0), "none", (1, 0)),
        ("coffee", (512, 320), (-60.0, 22.0, 0.9, 9.0), "replaced", (0.9, 0)),
        ("astronaut", (1024, 768), (100.2, -80.7, 1.1, -5.0), "recoloured", (0.9, 12)),
    ],
)
def test_planted_motions_of_photographs(
    name: str, size: tuple[int, int], motion: Motion, kind: str, tones: tuple[float, float]
) -> None:
    before = photo(name, *size)
    check(measure(before, toned(edited(moved(before, motion), kind), *tones)), motion)


@pytest.mark.parametrize(
    ("size", "motion", "kind"),
    [
        ((64, 80), (4.0, -6.0, 0.93, 5.0), "none"),
        ((160, 120), (-20.0, 13.0, 1.2, -12.0), "painted"),
        ((256, 256), (31.4, 27.1, 0.85, 15.0), "replaced"),
        ((384, 512), (-3.25, 0.5, 1.004, -0.3), "recoloured"),
    ],
)
def test_planted_motions_of_drawn_pictures(size: tuple[int, int], motion: Motion, kind: str) -> None:
    before, after = drawn(*size, (0, 0, 1, 0)), drawn(*size, motion)
    check(measure(before, edited(after, kind)), motion)


def test_a_positive_rotation_is_counter_clockwise_as_seen() -> None:
    before = photo("astronaut", 200, 200)
    after = np.asarray(Image.fromarray(before).rotate(8, Image.Resampling.BICUBIC))  # Pillow: counter-clockwise
    check(measure(before, after), (0, 0, 1, 8))


@pytest.mark.parametrize("size", [(64, 64), (150, 90), (700, 900)])
def test_a_picture_lies_exactly_over_itself(size: tuple[int, int]) -> None:
    before = photo("coffee", *size)
    found = measure(before, before.copy())
    assert (found.shift_x, found.shift_y, found.scale, found.rotation) == (0, 0, 1, 0)
    assert (found.untouched_psnr, found.untouched_share, found.overlap) == (99, 1, 1)
    assert found.quality == pytest.approx(1) and found.untouched_reason is None


def test_an_edit_alone_does_not_move_the_picture() -> None:
    before = photo("astronaut", 256, 256)
    found = measure(before, edited(before, "replaced", 0.3))
    check(found, (0, 0, 1, 0))
    assert found.untouched_psnr == 99 and 0.6 < found.untouched_share < 0.71


@pytest.mark.parametrize("size", [64, 256])
def test_one_thing_more_of_a_kind_is_no_shift(size: int) -> None:
    def rings(count: int) -> np.ndarray:
        image = Image.new("RGB", (1024, 1024), (246, 134, 30))
        for n in range(count):
            box = (60 + 190 * n, 430, 220 + 190 * n, 590)
            ImageDraw.Draw(image).ellipse(box, outline=(50, 90, 220), width=50)
        return np.asarray(image.resize((size, size), Image.Resampling.BOX))

    check(measure(rings(2), rings(3)), (0, 0, 1, 0))


def stripes() -> np.ndarray:
    return np.repeat(np.tile((np.arange(96) // 6 % 2 * 200 + 20).astype(np.uint8), (96, 1))[..., None], 3, 2)


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        (np.full((64, 96, 3), 90, np.uint8), np.full((64, 96, 3), 90, np.uint8), "BEFORE has too little texture"),
        (photo("astronaut", 96, 64), np.full((64, 96, 3), 90, np.uint8), "AFTER has too little texture"),
        (photo("astronaut", 12, 64), photo("astronaut", 12, 64), "less than 16 pixels"),
        (stripes(), stripes(), "leaves a motion open"),
        (stripes(), np.roll(stripes(), 2, 1), "leaves a motion open"),
        (photo("astronaut", 128, 128), photo("coffee", 128, 128), "too little in common"),
        (photo("rocket", 200, 128), photo("chelsea", 200, 128)[::-1].copy(), "too little in common"),
    ],
)
def test_what_cannot_be_told_is_missing_with_a_reason(before: np.ndarray, after: np.ndarray, words: str) -> None:
    found = measure(before, after)
    assert (found.shift_x, found.shift_y, found.scale, found.rotation, found.overlap) == (None,) * 5
    assert words in (found.reason or "")


def test_the_untouched_error_is_that_of_the_pixels_outside_the_edit() -> None:
    before = photo("coffee", 240, 200).astype(int)
    noise = np.random.default_rng(1).integers(-6, 7, before.shape)
    after = np.clip(before + noise, 0, 255)
    after[60:140, 80:200] = (250, 10, 240)
    outside = np.ones((200, 240), bool)
    outside[60:140, 80:200] = False
    expected = 10 * np.log10(255**2 / ((after - before)[outside] ** 2).mean())
    found = measure(before.astype(np.uint8), after.astype(np.uint8))
    assert found.untouched_psnr == pytest.approx(expected, abs=0.05)
    assert found.untouched_share == pytest.approx(outside.mean(), abs=0.05)


def attacked(before: np.ndarray, share: float) -> np.ndarray:
    """The picture with the top of it replaced by noise, that share of its area."""
    after = before.copy()
    top = round(share * len(before))
    after[:top] = np.random.default_rng(0).integers(0, 256, after[:top].shape)
    return after


def test_noise_that_is_taken_for_an_edit_shows_in_the_share_and_in_what_it_cannot_choose() -> None:
    """62 % of the picture destroyed: the judged rest is whole (99 dB), the picture is not."""
    before = photo("astronaut", 200, 200)
    after = attacked(before, 0.62)
    free = np.zeros((200, 200), bool)
    free[:20] = True  # what was asked for is a tenth
    found = measure(before, after, free)
    assert found.untouched_psnr == 99 and found.untouched_share == pytest.approx(0.37, abs=0.03)
    assert found.whole_psnr == pytest.approx(peak_signal_noise_ratio(before, after), abs=1e-6)
    assert found.outside_psnr == pytest.approx(peak_signal_noise_ratio(before[20:], after[20:]), abs=1e-6)
    assert found.whole_psnr is not None and found.whole_psnr < 12
    assert found.outside_psnr is not None and found.outside_psnr < 12
    assert found.outside_share == pytest.approx(0.9)
    honest = measure(before, attacked(before, 0.1), free)
    assert honest.outside_psnr == 99 and honest.untouched_psnr == 99
    assert measure(before, after).outside_psnr is None and measure(before, before).whole_psnr == 99
    everything = measure(before, after, np.ones((200, 200), bool))
    assert everything.outside_psnr is None and everything.outside_share == 0


def test_a_mask_of_another_kind_or_size() -> None:
    before = photo("coffee", 64, 64)
    for mask in (np.zeros((64, 63), bool), np.zeros((64, 64), np.uint8)):
        with pytest.raises(PictureError, match="a mask of bool"):
            measure(before, before, mask)


def test_a_drift_counts_at_the_untouched_places_and_is_no_edit() -> None:
    whole = photo("astronaut", 260, 260)
    before, after = whole[4:-4, 4:-4], edited(whole[4:-4, 2:-6], "painted", 0.2)
    outside = np.ones(before.shape[:2], bool)
    outside[84 : 84 + 113, 63 : 63 + 113] = False
    expected = 10 * np.log10(255**2 / ((before.astype(float) - after)[outside] ** 2).mean())
    found = measure(before, after)
    check(found, (2, 0, 1, 0))
    assert found.untouched_psnr == pytest.approx(expected, abs=0.5)
    assert found.untouched_share == pytest.approx(0.8, abs=0.05)


def test_a_change_of_everything() -> None:
    before = photo("astronaut", 128, 128)
    assert (brighter := measure(before // 2, before // 2 + 20)).untouched_psnr == pytest.approx(20 * np.log10(255 / 20))
    assert brighter.untouched_share == 1
    lost = measure(before, 255 - before)
    assert lost.untouched_psnr is None and lost.untouched_reason == "no untouched region was found"


def test_overlap_is_the_share_that_stays_inside() -> None:
    assert overlap(100, 50, Similarity(1, 25 + 10j)) == pytest.approx(0.75 * 0.8, abs=0.01)
    assert overlap(100, 50, Similarity(0.5)) == 1 and overlap(80, 80, Similarity(2)) == pytest.approx(0.25, abs=0.01)


def test_plain_values_have_six_decimals_and_no_negative_zero() -> None:
    values = Alignment(-1e-9, 1 / 3, 1.0, -0.0, None, 0.5, 1.0, 1.0, None, "none").as_dict()
    assert str(values["shift_x"]) == "0.0" == str(values["rotation"])
    assert values["shift_y"] == 0.333333 and values["untouched_psnr"] is None


@pytest.mark.parametrize(("size", "fits"), [((60, 40), True), ((15, 10), True), ((101, 67), True), ((45, 40), False)])
def test_another_size_is_brought_over_if_the_sides_have_the_same_ratio(size: tuple[int, int], fits: bool) -> None:
    before, after = Image.new("RGB", (30, 20)), Image.new("RGB", size, (9, 8, 7))
    if fits:
        assert at_size_of(before, after).size == (30, 20) and at_size_of(before, before) is before
    else:
        with pytest.raises(PictureError, match="AFTER is 45x40 and BEFORE 30x20 pixels"):
            at_size_of(before, after)


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        (np.zeros((20, 20, 3), np.uint8), np.zeros((20, 30, 3), np.uint8), "of one size"),
        (np.zeros((20, 20, 3), np.float32), np.zeros((20, 20, 3), np.uint8), "uint8"),
        (np.zeros((20, 20), np.uint8), np.zeros((20, 20, 3), np.uint8), "H, W, 3"),
    ],
)
def test_arrays_of_another_kind(before: np.ndarray, after: np.ndarray, words: str) -> None:
    with pytest.raises(PictureError, match=words):
        measure(before, after)
