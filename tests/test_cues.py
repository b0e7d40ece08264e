"""Drawn cues: coordinates, JSON, drawing as in training, and the check that none of the ink is left."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter

from inkontext.cues import INKS, KINDS, Cue, draw, from_json, gone, parse_cue, read_cues, settle, to_json
from inkontext.cues.drawing import line_width
from inkontext.data.world import sample_pair
from inkontext.data.world.render import render
from inkontext.errors import CueError
from inkontext.pipeline import Pipeline

RING = Cue("ellipse", ((0.2, 0.2), (0.7, 0.8)))
fractions = st.floats(0, 1)


@st.composite
def cues(make: st.DrawFn) -> Cue:
    kind = make(st.sampled_from(KINDS))
    if kind == "scribble":
        points = make(st.lists(st.tuples(fractions, fractions), min_size=2, max_size=20))
        points[0], points[1] = (0.1, 0.1), (0.4, 0.3)  # never a mere dot
    else:
        x, y = make(st.floats(0, 0.7)), make(st.floats(0, 0.7))
        points = [(x, y), (x + make(st.floats(0.02, 0.3)), y + make(st.floats(0.02, 0.3)))]
        if make(st.booleans()):
            points.reverse()
    width = make(st.none() | st.floats(0.005, 0.05))
    return Cue(kind, tuple(points), make(st.none() | st.sampled_from(list(INKS))), width)


def content(size: tuple[int, int] = (160, 120)) -> Image.Image:
    """Smooth greens with some noise: nothing of it is an ink."""
    y, x = np.mgrid[0 : size[1], 0 : size[0]] / max(size)
    bands = np.dstack([90 + 40 * np.sin(5 * x), 150 + 40 * np.cos(4 * y), 110 + 30 * np.sin(3 * (x + y))])
    return Image.fromarray((bands + np.random.default_rng(0).normal(0, 5, bands.shape)).astype(np.uint8))


def mixed(a: Image.Image, b: Image.Image, share: float) -> Image.Image:
    noise = np.random.default_rng(1).normal(0, 5, (*a.size[::-1], 3))
    return Image.fromarray(np.clip(np.asarray(Image.blend(a, b, share)) + noise, 0, 255).astype(np.uint8))


# --- coordinates and files --------------------------------------------------------------------------------


@given(st.lists(cues(), min_size=1, max_size=5))
def test_json_gives_back_the_same_cues(drawn: list[Cue]) -> None:
    assert from_json(to_json(drawn)) == tuple(drawn)


@pytest.mark.parametrize(
    ("text", "cue"),
    [
        ("ellipse:0.2,0.2,0.5,0.6", RING),
        ("ellipse: 20, 40, 50, 120 px", RING),
        ("ellipse:20,40,50,120px,blue", replace(RING, colour="blue")),
        ("box:0,0,1,1,red", Cue("box", ((0, 0), (1, 1)), "red")),
        ("arrow:0.9,0.9,0.5,0.5", Cue("arrow", ((0.9, 0.9), (0.5, 0.5)))),
        ("scribble:0.1,0.1,.2,.2,0.3,0.1", Cue("scribble", ((0.1, 0.1), (0.2, 0.2), (0.3, 0.1)))),
    ],
)
def test_cues_in_a_line(text: str, cue: Cue) -> None:
    found = parse_cue(text, (100, 200))
    assert (found.kind, found.colour) == (cue.kind, cue.colour)
    assert np.allclose(found.points, cue.points)


BAD = {
    "outside": ("box:0.5,0.5,0.6,0.2", "a point at (1.1, 0.7), outside the picture"),
    "pixels unsaid": ("box:10,10,50,50", "coordinates are fractions"),
    "pixels outside": ("box:90,10,50,50px", "outside the picture"),
    "negative": ("arrow:-0.1,0,0.5,0.5", "outside the picture"),
    "nan": ("box:nan,0,0.1,0.1", "is not understood"),
    "kind": ("star:0,0,1,1", "unknown cue 'star'"),
    "colour": ("box:0,0,1,1,mauve", "unknown cue colour 'mauve'"),
    "dot": ("box:0.5,0.5,0,0", "too small to be seen"),
    "flat": ("ellipse:0.5,0.5,0.3,0.001", "too small to be seen"),
    "points": ("box:0,0,1,1,0.5,0.5", "takes two points, not 3"),
    "odd": ("arrow:0,0,1,1,1", "is not understood"),
    "few": ("scribble:0.1,0.2", "is not understood"),
    "words": ("circle around the hat", "is not understood"),
    "no file": ("no.json", "cannot read the cues in 'no.json'"),
}


@pytest.mark.parametrize("case", BAD)
def test_lines_that_are_wrong(case: str) -> None:
    text, words = BAD[case]
    with pytest.raises(CueError, match=re.escape(words)) as error:
        read_cues([text], (100, 100))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '{"cues": []}', '{"cues": 3}', "[1]", '[{"kind": "box"}]', '[{"kind": "box", "points": [1, 2]}]',
     '[{"kind": "box", "points": [[0, 0], [1, NaN]]}]', '[{"kind": 3, "points": [[0, 0], [1, 1]]}]',
     '[{"kind": "box", "points": [[0, 0], [1, true]]}]', '[{"kind": "box", "points": [[0, 0], [1, 1]], "ink": 1}]',
     '[{"kind": "box", "points": [[0, 0], [1, 1]], "width": "1"}]',
     '[{"kind": "box", "points": [[0, 0], [1, 1]], "colour": ["red"]}]', "[" * 100_000],
)  # fmt: skip
def test_json_that_is_wrong(text: str) -> None:
    with pytest.raises(CueError):
        from_json(text)


def test_files_and_lines_together(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(to_json([RING, RING]))
    assert read_cues([str(tmp_path / "a.json"), "box:0,0,1,1"], (9, 9)) == (RING, RING, Cue("box", ((0, 0), (1, 1))))


# --- drawing ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [64, 128])
def test_a_cue_is_drawn_as_the_world_draws_it(size: int) -> None:
    kinds = set()
    for seed in (*range(16), 37):
        pair = sample_pair(seed, "cue", size)
        scene = pair.reference_scenes[0]
        (mark,) = scene.cues
        x0, y0, x1, y1 = (v / 1000 for v in mark.box)
        cue = Cue(mark.kind, ((x0, y0), (x1, y1)), mark.colour)
        shown = draw(render(replace(scene, cues=()), size), [cue], size)
        assert shown.tobytes() == pair.references[0].tobytes()
        kinds.add(mark.kind)
    assert kinds == {"ellipse", "box", "arrow", "cross"}


@settings(max_examples=40, deadline=None)
@given(cues(), st.tuples(st.integers(24, 90), st.integers(24, 90)))
def test_drawing_leaves_the_picture_and_what_is_far_from_the_cue(cue: Cue, size: tuple[int, int]) -> None:
    picture = content(size)
    before = picture.tobytes()
    (settled,) = settle(picture, [cue], 64)
    shown = draw(picture, [settled])
    assert picture.tobytes() == before and shown.size == size
    changed = np.asarray(shown) != np.asarray(picture)
    assert changed.any()
    ys, xs = np.nonzero(changed.any(axis=2))
    reach = 3 * (settled.width or 0) * math.sqrt(size[0] * size[1]) + 2
    for axis, found in enumerate((xs, ys)):
        low, high = (f(p[axis] for p in cue.points) * size[axis] for f in (min, max))
        assert low - reach <= found.min() and found.max() <= high + reach


def test_an_arrow_points_the_way_it_was_drawn() -> None:
    picture = Image.new("RGB", (200, 200), "white")
    for end in ((0.9, 0.5), (0.5, 0.1), (0.2, 0.8)):
        shown = np.asarray(draw(picture, [Cue("arrow", ((0.5, 0.5), end), "black")]))
        ys, xs = np.nonzero(shown[..., 0] < 128)
        centre = np.array([xs.mean(), ys.mean()]) / 200
        toward_tip, toward_tail = np.hypot(*(centre - end)), np.hypot(*(centre - 0.5))
        assert toward_tip < toward_tail  # the head is the heavy part


@given(st.sampled_from(list(INKS)))
def test_a_chosen_colour_is_seen(ground: str) -> None:
    picture = Image.new("RGB", (40, 40), INKS[ground])
    first, second = settle(picture, [RING, RING])
    assert first.colour and second.colour and len({first.colour, second.colour, ground}) == 3
    assert all(math.dist(INKS[c], INKS[ground]) > 100 for c in (first.colour, second.colour))
    assert settle(picture, [replace(RING, colour=ground)])[0].colour == ground  # a wish is a wish


def test_lines_are_as_wide_as_in_training() -> None:
    assert line_width(64) * 64 == 1.75 and line_width(1024) == 0.022


def test_huge_pictures_are_drawn_on() -> None:
    picture = Image.new("RGB", (6000, 4000), "white")
    shown = draw(picture, [Cue("box", ((0.1, 0.1), (0.12, 0.12)), "red")])
    assert shown.getpixel((660, 400)) == INKS["red"] and shown.getpixel((3000, 2000)) == (255, 255, 255)


# --- is it gone? ------------------------------------------------------------------------------------------


def planted(kind: str) -> Cue:
    waves = tuple((0.2 + 0.06 * i, 0.5 + 0.2 * math.sin(i)) for i in range(10))
    points = {"scribble": waves, "arrow": ((0.2, 0.3), (0.6, 0.6))}.get(kind, ((0.25, 0.2), (0.7, 0.8)))
    return settle(content(), [Cue(kind, points)])[0]


@pytest.mark.parametrize("kind", KINDS)
def test_ink_is_found_at_its_strengths_and_not_where_it_is_not(kind: str) -> None:
    before, cue = content(), planted(kind)
    shown = draw(before, [cue])
    opacities = []
    for strength in (1.0, 0.7, 0.5, 0.0):
        (finding,) = gone(before, shown, mixed(before, shown, strength), [cue]).findings
        assert finding.verdict == ("left" if strength else "gone"), (strength, finding)
        assert finding.opacity is not None and finding.opacity == pytest.approx(strength, abs=0.15)
        opacities.append(finding.opacity)
    assert opacities == sorted(opacities, reverse=True)


@pytest.mark.parametrize("kind", ["ellipse", "box"])
@pytest.mark.parametrize("colour", ["navy", "white", "#f0a040", "black"])
def test_an_edit_below_the_cue_is_no_ink_and_hides_none(kind: str, colour: str) -> None:
    before, cue = content(), planted(kind)
    shown, edited = draw(before, [cue]), before.copy()
    ImageDraw.Draw(edited).rectangle((50, 10, 140, 110), colour)  # its border crosses the line
    clean = gone(before, shown, mixed(edited, edited, 0), [cue])
    assert clean.gone is True, clean
    assert gone(before, shown, draw(edited, [cue]), [cue]).gone is False


def other_ink(before: Image.Image, cue: Cue, change: str) -> Image.Image:
    """The cue laid over the picture in an ink that Pillow changed."""
    assert cue.colour
    swatch = Image.new("RGB", before.size, INKS[cue.colour])
    hue, saturation, value = swatch.convert("HSV").split()
    swatch = {
        "darkened": lambda: ImageEnhance.Brightness(swatch).enhance(0.3),
        "lightened": lambda: Image.blend(swatch, Image.new("RGB", before.size, "white"), 0.6),
        "grey": lambda: ImageEnhance.Color(ImageEnhance.Brightness(swatch).enhance(0.6)).enhance(0),
        "other hue": lambda: Image.merge("HSV", (hue.point(lambda v: (v + 140) % 256), saturation, value)).convert(
            "RGB"
        ),
    }.get(change, lambda: swatch)()
    line = draw(Image.new("RGB", before.size), [replace(cue, colour="white")]).getchannel("R").point(lambda v: v * 1.02)
    if change == "blurred":
        line = line.filter(ImageFilter.GaussianBlur(1))
    return Image.composite(swatch, before, line.point(lambda v: v / 2) if change == "half faded" else line)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("change", ["darkened", "lightened", "grey", "other hue", "half faded", "blurred"])
def test_a_line_in_another_colour_is_still_there(kind: str, change: str) -> None:
    before, cue = content(), planted(kind)
    result = mixed(other_ink(before, cue, change), before, 0)
    (finding,) = gone(before, draw(before, [cue]), result, [cue]).findings
    assert finding.verdict == "left" and finding.share is not None and finding.share > 0.6, finding


def test_a_line_of_the_pictures_own_is_no_cue() -> None:
    """An object has an outline just where the cue is drawn; it stays, fainter or a little stronger."""
    before, cue = content(), planted("ellipse")
    outlined = draw(before, [replace(cue, colour="white")])
    shown = draw(outlined, [replace(cue, colour="blue")])
    blue = [replace(cue, colour="blue")]
    assert gone(outlined, shown, mixed(outlined, before, 0), blue).gone is True
    night = ImageEnhance.Brightness(outlined).enhance(0.5)
    assert gone(outlined, shown, mixed(night, night, 0), blue).gone is True
    assert gone(outlined, shown, mixed(shown, shown, 0), blue).gone is False


def test_a_line_at_the_border_of_the_picture_is_told() -> None:
    """A box along the border has no outside on three of its sides."""
    before = content((128, 128))
    cue = settle(before, [Cue("box", ((0.004, 0.2), (0.996, 0.996)))], 64)[0]
    shown = draw(before, [cue])
    assert gone(before, shown, mixed(before, before, 0), [cue]).gone is True
    assert gone(before, shown, mixed(other_ink(before, cue, "darkened"), before, 0), [cue]).gone is False


def test_half_a_line_is_found() -> None:
    before, cue = content(), planted("ellipse")
    shown = draw(before, [cue])
    half = before.copy()
    half.paste(shown.crop((0, 0, 160, 48)))
    finding = gone(before, shown, half, [cue]).findings[0]
    assert finding.verdict == "left" and finding.share is not None and 0.2 < finding.share < 0.6
    assert "is not gone" in finding.sentence()


def test_what_cannot_be_told_is_said() -> None:
    red = Image.new("RGB", (80, 80), INKS["red"])
    cue = replace(planted("box"), colour="red")
    report = gone(red, draw(red, [cue]), red, [cue])
    assert report.gone is None and "its colour was there before" in report.findings[0].sentence()
    before = content()
    painted = gone(before, draw(before, [cue]), Image.new("RGB", before.size, INKS["red"]), [cue])
    assert painted.gone is None and painted.findings[0].share is None
    other_size = gone(before, draw(before, [cue]), before.resize((80, 60)), [cue])
    assert other_size.gone is None and "another size" in other_size.findings[0].reason
    with pytest.raises(CueError, match="give the same"):
        gone(before, red, before, [cue])


def test_every_cue_has_its_own_finding() -> None:
    before = content()
    two = settle(before, [Cue("ellipse", ((0.1, 0.1), (0.4, 0.5))), Cue("box", ((0.6, 0.5), (0.9, 0.9)))])
    report = gone(before, draw(before, two), draw(before, two[1:]), two)
    assert [f.verdict for f in report.findings] == ["gone", "left"]
    body = report.as_dict()
    assert body["gone"] is False and [c["name"] for c in body["cues"]] == ["red ellipse", "blue box"]


def test_the_truth_of_the_world_is_told() -> None:
    """Of 40 held-out pairs the target is clean and the reference is not."""
    wrong = 0
    for seed in range(40):
        pair = sample_pair(seed, "cue", 64, "test")
        scene = pair.reference_scenes[0]
        x0, y0, x1, y1 = (v / 1000 for v in scene.cues[0].box)
        cue = Cue(scene.cues[0].kind, ((x0, y0), (x1, y1)), scene.cues[0].colour, line_width(64))
        before = render(replace(scene, cues=()), 64)
        wrong += gone(before, pair.references[0], pair.target, [cue]).gone is False
        assert gone(before, pair.references[0], pair.references[0], [cue]).gone is False
    assert wrong <= 1


# --- in the pipeline --------------------------------------------------------------------------------------


def test_the_model_sees_the_cue_and_the_user_does_not(pipeline: Pipeline, photo: Image.Image) -> None:
    cue = Cue("box", ((0.1, 0.1), (0.6, 0.7)), "red")
    kept = photo.tobytes()
    plain = pipeline.edit(photo, "redder", steps=1)
    cued = pipeline.edit(photo, "redder", steps=1, cues=[cue])
    drawn = pipeline.edit(draw(photo, [cue], pipeline.resolution), "redder", steps=1)
    assert cued.images[0].tobytes() == drawn.images[0].tobytes() != plain.images[0].tobytes()
    assert photo.tobytes() == kept and cued.images[0].size == photo.size
    assert cued.metadata["cues"][0]["colour"] == "red" and "cues" not in plain.metadata


@pytest.mark.parametrize("mode", ["exact", "reference"])
def test_with_a_mask_no_ink_comes_back(pipeline: Pipeline, photo: Image.Image, mode: str) -> None:
    cue = Cue("box", ((0.05, 0.05), (0.4, 0.95)), "red")
    mask = Image.new("L", photo.size)
    mask.paste(255, (60, 10, 90, 50))
    common = {"steps": 2, "mask": mask, "mask_mode": mode}
    cued = pipeline.edit(photo, "x", cues=[cue], **common).images[0]
    plain = pipeline.edit(photo, "x", **common).images[0]
    outside = np.asarray(mask) == 0
    if mode == "exact":
        assert np.array_equal(np.asarray(cued)[outside], np.asarray(photo)[outside])
    else:  # the blended part is the picture's own latents, without the cue
        far = np.s_[:, :30]
        assert np.abs(np.asarray(cued, int)[far] - np.asarray(plain, int)[far]).mean() < 3


def test_position_orders_the_context(pipeline: Pipeline, photo: Image.Image) -> None:
    other = photo.transpose(Image.Transpose.ROTATE_180)
    swapped = pipeline.edit(photo, "x", references=[other], position=1, steps=1)
    straight = pipeline.edit(other, "x", references=[photo], steps=1)
    assert swapped.images[0].tobytes() == straight.images[0].tobytes()
    assert swapped.metadata["position"] == 1
    assert swapped.images[0].tobytes() != pipeline.edit(photo, "x", references=[other], steps=1).images[0].tobytes()
