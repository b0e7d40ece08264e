"""The geometry contract: sizes equal, content where it was, masks read as their names say."""

from __future__ import annotations

import math

import numpy as np
import pytest
from diffusers.pipelines.flux.pipeline_flux_kontext import PREFERRED_KONTEXT_RESOLUTIONS
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from PIL import Image

from inkontext.errors import OptionError
from inkontext.geometry import (
    GRID,
    Frame,
    Size,
    area_canvas,
    frame_for,
    native_frame,
    nearest_canvas,
    parse_size,
    ratio_buckets,
    read_resolution,
    reference_canvas,
    scaled_buckets,
    stitch,
)
from inkontext.model.presets import KONTEXT_BUCKETS
from tests.alignment import REACH, blob_width, centroid, corners, displacement, draw_blobs

BUCKETS = {r: ratio_buckets(r) for r in (64, 128, 256, 1024)} | {0: KONTEXT_BUCKETS}
sides = st.integers(1, 3000)
sizes = st.tuples(sides, sides)
buckets = st.sampled_from(sorted(BUCKETS))
fits = st.sampled_from(["pad", "stretch", "crop", "reference"])
many = settings(max_examples=300, deadline=None, derandomize=True)


def framed(size: Size, resolution: int, fit: str = "pad") -> Frame:
    return frame_for(size, nearest_canvas(size, BUCKETS[resolution]), fit)


@st.composite
def ordinary_sizes(draw: st.DrawFn, largest: int) -> Size:
    """Sizes from 24 pixels, with ratios from 1:4 to 4:1."""
    width = draw(st.integers(24, largest))
    height = round(width * math.exp(draw(st.floats(-math.log(4), math.log(4)))))
    assume(24 <= height <= largest and width <= 4 * height and height <= 4 * width)
    return width, height


# --- frames -----------------------------------------------------------------------------------------------


@many
@given(sizes, buckets, fits)
@example((1, 1), 64, "pad")
@example((3000, 1), 0, "pad")
@example((1, 3000), 0, "crop")
def test_a_frame_lies_on_its_canvas(size: Size, resolution: int, fit: str) -> None:
    frame = framed(size, resolution, fit)
    left, top, right, bottom = frame.box
    assert 0 <= left < right <= frame.canvas[0] and 0 <= top < bottom <= frame.canvas[1]
    assert frame.canvas[0] % GRID == frame.canvas[1] % GRID == 0
    assert 0 <= frame.crop[0] < frame.crop[2] <= size[0] and 0 <= frame.crop[1] < frame.crop[3] <= size[1]
    if fit != "crop":
        assert frame.output == size
    if fit != "pad":
        assert frame.box == (0, 0, *frame.canvas)


@many
@given(sizes, buckets)
def test_pad_has_one_scale_up_to_rounding_and_stands_in_the_middle(size: Size, resolution: int) -> None:
    frame = framed(size, resolution)
    wanted = min(c / s for c, s in zip(frame.canvas, size, strict=True))
    for low, high, canvas, side in zip(frame.box[:2], frame.box[2:], frame.canvas, size, strict=True):
        assert abs((high - low) - wanted * side) <= 0.5 or high - low == 1
        assert abs(low - (canvas - high)) <= 1


@many
@given(sizes, buckets, fits, st.floats(0, 1), st.floats(0, 1))
def test_the_two_maps_are_each_others_inverse(size: Size, resolution: int, fit: str, u: float, v: float) -> None:
    frame = framed(size, resolution, fit)
    x, y = u * size[0], v * size[1]
    assert frame.to_source(*frame.to_canvas(x, y)) == pytest.approx((x, y), abs=1e-6)
    corner = frame.to_canvas(*frame.crop[:2]), frame.to_canvas(*frame.crop[2:])
    assert corner == (pytest.approx(frame.box[:2]), pytest.approx(frame.box[2:]))


def test_the_record_of_a_frame() -> None:
    record = Frame((3, 2), (16, 16), (0, 0, 3, 2), (0, 3, 16, 13)).as_dict()
    assert record == {"source": (3, 2), "canvas": (16, 16), "crop": (0, 0, 3, 2), "box": (0, 3, 16, 13)}
    assert Frame(**record).output == (3, 2)


def test_an_unknown_fit() -> None:
    with pytest.raises(OptionError, match="choose one of pad, crop"):
        frame_for((3, 2), (16, 16), "squeeze")


