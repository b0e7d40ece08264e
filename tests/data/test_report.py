"""The figures of a report on pairs whose faults are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.data.conftest import painted, save, write_lines

from inkontext.data.make import Order, make
from inkontext.data.report import compare, perceptual_hash, phase_shift, report


def textured(size: int = 128, dx: float = 0.0, dy: float = 0.0) -> Image.Image:
    """Sums of waves, so that a picture shifted by any fraction of a pixel is known exactly."""
    y, x = np.mgrid[0:size, 0:size].astype(float)
    rng = np.random.default_rng(4)
    channels = np.zeros((size, size, 3))
    for _ in range(40):
        fx, fy, phase = rng.uniform(-0.12, 0.12), rng.uniform(-0.12, 0.12), rng.uniform(0, 6.3, 3)
        channels += np.cos(2 * np.pi * (fx * (x - dx) + fy * (y - dy)))[..., None] * np.cos(phase) * 9
    return Image.fromarray(np.clip(channels + 128, 0, 255).round().astype(np.uint8))


@pytest.mark.parametrize(("dx", "dy"), [(0, 0), (0.5, 0), (0.3, -0.7), (2, 1), (-3.25, 4.5)])
def test_shift_is_measured_below_a_pixel(dx: float, dy: float) -> None:
    _, shift, _ = compare(textured(128, dx, dy), [textured()])
    assert shift == pytest.approx(np.hypot(dx, dy), abs=0.05)


def test_phase_correlation_finds_whole_pixels() -> None:
    grey = np.asarray(textured().convert("L"), dtype=float)
    assert phase_shift(grey, np.roll(grey, (3, -5), (0, 1))).tolist() == [3, -5]
    assert phase_shift(np.zeros((16, 16)), np.zeros((16, 16))).tolist() == [0, 0]


def test_a_thing_that_moved_is_no_shift() -> None:
    before, after = textured(), textured()
    before.paste((255, 0, 0), (10, 10, 40, 40))
    after.paste((255, 0, 0), (60, 60, 90, 90))
    changed, shift, psnr = compare(after, [before])
    assert changed == pytest.approx(2 * 900 / 128**2, rel=0.15)
    assert (shift, psnr) == (0.0, 99.0)


def test_noise_outside_shows_in_the_psnr() -> None:
    before = textured()
    noise = np.random.default_rng(0).normal(0, 4, (128, 128, 3))
    after = np.clip(np.asarray(before) + noise, 0, 255).astype(np.uint8)
    after[20:50, 20:50] = 255 - after[20:50, 20:50]
    _, shift, psnr = compare(Image.fromarray(after), [painted((64, 64)), before])
    assert psnr == pytest.approx(20 * np.log10(255 / 4), abs=0.3) and shift == 0


def test_hash_survives_scaling_and_tells_colours_apart() -> None:
    picture = painted((96, 96), 3)
    bits = np.unpackbits(np.frombuffer(perceptual_hash(picture), np.uint8)).astype(int)
    smaller = np.unpackbits(np.frombuffer(perceptual_hash(picture.resize((64, 64))), np.uint8)).astype(int)
    other = np.unpackbits(np.frombuffer(perceptual_hash(painted((96, 96), 4)), np.uint8)).astype(int)
    assert np.abs(bits - smaller).mean() < 0.02 < 0.2 < np.abs(bits - other).mean()
    flipped = Image.merge("RGB", picture.split()[::-1])
    assert perceptual_hash(flipped) != perceptual_hash(picture)


def test_report_names_what_is_wrong(tmp_path: Path) -> None:
    save(textured(), tmp_path / "a.png")
    save(textured(128, 2.0), tmp_path / "moved.png")
    save(painted((128, 128), 1), tmp_path / "b.png")
    base = {"reference": "a.png", "category": "x"}
    rows = [
        base | {"target": "moved.png", "instruction": "make it red", "key": "moved"},
        base | {"target": "a.png", "instruction": "one two three four", "key": "same"},
        base | {"target": "a.png", "instruction": "One two THREE four", "key": "twice"},
        {"target": "b.png", "instruction": "a caption", "key": "t2i"},
    ]
    write_lines(tmp_path / "metadata.jsonl", rows)
    body = report(tmp_path)
    assert body["moved"] == ["moved"] and body["unchanged"] == ["same", "twice"]
    assert body["duplicates"] == [["same", "twice"]]
    figures = body["by_category"]["x"]
    assert (figures["rows"], figures["moved_rows"], figures["unchanged_rows"], figures["duplicates"]) == (3, 1, 2, 1)
    assert figures["words"] == 4 and body["by_category"]["(none)"]["changed"] is None
    assert report(tmp_path, limit=1)["all"]["rows"] == 1


def test_the_world_is_aligned(tmp_path: Path) -> None:
    make(tmp_path, Order(24, 64, "shards", ("local", "text", "cue")))
    body = report(tmp_path)
    assert body["all"]["moved_rows"] == 0 and body["all"]["unchanged_rows"] == 0
    assert body["all"]["psnr_outside"] > 60 and 0 < body["all"]["changed"] < 0.4
