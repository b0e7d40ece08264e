"""The suite's parts on a small bench: what they write, and that a killed one gives the same bytes."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from benchmarks.suite import commands, digests, fixture
from benchmarks.suite_parts import PARTS, WORTH, alignment, identity, preference
from PIL import Image

ROWS = 12


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fixture(tmp_path_factory.mktemp("bench"), ROWS, 64)


@pytest.fixture(scope="module")
def edited(bench: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Edits that moved the picture by 2 pixels to the right."""
    folder = tmp_path_factory.mktemp("edited")
    (folder / "outputs").mkdir()
    for path in (bench / "test/images").glob("*.png"):
        Image.fromarray(np.roll(np.asarray(Image.open(path)), 2, axis=1)).save(folder / "outputs" / path.name)
    return folder


def test_identity_is_the_cosine_of_the_thumbnails(bench: Path, edited: Path, tmp_path: Path) -> None:
    identity(bench, edited, tmp_path / "identity")
    body = json.loads((tmp_path / "identity/results.json").read_text())
    assert len(body["rows"]) == ROWS and not body["problems"]
    key = body["rows"][0]["key"]
    a, b = (
        np.asarray(Image.open(p / f"{key}.png").convert("RGB"), float).reshape(8, 8, 8, 8, 3).mean((1, 3))
        for p in (bench / "test/images", edited / "outputs")
    )
    expected = np.corrcoef(a.ravel(), b.ravel())[0, 1]
    assert body["rows"][0]["scores"]["own"] == pytest.approx(expected, abs=0.01)


def test_alignment_finds_the_shift(bench: Path, edited: Path, tmp_path: Path) -> None:
    alignment(bench, edited, tmp_path / "alignment")
    found = [json.loads(p.read_text()) for p in sorted((tmp_path / "alignment").glob("*.json")) if p.stem.isdigit()]
    measured = [f["shift_x"] for f in found if f["shift_x"] is not None]
    assert len(found) == 8 and len(measured) >= 6
    assert np.median(measured) == pytest.approx(2, abs=0.05)
    assert (tmp_path / "alignment/report.html").is_file()


def test_ratings_follow_the_worth_that_the_votes_were_drawn_by(bench: Path, edited: Path, tmp_path: Path) -> None:
    pytest.importorskip("evalica")
    preference(bench, edited, tmp_path / "preference")
    body = json.loads((tmp_path / "preference/results.json").read_text())
    rated = {name: figures["bradley_terry"] for name, figures in body["overall"]["systems"].items()}
    assert sorted(rated, key=rated.__getitem__) == sorted(WORTH, key=WORTH.__getitem__)
    # a share of ties pulls the odds of 4 to 1 together: p = 0.1 / 2 + 0.9 * 0.8
    expected = 400 * math.log10(0.77 / 0.23)
    assert rated["target"] - rated["input"] == pytest.approx(expected, abs=80)
    assert not any(rater["dropped"] for rater in body["raters"])


@pytest.mark.parametrize("name", PARTS)
def test_a_part_that_ran_twice_or_was_broken_off_gives_the_same_bytes(
    name: str, bench: Path, edited: Path, tmp_path: Path
) -> None:
    if name == "preference":
        pytest.importorskip("evalica")
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    PARTS[name](bench, edited, whole / name)
    shutil.copytree(whole / name, broken / name)
    left = broken / name / ".study.half"
    left.mkdir()
    (left / "page").write_text("half")
    (broken / name / "report.html").unlink()
    PARTS[name](bench, edited, broken / name)
    assert digests(whole) and digests(broken) == digests(whole)


def test_a_missing_picture_ends_with_one_sentence(bench: Path, tmp_path: Path) -> None:
    words = [sys.executable, "-m", "benchmarks.suite_parts", "identity", bench, tmp_path / "none", tmp_path / "out"]
    ended = subprocess.run(list(map(str, words)), capture_output=True, text=True, check=False)
    assert ended.returncode == 1 and ended.stderr.startswith("identity: there is no folder")
    assert len(ended.stderr.splitlines()) == 1 and not (tmp_path / "out").exists()


def test_the_suite_has_every_evaluation(tmp_path: Path) -> None:
    from inkontext.cli.eval import app

    names = {c.name for c in app.registered_commands} | {group.name for group in app.registered_groups}
    run = commands("tiny", tmp_path / "data", ROWS, None, tmp_path / "out")
    assert {name.partition("-")[0] for name in run} == names
    order = list(run)
    assert all(order.index("kontextbench") < order.index(name) for name in PARTS)
