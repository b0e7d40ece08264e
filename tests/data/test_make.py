"""World pairs on disk: read back equal, made anew equal, and never half-made unnoticed."""

from __future__ import annotations

import hashlib
import io
import json
import signal
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from inkontext.data import make as module
from inkontext.data.formats import MARKER, open_set
from inkontext.data.make import FORMATS, Order, make
from inkontext.data.pairs import PairSource
from inkontext.errors import DataError, OptionError


def contents(folder: Path) -> dict[str, str]:
    files = [p for p in sorted(folder.rglob("*")) if p.is_file()]
    return {p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


@pytest.mark.parametrize("form", FORMATS)
def test_rows_read_back_equal(tmp_path: Path, form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SHARD_ROWS", 8)
    order = Order(20, 64, form, ("local", "multi", "text"), seed=3)
    assert make(tmp_path / "set", order) == 20
    rows = sorted(open_set(tmp_path / "set").sound(), key=lambda row: row.key.rpartition("/")[2])
    assert len(rows) == 20
    for number, row in enumerate(rows):
        pair = order.pair(number)
        assert (row.instruction, row.category) == (pair.instruction, pair.task)
        assert row.mask is not None and np.array_equal(row.mask.picture(), pair.mask.convert("RGB"))
        for blob, picture in zip(row.pictures, [pair.target, *pair.references], strict=True):
            assert np.array_equal(blob.picture(), picture)
    source = PairSource(tmp_path / "set", 64)
    assert np.array_equal(source.load(0).target, source.rows[0].target.picture())


@pytest.mark.parametrize("form", FORMATS)
def test_same_order_same_bytes(tmp_path: Path, form: str) -> None:
    for name in ("one", "two"):
        make(tmp_path / name, Order(6, 48, form))
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    make(tmp_path / "three", Order(6, 48, form, seed=1))
    assert contents(tmp_path / "one") != contents(tmp_path / "three")


def test_shards_as_an_independent_reader_sees_them(tmp_path: Path) -> None:
    make(tmp_path, Order(4, 48, "shards", ("t2i", "multi")))
    with tarfile.open(tmp_path / "shard-000000.tar") as archive:
        names = archive.getnames()
        read = {name: archive.extractfile(name).read() for name in names}  # type: ignore[union-attr]
    keys = list(dict.fromkeys(name.partition(".")[0] for name in names))
    assert keys == ["000000", "000001", "000002", "000003"]
    assert sorted(names, key=lambda n: n.partition(".")[0]) == names  # webdataset wants the parts of a key together
    assert json.loads(read["000001.json"])["category"] == "multi"
    assert "000001.ref1.png" in names and "000000.ref0.png" not in names
    assert Image.open(io.BytesIO(read["000001.target.png"])).size == (48, 48)


@pytest.mark.parametrize("form", FORMATS)
def test_killed_and_made_again(tmp_path: Path, form: str) -> None:
    order = Order(72, 32, form)
    code = (
        "import sys; from pathlib import Path; from inkontext.data import make as m; from tests.killed import *;"
        f"m.SHARD_ROWS = 4; kill_at_rename(9, sys.argv[1]); m.make(Path(sys.argv[1]), m.Order(72, 32, {form!r}))"
    )
    ended = subprocess.run([sys.executable, "-c", code, str(tmp_path / "set")], cwd=Path(__file__).parents[2])
    assert ended.returncode == -signal.SIGKILL
    assert (tmp_path / "set" / MARKER).exists()
    with pytest.raises(DataError, match="half-written"):
        PairSource(tmp_path / "set", 32)
    done = contents(tmp_path / "set")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "SHARD_ROWS", 4)
        make(tmp_path / "set", order)
        make(tmp_path / "whole", order)
    whole = contents(tmp_path / "whole")
    again = {name: value for name, value in contents(tmp_path / "set").items() if "/." not in f"/{name}"}
    assert again == whole
    kept = {name: value for name, value in done.items() if name in whole}
    assert kept.items() <= whole.items() and len(kept) > 1


@pytest.mark.parametrize(
    ("order", "sentence"),
    [
        (Order(0), "at least one"),
        (Order(1, format="zip"), "choose jsonl"),
        (Order(1, tasks=("paint",)), "no task 'paint'"),
        (Order(1, format="twin", tasks=("t2i",)), "twin folders hold no t2i"),
        (Order(1, size=7), "size is 7"),
        (Order(1, split="dev"), "no split"),
    ],
)
def test_impossible_orders(tmp_path: Path, order: Order, sentence: str) -> None:
    with pytest.raises(OptionError, match=sentence):
        make(tmp_path / "set", order)


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    make(tmp_path / "set", Order(2, 32))
    before = contents(tmp_path / "set")
    with pytest.raises(OptionError, match="holds another set"):
        make(tmp_path / "set", Order(3, 32))
    assert make(tmp_path / "set", Order(2, 32)) == 2
    assert contents(tmp_path / "set") == before
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/notes.txt").write_text("keep me")
    with pytest.raises(OptionError, match="holds other files"):
        make(tmp_path / "mine", Order(2, 32))
    with pytest.raises(OptionError, match="no folder"):
        make(tmp_path / "mine/notes.txt", Order(2, 32))