# --- pictures there and back ------------------------------------------------------------------------------


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.one_of(st.tuples(st.integers(1, 600), st.integers(1, 600)), sizes), st.sampled_from([64, 128, 256]))
@example((1, 1), 64)
@example((2999, 1), 64)
@example((1, 3000), 256)
def test_any_picture_comes_back_at_its_size(size: Size, resolution: int) -> None:
    frame = framed(size, resolution)
    canvas = frame.place(Image.new("RGB", size, (10, 200, 30)))
    assert canvas.size == frame.canvas
    assert canvas.getextrema() == ((10, 10), (200, 200), (30, 30))
    back = frame.restore(canvas)
    assert back.size == size and back.getpixel((0, 0)) == (10, 200, 30)


@pytest.mark.parametrize("resolution", [64, 128, 256, 0])
def test_extreme_ratios_come_back_at_their_size(resolution: int) -> None:
    for size in ((3000, 7), (5, 1200), (3000, 750), (750, 3000), (17, 17), (2048, 1365)):
        frame = framed(size, resolution)
        assert frame.restore(frame.place(Image.new("RGB", size))).size == size


@pytest.mark.parametrize("shift", [0.0, 0.05, 0.1, 0.15, 0.5, 1.0])
def test_the_measure_sees_what_it_is_to_see(shift: float) -> None:
    size, width = (200, 120), blob_width((200, 120), 0.5)
    moved = draw_blobs(size, [(x, y - shift) for x, y in corners(size, width)], width)
    assert displacement(size, 0.5, lambda _: moved) == pytest.approx(shift, abs=0.01)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(ordinary_sizes(700), st.sampled_from([64, 128, 256]), st.sampled_from(["pad", "stretch"]))
@example((700, 175), 64, "pad")
@example((24, 96), 256, "pad")
def test_content_comes_back_where_it_was(size: Size, resolution: int, fit: str) -> None:
    frame = framed(size, resolution, fit)
    assert displacement(size, min(frame.scale), lambda image: frame.restore(frame.place(image))) <= 0.1


@settings(max_examples=12, deadline=None, derandomize=True)
@given(ordinary_sizes(3000), st.sampled_from([0, 1024]))
def test_large_pictures_come_back_where_they_were(size: Size, resolution: int) -> None:
    frame = framed(size, resolution)
    assert displacement(size, min(frame.scale), lambda image: frame.restore(frame.place(image))) <= 0.1


@settings(max_examples=150, deadline=None, derandomize=True)
@given(ordinary_sizes(600), st.sampled_from([64, 128, 256]), fits)
def test_the_recorded_map_is_where_content_stands_on_the_canvas(size: Size, resolution: int, fit: str) -> None:
    """A blob at p is found on the canvas at `to_canvas(p)`, to a tenth of a picture pixel."""
    frame = framed(size, resolution, fit)
    width = blob_width(size, min(frame.scale))
    canvas = None
    for point in corners(size, width):
        x, y = frame.to_canvas(*point)
        reach = (REACH * width * frame.scale[0], REACH * width * frame.scale[1])
        if not all(r <= c <= side - r for c, r, side in zip((x, y), reach, frame.canvas, strict=True)):
            continue  # cut away by `crop`
        canvas = canvas or frame.place(draw_blobs(size, corners(size, width), width))
        found = frame.to_source(*centroid(canvas, (x, y), reach))
        assert found == pytest.approx(point, abs=0.1)


@pytest.mark.parametrize("canvas", [(64, 64), (80, 48), *KONTEXT_BUCKETS[::4]])
@pytest.mark.parametrize("fit", ["pad", "crop", "stretch", "reference"])
def test_a_picture_of_the_canvas_size_is_left_alone(canvas: Size, fit: str) -> None:
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (canvas[1], canvas[0], 3), dtype=np.uint8))
    frame = frame_for(canvas, canvas, fit)
    assert frame.place(image).tobytes() == frame.restore(image).tobytes() == image.tobytes()


def test_every_bucket_leaves_pictures_of_its_own_size_alone() -> None:
    for resolution, known in BUCKETS.items():
        for canvas in known:
            assert nearest_canvas(canvas, known) == canvas, resolution


