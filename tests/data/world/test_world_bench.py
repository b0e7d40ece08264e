"""The bench: KontextBench's layout and counts, rebuilt from its seeds."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from inkontext.data.world import sheet, speed
from inkontext.data.world.bench import BASES, CATEGORIES, read_bench, rebuild, rows, write_bench
from inkontext.data.world.score import score
from inkontext.errors import OptionError


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bench") / "b"
    assert write_bench(folder, seed=3, size=32) == 1026
    return folder


def test_layout_and_counts(bench: Path) -> None:
    table = read_bench(bench)
    counts = Counter(row["category"] for row in table)
    assert counts == {
        "Instruction Editing - Local": 416,
        "Instruction Editing - Global": 262,
        "Character Reference": 193,
        "Text Editing": 92,
        "Style Reference": 63,
    }
    assert len(table) == 1026
    assert {row["image_idx"] for row in table} == set(range(108))
    assert len({(row["image_idx"], row["prompt_idx"]) for row in table}) == 1026
    for row in table[::50]:
        assert (bench / "test" / row["file_name"]).is_file()
        assert (bench / "targets" / f"{row['key']}.png").is_file()
        assert (bench / "masks" / f"{row['key']}.png").is_file()


def test_one_base_is_one_picture(bench: Path) -> None:
    first: dict[int, bytes] = {}
    for row in read_bench(bench):
        picture = Image.open(bench / "test" / row["file_name"]).tobytes()
        assert first.setdefault(row["image_idx"], picture) == picture


def test_rows_are_rebuilt_and_scored(bench: Path) -> None:
    for row in read_bench(bench)[::60]:
        pair = rebuild(row)
        assert pair.instruction == row["instruction"]
        target = Image.open(bench / "targets" / f"{row['key']}.png")
        assert target.tobytes() == pair.target.tobytes()
        assert score(pair, target).success
        assert not score(pair, pair.references[0]).success


def test_bytes_are_fixed(bench: Path, tmp_path: Path) -> None:
    write_bench(tmp_path / "again", seed=3, size=32)
    for path in sorted(bench.rglob("*"))[::40]:
        if path.is_file():
            assert (tmp_path / "again" / path.relative_to(bench)).read_bytes() == path.read_bytes()


def test_the_plan_is_even() -> None:
    plan = rows(0)
    assert sum(BASES.values()) == 108
    assert sum(count for _, count in CATEGORIES.values()) == 1026
    per_base = Counter(row.image_idx for row in plan)
    assert min(per_base.values()) >= 5
    assert max(per_base.values()) <= 18


def test_mistakes_are_told(bench: Path, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="not empty"):
        write_bench(bench)
    with pytest.raises(OptionError, match="write the bench"):
        read_bench(tmp_path / "none")


def test_small_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sheet.main([str(tmp_path / "s.png"), "--count", "3", "--size", "48", "--task", "multi"])
    assert Image.open(tmp_path / "s.png").width > 300
    speed.main(["--size", "32", "--count", "6"])
    assert "pairs/s" in capsys.readouterr().out
