"""Drawing: dice, fonts, shapes, styles and weather, each by itself."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest

from inkontext.data.world.dice import Dice
from inkontext.data.world.glyphs import SKELETONS
from inkontext.data.world.identity import draw_identity
from inkontext.data.world.lettering import FONTS, line_mask, text_width
from inkontext.data.world.palette import COLOURS
from inkontext.data.world.places import PLACES
from inkontext.data.world.render import render
from inkontext.data.world.scene import PATTERNS, Background, Figure, Paint, Scene, Shape
from inkontext.data.world.shapes import FORMS
from inkontext.data.world.styles import STYLES
from inkontext.data.world.weather import ADJUSTS, WEATHERS


def pixels(scene: Scene, size: int = 64) -> np.ndarray:
    return np.asarray(render(scene, size), dtype=np.int16)


def test_dice_are_fixed_and_fair() -> None:
    dice, same = Dice(1, 2), Dice(1, 2)
    assert [dice.below(1000) for _ in range(9)] == [same.below(1000) for _ in range(9)]
    rolls = [dice.between(1, 6) for _ in range(6000)]
    assert set(rolls) == {1, 2, 3, 4, 5, 6}
    assert all(800 < rolls.count(face) < 1200 for face in range(1, 7))
    drawn = [dice.weighted({"a": 3, "b": 1}) for _ in range(4000)]
    assert 2800 < drawn.count("a") < 3200
    assert sorted(dice.shuffled(range(9))) == list(range(9))


@pytest.mark.parametrize("font", FONTS)
def test_every_letter_of_every_font_has_ink_of_its_own(font: str) -> None:
    masks = {c: np.asarray(line_mask(c, font, 18)) for c in SKELETONS}
    assert all(m.max() > 100 for m in masks.values())
    assert len({m.tobytes() + bytes(str(m.shape), "ascii") for m in masks.values()}) == len(SKELETONS)
    for char, mask in masks.items():
        assert mask[:, -1].max() < 128, char  # nothing is cut off at the right


def test_fonts_can_be_told_apart() -> None:
    for one, other in combinations(FONTS, 2):
        a, b = (np.asarray(line_mask("HOUSE", f, 24), dtype=np.int16) for f in (one, other))
        wide = min(a.shape[1], b.shape[1])
        assert np.abs(a[:, :wide] - b[:, :wide]).mean() > 12, (one, other)


def test_text_width_is_that_of_the_ink() -> None:
    for font in FONTS:
        mask = np.asarray(line_mask("WATER", font, 36))
        columns = np.flatnonzero(mask.max(axis=0) > 128)
        ink = columns[-1] - columns[0]
        assert abs(ink - text_width("WATER", font) * 36 / 1000) < 18, font


@pytest.mark.parametrize("what", ["forms", "patterns", "colours"])
def test_shapes_are_distinct(what: str) -> None:
    variants = {
        "forms": [Shape(1, 500, 500, 300, form, Paint("red")) for form in FORMS],
        "patterns": [Shape(1, 500, 500, 300, "circle", Paint("blue", p)) for p in PATTERNS],
        "colours": [Shape(1, 500, 500, 300, "circle", Paint(c)) for c in COLOURS],
    }[what]
    drawn = [pixels(Scene(Background("plain", "yellow"), (shape,))) for shape in variants]
    for a, b in combinations(drawn, 2):
        assert np.count_nonzero(np.abs(a - b).max(axis=-1) > 16) > 40


def everything(style: str = "flat", colour: str = "red") -> Scene:
    figure = Figure(1, 300, 640, 220, draw_identity(Dice(4), "train"))
    return Scene(Background("hills"), (figure, Shape(2, 740, 300, 130, "star", Paint(colour))), style=style)


def test_styles_weather_and_adjustments_are_distinct() -> None:
    assert len(STYLES) >= 9
    plain = everything()
    drawn = [pixels(everything(style)) for style in STYLES]
    drawn += [pixels(replace(plain, weather=w)) for w in WEATHERS[1:]]
    drawn += [pixels(replace(plain, adjust=a)) for a in ADJUSTS[1:]]
    for a, b in combinations(drawn, 2):
        assert np.abs(a - b).mean() > 4


@pytest.mark.parametrize("style", STYLES)
def test_a_style_is_local(style: str) -> None:
    """Recolouring the star leaves the far side of the picture as it was."""
    a, b = pixels(everything(style, "red"), 128), pixels(everything(style, "navy"), 128)
    assert np.array_equal(a[:, :64], b[:, :64])
    assert np.array_equal(a[80:], b[80:])


@pytest.mark.parametrize("place", PLACES)
def test_places_have_light_and_variants(place: str) -> None:
    day, other = (pixels(Scene(Background(place, variant=v))) for v in (0, 1))
    assert np.abs(day - other).mean() > 0.5
    if place != "space":
        assert np.abs(day - pixels(Scene(Background(place), light="night"))).mean() > 30


def test_sizes_agree() -> None:
    """A picture drawn large and reduced is nearly the picture drawn small."""
    large = np.asarray(render(everything(), 256).reduce(4), dtype=np.int16)
    assert np.abs(large - pixels(everything(), 64)).mean() < 6
