"""Shards between us and the library that named the format."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from tests.data.conftest import painted

from inkontext.data.formats import open_set
from inkontext.data.make import Order, make
from inkontext.data.pairs import PairSource

webdataset = pytest.importorskip("webdataset")


def test_webdataset_reads_what_we_write(tmp_path: Path) -> None:
    make(tmp_path, Order(6, 48, "shards", ("t2i", "multi", "local")))
    rows = open_set(tmp_path).sound()
    theirs = list(webdataset.WebDataset(str(tmp_path / "shard-000000.tar"), shardshuffle=False).decode("pil"))
    assert [sample["__key__"] for sample in theirs] == [row.key for row in rows]
    for row, sample in zip(rows, theirs, strict=True):
        assert (sample["json"]["instruction"], sample["json"]["category"]) == (row.instruction, row.category)
        names = ["target.png", *(f"ref{i}.png" for i in range(len(row.references)))]
        for blob, name in zip(row.pictures, names, strict=True):
            assert np.array_equal(blob.picture(), sample[name])
        assert f"ref{len(row.references)}.png" not in sample
        assert sample["mask.png"].size == (48, 48)
    assert {len(row.references) for row in rows} >= {0, 1, 2}


def test_we_read_what_webdataset_writes(tmp_path: Path) -> None:
    pictures = [painted((64, 48), n) for n in range(6)]
    with webdataset.ShardWriter(f"{tmp_path}/pairs-%03d.tar", maxcount=2, verbose=0) as writer:
        for n in range(3):
            sample = {"__key__": f"row{n}", "target.png": pictures[2 * n], "ref0.png": pictures[2 * n + 1]}
            writer.write(sample | {"json": {"instruction": f"edit {n}", "category": "local"}})
    assert len(list(tmp_path.glob("*.tar"))) == 2
    source = PairSource(tmp_path, 64)
    assert [row.instruction for row in source.rows] == ["edit 0", "edit 1", "edit 2"]
    decoded = [blob.picture() for blob in itertools.chain(*(row.pictures for row in source.rows))]
    assert all(np.array_equal(ours, theirs) for ours, theirs in zip(decoded, pictures, strict=True))