def test_padding_mirrors_the_picture() -> None:
    image = Image.fromarray(np.arange(16 * 8, dtype=np.uint8).reshape(8, 16))
    frame = frame_for((16, 8), (16, 32))
    assert frame.box == (0, 12, 16, 20)
    placed = np.asarray(frame.place(image))
    assert np.array_equal(placed[12:20], np.asarray(image))
    assert np.array_equal(placed[4:12], np.asarray(image)[::-1])
    assert np.array_equal(placed[20:28], np.asarray(image)[::-1])


def test_crop_fills_the_canvas_and_cuts_the_rest() -> None:
    frame = frame_for((200, 100), (64, 64), "crop")
    assert (frame.crop, frame.box, frame.output) == ((50, 0, 150, 100), (0, 0, 64, 64), (100, 100))
    image = Image.new("RGB", (200, 100), "red")
    image.paste((0, 0, 255), (50, 0, 150, 100))
    placed = frame.place(image)
    assert placed.size == (64, 64)
    assert placed.getpixel((32, 32)) == (0, 0, 255) and placed.getpixel((1, 1))[2] > 250
    assert frame.restore(placed).size == (100, 100)


@pytest.mark.parametrize("fit", ["stretch", "reference"])
def test_stretch_is_the_plain_lanczos_of_the_references(fit: str, photo: Image.Image) -> None:
    frame = frame_for(photo.size, (64, 80), fit)
    assert frame.place(photo).tobytes() == photo.resize((64, 80), Image.Resampling.LANCZOS).tobytes()
    assert frame.scale == (64 / 96, 80 / 64)


# --- canvases ---------------------------------------------------------------------------------------------


def test_the_seventeen_published_sizes() -> None:
    assert len(KONTEXT_BUCKETS) == 17
    assert list(KONTEXT_BUCKETS) == [tuple(r) for r in PREFERRED_KONTEXT_RESOLUTIONS]


@many
@given(sizes)
@example((1000, 1000))
@example((3000, 1))
def test_the_reference_choice_of_canvas(size: Size) -> None:
    ratio = size[0] / size[1]  # as written in diffusers' FluxKontextPipeline.__call__
    _, width, height = min((abs(ratio - w / h), w, h) for w, h in PREFERRED_KONTEXT_RESOLUTIONS)
    assert reference_canvas(size, KONTEXT_BUCKETS) == (width, height)


@many
@given(sizes, buckets)
def test_the_nearest_canvas_wastes_least(size: Size, resolution: int) -> None:
    def stretched(canvas: Size) -> float:
        ratio = canvas[0] / canvas[1] / (size[0] / size[1])
        return max(ratio, 1 / ratio)

    chosen = nearest_canvas(size, BUCKETS[resolution])
    assert stretched(chosen) <= min(map(stretched, BUCKETS[resolution])) * (1 + 1e-12)


def test_portrait_and_landscape_choose_alike() -> None:
    for w, h in ((300, 200), (1234, 777), (90, 20)):
        landscape = nearest_canvas((w, h), KONTEXT_BUCKETS)
        assert nearest_canvas((h, w), KONTEXT_BUCKETS) == landscape[::-1]


@pytest.mark.parametrize("resolution", [64, 128, 256, 512, 1024])
def test_ratio_buckets_cover_one_to_four(resolution: int) -> None:
    known = ratio_buckets(resolution)
    assert (resolution, resolution) in known
    ratios = [w / h for w, h in known]
    assert min(ratios) <= 0.26 and max(ratios) >= 3.9
    assert all(w % GRID == h % GRID == 0 for w, h in known)
    assert all(0.7 <= w * h / resolution**2 <= 1.4 for w, h in known)


def test_canvases_of_any_resolution() -> None:
    for resolution in (*range(16, 700), 1000, 4096):
        for known in (ratio_buckets(resolution), scaled_buckets(KONTEXT_BUCKETS, resolution / 1024)):
            assert known and all(w % GRID == h % GRID == 0 and w > 0 and h > 0 for w, h in known)
            square = nearest_canvas((1, 1), known)
            assert square[0] == square[1] and abs(square[0] - resolution) <= GRID // 2


def test_published_sizes_scale_at_their_ratios() -> None:
    assert scaled_buckets(KONTEXT_BUCKETS, 1) == KONTEXT_BUCKETS
    assert scaled_buckets(KONTEXT_BUCKETS, 2) == tuple((2 * w, 2 * h) for w, h in KONTEXT_BUCKETS)
    half = scaled_buckets(KONTEXT_BUCKETS, 0.5)
    assert half[0] == (336, 784) and half[8] == (512, 512) and half[9] == (544, 480) and len(half) == 17
    assert all(abs(w / h / (a / b) - 1) < 0.05 for (w, h), (a, b) in zip(half, KONTEXT_BUCKETS, strict=True))
    assert len(set(scaled_buckets(KONTEXT_BUCKETS, 0.0625))) == len(scaled_buckets(KONTEXT_BUCKETS, 0.0625)) < 17


