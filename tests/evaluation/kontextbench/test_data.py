"""KontextBench's rows: counts, what is wrong with them, choosing, shards."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
from huggingface_hub.errors import LocalEntryNotFoundError

from inkontext.data.world.bench import write_bench
from inkontext.errors import DataError, OptionError
from inkontext.evaluation.kontextbench.data import Item, Selection, Shard, open_bench
from tests.evaluation.kontextbench.fixture import ROWS, lines_of, small_bench, write_lines


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """A copy to spoil."""
    return shutil.copytree(made, tmp_path / "bench")


def test_the_worlds_bench_is_read_and_its_counts_compared(made: Path) -> None:
    bench = open_bench(str(made))
    assert [item.key for item in bench.items] == [f"{n:04d}" for n in ROWS]
    assert bench.counts == {"local": 3, "global": 2, "character": 2, "text": 4, "style": 1}
    assert bench.problems == ()
    assert len(bench.differences()) == 6
    assert "Instruction Editing - Local: 3 rows, published 416" in bench.differences()
    assert f"base images: {bench.base_images}, published 108" in bench.differences()
    assert all(item.file.is_file() for item in bench.items)


def test_part_of_the_worlds_bench_has_the_rows_of_the_whole(made: Path, tmp_path: Path) -> None:
    few = lines_of(small_bench(tmp_path / "more"))
    write_bench(tmp_path / "one", seed=3, size=32, only=[ROWS[4]])
    assert lines_of(tmp_path / "one") == [few[4]] and few == lines_of(made)


def test_the_published_counts_differ_in_nothing(folder: Path) -> None:
    row = lines_of(folder)[0]
    labels = {"Instruction Editing - Local": 416, "Instruction Editing - Global": 262, "Text Editing": 92,
              "Style Reference": 63, "Character Reference": 193}  # fmt: skip
    every = [label for label, count in labels.items() for _ in range(count)]
    write_lines(folder, [row | {"key": n, "category": c, "image_idx": n % 108} for n, c in enumerate(every)])
    bench = open_bench(str(folder))
    assert bench.differences() == [] and bench.base_images == 108 and len(bench.items) == 1026


def test_metadata_may_lie_at_the_top(folder: Path) -> None:
    there = open_bench(str(folder))
    assert open_bench(str(folder / "test")) == there


def test_what_is_wrong_is_named_and_the_rest_is_used(folder: Path) -> None:
    rows = lines_of(folder)
    (folder / "test" / rows[1]["file_name"]).unlink()
    nameless = {name: value for name, value in rows[5].items() if name != "key"}
    write_lines(
        folder,
        [*rows[:3], rows[0] | {"instruction": "again"}, rows[4] | {"key": "../../etc"}, nameless, "[1]", '{"key": "00',
         rows[5] | {"key": "mood", "category": "Moods"}, rows[6] | {"key": "mute", "instruction": " "},
         rows[7] | {"key": "out", "file_name": "../secret.png"}, rows[8] | {"key": "unnumbered", "image_idx": None}],
    )  # fmt: skip
    bench = open_bench(str(folder))
    assert [item.key for item in bench.items] == ["0000", "0001", "0002", "unnumbered"]
    found = {(p.kind, p.name): p.detail for p in bench.problems}
    assert found["missing picture", "0001"] == rows[1]["file_name"]
    assert found["duplicate key", "0000"] == "line 4, first on line 1; left out"
    assert found["bad row", "line 5"] == "key '../../etc' cannot name a file"
    assert found["bad row", "line 6"] == "no key" and found["bad row", "line 7"] == "no object"
    assert found["damaged line", "line 8"] and found["unknown category", "mood"] == "Moods"
    assert found["bad row", "mute"] == "no instruction" and "leaves the folder" in found["bad row", "out"]
    assert ("no image_idx", "unnumbered") in found
    missing = [p.name for p in bench.problems if p.kind == "missing category"]
    assert missing == ["Instruction Editing - Global", "Character Reference", "Style Reference"]
    assert len(bench.problems) == 13


def test_the_digest_knows_words_and_pictures_and_no_path(made: Path, folder: Path) -> None:
    digest = open_bench(str(made)).digest
    assert open_bench(str(folder)).digest == digest
    rows = lines_of(folder)
    picture = folder / "test" / rows[0]["file_name"]
    whole = picture.read_bytes()
    picture.write_bytes(whole[:-1])
    assert open_bench(str(folder)).digest != digest
    picture.write_bytes(whole)
    write_lines(folder, [rows[0] | {"instruction": "else"}, *rows[1:]])
    assert open_bench(str(folder)).digest != digest


@pytest.mark.parametrize(
    ("text", "words"),
    [(None, "neither test/metadata.jsonl"), ("", "no usable row"), ("frog\n", "no usable row; line 1: is not valid J")],
)
def test_folders_that_hold_nothing(text: str | None, words: str, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / "metadata.jsonl").write_text(text)
    with pytest.raises(DataError, match=words):
        open_bench(str(tmp_path))


def test_bytes_that_are_no_text_and_names_that_are_no_folder(tmp_path: Path) -> None:
    (tmp_path / "metadata.jsonl").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="cannot be read"):
        open_bench(str(tmp_path))
    with pytest.raises(DataError, match="there is no folder"):
        open_bench(str(tmp_path / "none"))


def test_a_hub_id_is_fetched_or_the_failure_is_told(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Any] = {}

    def fetch(repo: str, **options: Any) -> str:
        asked.update(options, repo=repo)
        return str(made)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fetch)
    assert len(open_bench("owner/kontext").items) == 12
    assert (asked["repo"], asked["repo_type"]) == ("owner/kontext", "dataset")

    def fail(*_: object, **__: object) -> str:
        raise LocalEntryNotFoundError("no connection\nlong story")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fail)
    with pytest.raises(DataError, match=r"cannot be downloaded \(no connection\); check the network, or give") as told:
        open_bench("owner/kontext")
    assert "long story" not in str(told.value)


def test_a_limit_keeps_the_proportions_and_the_order(made: Path) -> None:
    bench = open_bench(str(made))
    assert Selection().of(bench) == list(bench.items)
    few = Selection(limit=6).of(bench)
    assert Counter(i.category for i in few) == {"local": 1, "global": 1, "character": 1, "text": 2, "style": 1}
    assert [i.key for i in few] == sorted(i.key for i in few)
    assert {i.category for i in Selection(("text", "style")).of(bench)} == {"text", "style"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [((("local", "dance"),), "no category 'dance'"), (((),), "each category once"), ((("text", "text"),), "once"),
     ((("text",), 0), "limit is 0")],
)  # fmt: skip
def test_impossible_selections(arguments: tuple[Any, ...], words: str) -> None:
    with pytest.raises(OptionError, match=words):
        Selection(*arguments)


def test_categories_without_a_row_are_refused(folder: Path) -> None:
    write_lines(folder, lines_of(folder)[:3])
    with pytest.raises(DataError, match="no row of text"):
        Selection(("text",)).of(open_bench(str(folder)))


def test_shards_hold_every_row_once(made: Path) -> None:
    items = Selection().of(open_bench(str(made)))
    parts: list[list[Item]] = [Shard(i, 5).among(items) for i in range(1, 6)]
    assert sorted(i.key for part in parts for i in part) == [i.key for i in items]
    assert Shard.parse(" 2/5 ") == Shard(2, 5) and Shard(2, 5).folder == "shard-2-of-5"
    for text in ("0/2", "3/2", "1", "1/0", "a/b", "-1/2", "1/2/3", ""):
        with pytest.raises(OptionError, match="give I/N"):
            Shard.parse(text)
