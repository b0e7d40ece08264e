"""Strokes and shapes of the page as masks and cues."""

from __future__ import annotations

import json

import numpy as np
import pytest

from inkontext.cues import Cue
from inkontext.errors import CueError, MaskError
from inkontext.server.ui.marks import read_marks

SIZE = (200, 100)


def strokes(*rows: dict) -> str:
    return json.dumps({"strokes": list(rows), "cues": []})


def line(*points: tuple[float, float], width: float = 0.1, erase: bool = False) -> dict:
    return {"erase": erase, "width": width, "points": [list(p) for p in points]}


def test_nothing_drawn_is_no_mask_and_no_cue() -> None:
    for drawn in ("", "{}", json.dumps({"strokes": [], "cues": []})):
        marks = read_marks(drawn, " \n ", SIZE)
        assert marks.mask is None
        assert marks.cues == ()


def test_a_stroke_covers_its_width_around_its_line_and_no_more() -> None:
    mask = read_marks(strokes(line((0.25, 0.5), (0.75, 0.5))), "", SIZE).mask
    assert mask is not None
    assert mask.size == SIZE
    pixels = np.asarray(mask)
    assert set(np.unique(pixels)) == {0, 255}
    y, x = np.mgrid[0:100, 0:200] + 0.5
    distance = np.hypot(x - np.clip(x, 50, 150), y - 50)
    assert (pixels[distance < 9] == 255).all()
    assert (pixels[distance > 11.5] == 0).all()


def test_a_dab_is_a_disc() -> None:
    pixels = np.asarray(read_marks(strokes(line((0.5, 0.5))), "", SIZE).mask)
    assert abs(float((pixels > 0).sum()) - np.pi * 100) < 45  # radius 10


def test_erasing_takes_away_only_what_was_painted_before_it() -> None:
    rows = [line((0.1, 0.5), (0.9, 0.5)), line((0.5, 0.5), erase=True), line((0.5, 0.2))]
    pixels = np.asarray(read_marks(strokes(*rows), "", SIZE).mask)
    assert pixels[50, 100] == 0
    assert pixels[20, 100] == 255
    assert pixels[50, 30] == 255


def test_a_stroke_over_the_edge_is_cut_there() -> None:
    pixels = np.asarray(read_marks(strokes(line((-0.1, 0.5), (0.1, 0.5))), "", SIZE).mask)
    assert pixels[50, 0] == 255
    assert pixels[50, 60] == 0


def test_shapes_and_words_are_cues_in_their_order() -> None:
    drawn = json.dumps({"cues": [{"kind": "box", "points": [[0.1, 0.2], [0.5, 0.6]], "colour": "red"}]})
    marks = read_marks(drawn, "arrow:0.1,0.1,0.5,0.5\nellipse:50,25,50,50px,blue", SIZE)
    assert marks.mask is None
    assert marks.cues == (
        Cue("box", ((0.1, 0.2), (0.5, 0.6)), "red"),
        Cue("arrow", ((0.1, 0.1), (0.5, 0.5))),
        Cue("ellipse", ((0.25, 0.25), (0.5, 0.75)), "blue"),
    )


@pytest.mark.parametrize(
    ("drawn", "written", "error", "word"),
    [
        ("no json", "", MaskError, "clear"),
        ("[1]", "", MaskError, "clear"),
        ("[" * 100_000, "", MaskError, "clear"),
        ('{"strokes": 3}', "", MaskError, "clear"),
        (strokes({"points": [[0, 0]]}), "", MaskError, "clear"),
        (strokes(line((0.5, 9.0))), "", MaskError, "clear"),
        (strokes(line((0.5, float("nan")))), "", MaskError, "clear"),
        (strokes(line(width=0.1)), "", MaskError, "clear"),
        (strokes(line((0.5, 0.5)), line((0.5, 0.5), width=0.9, erase=True)), "", MaskError, "nothing is left"),
        ("", "ellipse:0.9,0.9,0.5,0.5", CueError, "outside the picture"),
        ("", "circle:1,2", CueError, "not understood"),
        ('{"cues": [{"kind": "box", "points": [[0, 0], [3, 3]]}]}', "", CueError, "outside the picture"),
    ],
)
def test_what_cannot_be_read_is_refused_in_a_sentence(
    drawn: str, written: str, error: type[Exception], word: str
) -> None:
    with pytest.raises(error) as caught:
        read_marks(drawn, written, SIZE)
    assert word in str(caught.value)
    assert "\n" not in str(caught.value)