@pytest.mark.parametrize("value", [0, -1, 8, 15, 4097, 10**9, 512.0, float("nan"), "512", True, np.float32(64)])
def test_resolutions_that_cannot_be(value: object) -> None:
    with pytest.raises(OptionError, match=r"^resolution must be a whole number from 16 to 4096, not \S+$"):
        read_resolution(value)
    with pytest.raises(OptionError, match=r"^context_resolution must be"):
        read_resolution(value, "context_resolution")


def test_resolutions_that_can() -> None:
    assert [read_resolution(value) for value in (None, 16, 4096, np.int64(512))] == [None, 16, 4096, 512]
    assert type(read_resolution(np.int64(512))) is int


@pytest.mark.parametrize(
    ("size", "area", "canvas"),
    [
        ((1, 1), 1024**2, (1024, 1024)), ((16, 9), 1024**2, (1360, 768)), ((9, 16), 1024**2, (768, 1360)),
        ((1000, 10), 64**2, (640, 16)), ((21, 9), 1024**2, (1552, 656)),
    ],
)  # fmt: skip
def test_area_canvas(size: Size, area: int, canvas: Size) -> None:
    assert area_canvas(size, area) == canvas


@many
@given(st.tuples(st.integers(1, 4000), st.integers(1, 4000)), st.sampled_from([64, 128, 1024]))
def test_pictures_from_text_have_the_size_asked_for(size: Size, resolution: int) -> None:
    frame = native_frame(size, resolution)
    assert frame.output == size
    assert frame.canvas[0] % GRID == frame.canvas[1] % GRID == 0
    if frame.scale == (1, 1):
        assert all(0 <= c - s < GRID for c, s in zip(frame.canvas, size, strict=True))
    else:
        assert math.prod(-(-side // GRID) * GRID for side in size) > 2 * resolution**2


def test_pictures_from_text_are_cut_not_resampled() -> None:
    canvas = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 48, 3), dtype=np.uint8))
    frame = native_frame((45, 51), 64)
    assert frame.canvas == (48, 64)
    assert frame.restore(canvas).tobytes() == canvas.crop((1, 6, 46, 57)).tobytes()


# --- sizes as people write them ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "size"),
    [
        (None, None), ("match", None), ("640x480", (640, 480)), (" 640 X 480 ", (640, 480)), ((7, 5), (7, 5)),
        ("1:1", (1024, 1024)), ("16:9", (1360, 768)), ("2.39:1", (1568, 656)), ("1:10", (320, 3232)),
        ("16384x1", (16384, 1)),
    ],
)  # fmt: skip
def test_sizes_that_are_understood(written: str | Size | None, size: Size | None) -> None:
    assert parse_size(written, 1024) == size


@pytest.mark.parametrize(
    "written",
    [
        "", "big", "640", "640x", "x480", "640*480", "64.5x48", "-3x4", "0x5", "5x0", "16385x5", "1:0", "0:1", "0:0",
        "1:11", "11:1", "9" * 400 + "x1", "9" * 400 + ":1", "640x480x3", "16:9:1", "12000x12000",
        (3,), (1, 2, 3), (1.0, 2), (0, 4), (-1, 4), (True, "4"), ("640", "480"),
    ],
)  # fmt: skip
def test_sizes_that_are_not(written: str | Size) -> None:
    with pytest.raises(OptionError):
        parse_size(written, 1024)


# --- stitching --------------------------------------------------------------------------------------------


def test_stitch_sets_pictures_side_by_side_at_one_height() -> None:
    images = [
        Image.new("RGB", size, colour) for size, colour in (((10, 20), "red"), ((30, 60), "lime"), ((8, 4), "blue"))
    ]
    pasted = stitch(images)
    assert pasted.size == (10 + 10 + 40, 20)
    assert [pasted.getpixel((x, 10)) for x in (5, 15, 40)] == [(255, 0, 0), (0, 255, 0), (0, 0, 255)]


def test_stitch_of_one_picture_is_that_picture(photo: Image.Image) -> None:
    assert stitch([photo]).tobytes() == photo.tobytes()
