"""What a check names, and what it lets pass."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.data.conftest import painted, save, write_lines

from inkontext.data.check import check
from inkontext.data.pairs import PairSource
from inkontext.data.stream import Mixture, batches
from inkontext.errors import DataError


def kinds(folder: Path, **options) -> list[str]:
    return [problem.kind for problem in check(folder, 64, **options).problems]


def test_a_sound_set(mixed: Path) -> None:
    checked = check(mixed, 64)
    assert checked.rows == 12 and checked.references == {0: 3, 1: 6, 2: 3}
    assert {problem.kind for problem in checked.problems} == {"sizes differ"} and not checked.fatal
    assert checked.layouts[((80, 48), (64, 64))] == 2
    checked.require()
    assert json.loads(json.dumps(checked.as_dict()))["ok"] is True


def test_a_cut_picture_is_found_by_decoding_alone(mixed: Path) -> None:
    path = mixed / "pictures/square-1-0.png"
    path.write_bytes(path.read_bytes()[:200])
    assert "broken picture" not in kinds(mixed, decode=False)
    checked = check(mixed, 64)
    (problem,) = checked.fatal
    assert problem.kind == "broken picture" and "pictures/square-1-0.png" in problem.detail
    with pytest.raises(DataError, match="1 problem that would stop training, the first: broken picture"):
        checked.require()


def test_every_kind_of_problem(tmp_path: Path) -> None:
    save(painted((64, 64)), tmp_path / "a.png")
    save(painted((16, 16)), tmp_path / "small.png")
    save(painted((640, 64)), tmp_path / "long.png")
    (tmp_path / "fake.png").write_bytes(b"GIF89a and no more")
    (tmp_path / "empty.png").write_bytes(b"")
    save(Image.new("L", (32, 32)), tmp_path / "mask.png")
    rows = [
        {"target": "a.png", "instruction": "x", "key": "1"},
        {"target": "a.png", "instruction": "x", "key": "1"},
        {"target": "a.png", "instruction": " ", "key": "2"},
        {"target": "a.png", "key": "3"},
        {"target": "a.png", "instruction": "x", "key": "4", "mask": "mask.png"},
        {"target": "a.png", "instruction": "x", "key": "5", "reference": "gone.png"},
        {"target": "small.png", "instruction": "x", "key": "6"},
        {"target": "long.png", "instruction": "x", "key": "7"},
        {"target": "a.png", "instruction": "x", "key": "8", "reference": "small.png"},
        {"target": "fake.png", "instruction": "x", "key": "9"},
        {"target": "empty.png", "instruction": "x", "key": "10"},
        {"target": "a.png", "instruction": "x", "key": "11", "mask": "gone.png"},
    ]
    write_lines(tmp_path / "metadata.jsonl", rows)
    found = {(problem.kind, problem.name) for problem in check(tmp_path, 64).problems}
    assert found == {
        ("duplicate key", "metadata.jsonl:2"), ("empty instruction", "2"), ("no instruction", "3"),
        ("mask of another size", "4"), ("missing file", "5"), ("too small", "small.png"),
        ("extreme shape", "long.png"), ("sizes differ", "8"), ("broken picture", "9"), ("broken picture", "10"),
        ("missing file", "11"),
    }  # fmt: skip


def test_an_empty_set_is_no_success(tmp_path: Path) -> None:
    write_lines(tmp_path / "metadata.jsonl", [])
    with pytest.raises(DataError, match="holds no rows"):
        check(tmp_path, 64).require()


def test_pictures_of_any_number_of_channels_share_a_batch(tmp_path: Path) -> None:
    colour = painted((64, 64))
    kinds = {
        "grey.png": colour.convert("L"), "grey-alpha.png": colour.convert("LA"), "palette.png": colour.convert("P"),
        "alpha.png": colour.convert("RGBA"), "press.jpg": colour.convert("CMYK"), "bits.png": colour.convert("1"),
        "deep.png": Image.fromarray(np.full((64, 64), 40_000, np.uint16)), "colour.webp": colour,
    }  # fmt: skip
    for name, picture in kinds.items():
        save(picture, tmp_path / name)
    names = list(kinds)
    rows = [
        {"target": name, "references": [names[n - 1]], "instruction": name, "key": name} for n, name in enumerate(names)
    ]
    write_lines(tmp_path / "metadata.jsonl", rows)
    checked = check(tmp_path, 64)
    assert checked.problems == [] and checked.rows == 8
    (group,) = next(batches(Mixture([(PairSource(tmp_path, 64), None, 1.0)]), 0, 8))
    assert group.target.shape == group.references[0].shape == (8, 64, 64, 3)
    deep = PairSource(tmp_path, 64).load(names.index("deep.png")).target
    assert np.ptp(deep) == 0 and abs(int(deep[0, 0, 0]) - 40_000 / 257) <= 1
