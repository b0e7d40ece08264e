"""`inkontext eval alignment`: two pictures in, a table and a JSON file out."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data

from tests.cli.conftest import Cli

KEYS = {
    "shift_x", "shift_y", "scale", "rotation", "untouched_psnr", "quality", "overlap", "untouched_share", "reason",
    "untouched_reason", "whole_psnr", "outside_psnr", "outside_share", "size", "resized_from",
}  # fmt: skip


@pytest.fixture
def pictures(here: Path) -> Image.Image:
    """before.png, 120 x 90, and after.png, which shows what lies 4 pixels to the right and 3 up."""
    whole = Image.fromarray(data.coffee()).resize((140, 100), Image.Resampling.LANCZOS)
    whole.crop((5, 5, 125, 95)).save(here / "before.png")
    whole.crop((9, 2, 129, 92)).save(here / "after.png")
    return whole


def test_the_table_and_the_file(cli: Cli, here: Path, pictures: Image.Image) -> None:
    done = cli("eval", "alignment", "before.png", "after.png", "--json", "new/a.json")
    body = json.loads((here / "new/a.json").read_text())
    assert done.code == 0 and set(body) == KEYS
    assert (body["shift_x"], body["shift_y"]) == pytest.approx((-4, 3), abs=0.05)
    assert body["scale"] == pytest.approx(1, abs=0.001) and body["rotation"] == pytest.approx(0, abs=0.05)
    assert body["size"] == [120, 90] and body["resized_from"] is None and body["reason"] is None
    for shown in (f"{body['shift_x']:.3f}", f"{body['untouched_psnr']:.2f}", "counter-clockwise", "shift down"):
        assert shown in done.out
    again = cli("eval", "alignment", "before.png", "after.png", "--json", "b.json")
    assert again.out == done.out and (here / "b.json").read_bytes() == (here / "new/a.json").read_bytes()


def test_the_page_shows_both_pictures_and_where_they_differ(cli: Cli, here: Path, pictures: Image.Image) -> None:
    words = ("eval", "alignment", "before.png", "after.png")
    assert cli(*words, "--json", "a.json", "--out", "page").code == 0
    assert (here / "page/results.json").read_bytes() == (here / "a.json").read_bytes()
    page = (here / "page/report.html").read_text()
    assert all(f'src="pictures/{name}.png"' in page for name in ("before", "after", "difference"))
    before, after, shown = (
        np.asarray(Image.open(p).convert("RGB"), int)
        for p in (here / "before.png", here / "after.png", here / "page/pictures/difference.png")
    )
    np.testing.assert_array_equal(shown, np.minimum(4 * np.abs(before - after), 255))
    assert "cannot write into 'a.json'" in cli(*words, "--out", "a.json").complaint


def test_a_larger_picture_is_said_to_be_resized(cli: Cli, here: Path, pictures: Image.Image) -> None:
    Image.open(here / "before.png").resize((240, 180), Image.Resampling.BICUBIC).save(here / "large.png")
    done = cli("eval", "alignment", "before.png", "large.png", "--json", "a.json")
    body = json.loads((here / "a.json").read_text())
    assert "AFTER is 240x180 pixels and was resized to BEFORE's 120x90" in done.out
    assert body["resized_from"] == [240, 180]
    assert np.abs([body["shift_x"], body["shift_y"], body["rotation"]]).max() < 0.05


def test_what_is_missing_is_null_with_its_reason(cli: Cli, here: Path) -> None:
    Image.new("RGB", (64, 64), (80, 90, 100)).save(here / "flat.png")
    done = cli("eval", "alignment", "flat.png", "flat.png", "--json", "a.json")
    body = json.loads((here / "a.json").read_text())
    assert done.code == 0 and "no shift, scale, rotation: BEFORE has too little texture" in done.out and "—" in done.out
    assert body["shift_x"] is body["scale"] is body["rotation"] is None and "texture" in body["reason"]
    assert body["untouched_psnr"] == 99


@pytest.mark.parametrize(
    ("after", "json_file", "words"),
    [
        ("none.png", "a.json", "'none.png' does not exist"),
        ("text.png", "a.json", "'text.png' is not a picture"),
        ("half.png", "a.json", "damaged or cut short"),
        ("square.png", "a.json", "AFTER is 90x90 and BEFORE 120x90 pixels"),
        ("after.png", ".", "name a file in a folder"),
    ],
)
def test_mistakes(cli: Cli, here: Path, pictures: Image.Image, after: str, json_file: str, words: str) -> None:
    (here / "text.png").write_text("no picture")
    (here / "half.png").write_bytes((here / "after.png").read_bytes()[:900])
    pictures.crop((0, 0, 90, 90)).save(here / "square.png")
    done = cli("eval", "alignment", "before.png", after, "--json", json_file)
    assert done.code == 2 and words in done.complaint
    assert not done.out and not (here / "a.json").exists()
