"""Shards of several machines, joined, are one run."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from inkontext.errors import OptionError, RunError
from inkontext.evaluation.kontextbench.data import Bench, Selection, Shard, open_bench
from inkontext.evaluation.kontextbench.merge import merge, merge_if_whole
from inkontext.evaluation.kontextbench.metrics import Metric, metrics_named
from inkontext.evaluation.kontextbench.run import evaluate
from inkontext.evaluation.ledger import Ledger
from tests.evaluation.kontextbench.fixture import Noisy, lines_of, stand_in, write_lines
from tests.evaluation.kontextbench.test_run import assert_equal

SHARDS = [Shard(i, 3) for i in (2, 3, 1)]


@pytest.fixture
def bench(made: Path) -> Bench:
    return open_bench(str(made))


@pytest.fixture
def metrics(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Metric]]:
    stand_in(monkeypatch)
    yield metrics_named(("untouched_psnr", "shift", "identity"))


@pytest.fixture
def plain(bench: Bench, metrics: list[Metric], tmp_path: Path) -> Path:
    """The same rows in one run."""
    evaluate(bench, Noisy(), metrics, out=tmp_path / "plain")
    return tmp_path / "plain"


def test_machines_share_a_folder_and_the_last_joins_all(
    bench: Bench, metrics: list[Metric], plain: Path, tmp_path: Path
) -> None:
    out = tmp_path / "shared"
    with pytest.raises(KeyboardInterrupt):
        evaluate(bench, Noisy(life=2), metrics, shard=SHARDS[0], out=out)
    whole = []
    for shard in SHARDS:
        result = evaluate(bench, Noisy(), metrics, shard=shard, out=out)
        assert [row["key"] for row in result.body["rows"]] == [i.key for i in shard.among(bench.items)]
        whole.append(merge_if_whole(bench, shard, out))
    assert whole[0] is None and whole[1] is None and whole[2] is not None
    assert_equal(out, plain)
    assert whole[2].body == json.loads((plain / "results.json").read_text())
    assert len(whole[2].seconds) == 12
    untouched = Noisy()
    evaluate(bench, untouched, metrics, out=out)  # the joined folder is a run like any other
    assert untouched.made == 0


def test_folders_of_their_own_are_joined(bench: Bench, metrics: list[Metric], plain: Path, tmp_path: Path) -> None:
    folders = [tmp_path / f"machine-{shard.number}" for shard in SHARDS]
    for shard, folder in zip(SHARDS, folders, strict=True):
        evaluate(bench, Noisy(), metrics, shard=shard, out=folder)
    result = merge(bench, folders, tmp_path / "joined")
    assert_equal(tmp_path / "joined", plain)
    assert result.notes == () and merge(bench, folders).body == result.body
    merge(bench, folders, tmp_path / "joined")
    assert_equal(tmp_path / "joined", plain)


def test_what_no_folder_has_is_missing_and_can_follow(
    bench: Bench, metrics: list[Metric], plain: Path, tmp_path: Path
) -> None:
    out, joined = tmp_path / "shared", tmp_path / "joined"
    for shard in SHARDS:
        evaluate(bench, Noisy(), metrics, shard=shard, out=out)
    results = out / SHARDS[0].folder / "results.jsonl"
    data = results.read_bytes()
    results.write_bytes(data[:-5])  # the machine died while it wrote its last row
    lost = SHARDS[0].among(bench.items)[-1]
    result = merge(bench, [out], joined)
    assert result.notes == ("half-written file: shard-2-of-3/results.jsonl",)
    assert results.read_bytes() == data[:-5]  # another's folder is only read
    absent = [row for row in result.body["rows"] if row["missing"]]
    assert [row["key"] for row in absent] == [lost.key] and absent[0]["missing"] == "in none of the folders"
    assert set(absent[0]["scores"].values()) <= {None}
    assert {"kind": "no picture", "name": lost.key, "detail": "in none of the folders"} in result.body["problems"]
    evaluate(bench, Noisy(), metrics, shard=SHARDS[0], out=out)
    merge(bench, [out], joined)
    assert_equal(joined, plain)


def test_two_results_of_a_row_are_told(bench: Bench, metrics: list[Metric], tmp_path: Path) -> None:
    for name in "ab":
        evaluate(bench, Noisy(), metrics, Selection(("local",)), shard=Shard(1, 1), out=tmp_path / name)
    assert merge(bench, [tmp_path / "a", tmp_path / "b"]).notes == ()
    path = tmp_path / "b/shard-1-of-1/results.jsonl"
    path.write_text(path.read_text().replace('"shift": 5.0', '"shift": 6.0'))
    result = merge(bench, [tmp_path / "a", tmp_path / "b"])
    assert result.notes == tuple(f"two results, the first kept: 000{n}" for n in range(3))
    assert {row["scores"]["shift"] for row in result.body["rows"]} == {5.0}


def test_folders_that_do_not_belong_together(
    bench: Bench, made: Path, metrics: list[Metric], plain: Path, tmp_path: Path
) -> None:
    evaluate(bench, Noisy(), metrics, seed=1, shard=SHARDS[0], out=tmp_path / "other")
    with pytest.raises(OptionError, match=r"not of one evaluation \(seed 0 there, 1 now"):
        merge(bench, [plain, tmp_path / "other"])
    with pytest.raises(OptionError, match="seed 1 there, 0 now"):
        evaluate(bench, Noisy(), metrics, shard=SHARDS[1], out=tmp_path / "other")
    changed = shutil.copytree(made, tmp_path / "changed")
    write_lines(changed, lines_of(changed)[:-1])
    with pytest.raises(OptionError, match="other data than --data"):
        merge(open_bench(str(changed)), [plain])
    for folder, words in ((tmp_path / "none", "no folder"), (made, "holds no evaluation")):
        with pytest.raises(OptionError, match=words):
            merge(bench, [folder])
    (tmp_path / "world").mkdir()
    (tmp_path / "world/settings.json").write_text('{"benchmark": "world"}')
    with pytest.raises(OptionError, match="another benchmark"):
        merge(bench, [tmp_path / "world"])


def test_shards_without_rows_and_folders_in_use(
    bench: Bench, metrics: list[Metric], plain: Path, tmp_path: Path
) -> None:
    with pytest.raises(OptionError, match="shard 13/13 has no row"):
        evaluate(bench, Noisy(), metrics, shard=Shard(13, 13), out=tmp_path / "run")
    out = tmp_path / "shared"
    for shard in SHARDS:
        evaluate(bench, Noisy(), metrics, shard=shard, out=out)
    settings = json.loads((plain / "settings.json").read_text())
    with Ledger(out, settings):
        assert merge_if_whole(bench, SHARDS[0], out) is None  # another process is joining
        with pytest.raises(RunError, match="another process"):
            merge(bench, [out], out)
    assert merge_if_whole(bench, SHARDS[0], out) is not None
