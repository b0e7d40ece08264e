"""Planted motions against Pillow's and numpy's, and what is counted."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from benchmarks.planted import Motion, edited, errors_of, moved, planted
from PIL import Image

from inkontext.evaluation.alignment.measure import measure


def test_motions_are_numpys_and_pillows() -> None:
    before = planted(0, 64, 0, 0)[0]
    rolled = np.roll(before, (-4, 7), axis=(0, 1))
    assert np.abs(moved(before, Motion(7, -4, 1, 0)).astype(int) - rolled)[:-4, 7:].max() <= 1
    turned = np.asarray(Image.fromarray(before).rotate(90))  # counter-clockwise
    assert np.abs(moved(before, Motion(0, 0, 1, 90)).astype(int) - turned)[1:-1, 1:-1].max() <= 1


@pytest.mark.parametrize("kind", ["painted", "recoloured", "replaced"])
@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_an_edit_stays_within_its_share(kind: str, share: float) -> None:
    rng = np.random.default_rng(1)
    picture = rng.integers(256, size=(40, 40, 3), dtype=np.uint8)
    out = edited(picture, kind, share, 255 - picture, rng)
    changed = (out != picture).any(-1).mean()
    assert changed <= share and (changed > 0.95 * share or not share)


def test_errors_are_pixels_per_cent_and_degrees() -> None:
    picture = planted(0, 64, 0, 0)[0]
    found = replace(measure(picture, picture), shift_x=1.5, shift_y=-2.0, scale=1.02, rotation=3.0)
    assert errors_of(found, Motion(1.4, -2.3, 1.0, 3.5)) == pytest.approx((0.3, 2.0, 0.5))
    assert errors_of(replace(found, scale=None), Motion(0, 0, 1, 0)) is None


def test_draws_differ_by_number_and_seed_and_repeat() -> None:
    drawn = [planted(*which)[2] for which in ((0, 32, 0.1, 0), (1, 32, 0.1, 0), (0, 32, 0.1, 1), (0, 32, 0.1, 0))]
    assert len(set(drawn)) == 3 and drawn[0] == drawn[3]


def test_an_edit_that_draws_the_first_fit_a_pixel_away_is_overcome() -> None:
    before, after, motion = planted(13, 64, 0.3, 0)  # three spires of four are painted over
    error = errors_of(measure(before, after), motion)
    assert error is not None and error[0] <= 0.05 and error[1] <= 0.1 and error[2] <= 0.05


def test_the_command_counts_what_is_outside(tmp_path: Path) -> None:
    words = ["--planted", "4", "--size", "64", "--json", str(tmp_path / "row.json")]
    subprocess.run([sys.executable, "-m", "benchmarks.alignment", *words], check=True, capture_output=True)
    (row,) = json.loads((tmp_path / "row.json").read_text())["rows"]
    errors = []
    for n in range(4):
        before, after, motion = planted(n, 64, 0.15, 0)
        error = errors_of(measure(before, after), motion)
        errors += [] if error is None else [error]
    outside = sum(px > 0.05 or scale > 0.1 or turn > 0.05 for px, scale, turn in errors)
    assert (row["pictures"], row["measured"], row["of these outside"]) == (4, len(errors), outside)
    assert row["measured"] >= 3


def test_a_wrong_share_is_refused() -> None:
    words = [sys.executable, "-m", "benchmarks.alignment", "--planted", "2", "--share", "1.5"]
    ended = subprocess.run(words, capture_output=True, text=True, check=False)
    assert ended.returncode == 2 and "--share from 0 to 1" in ended.stderr
