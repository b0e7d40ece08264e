"""`inkontext eval kontextbench`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from inkontext.evaluation.kontextbench import run as kontextbench
from tests.cli.conftest import Cli, names
from tests.evaluation.kontextbench.fixture import small_bench

METRICS = ("--metrics", "text_similarity,text_exact,identity")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_bench(tmp_path_factory.mktemp("data") / "bench")


@pytest.fixture
def bench(here: Path, made: Path) -> Path:
    shutil.copytree(made, here / "bench")
    return Path("bench")


def test_a_model_is_measured_and_goes_on(cli: Cli, here: Path, bench: Path, debug_folder: Path) -> None:
    pytest.importorskip("rapidocr_onnxruntime")
    arguments = ("eval", "kontextbench", "--data", bench, "-m", debug_folder, "--limit", 6, "--steps", 1, *METRICS,
                 "--out", "run", "--json", "a.json")  # fmt: skip
    done = cli(*arguments)
    assert done.code == 0 and "text_exact" in done.out and "seconds" in done.out and "published 416" in done.out
    assert "…" not in done.out  # the tables fit 80 columns
    assert "note: no identity: no face model" in done.err
    body = json.loads((here / "a.json").read_text())
    assert (here / "run/results.json").read_bytes() == (here / "a.json").read_bytes()
    assert sorted(body["by_category"]) == ["character", "global", "local", "style", "text"]
    text = body["by_category"]["text"]["metrics"]["text_exact"]
    assert text["n"] + text["missing"] == 2 and len(body["rows"]) == 6 and body["system"]["steps"] == 1
    made = [f"{row['key']}.png" for row in body["rows"] if not row["refused"]]
    assert (here / "run/report.html").exists() and names(here / "run/outputs") == made and len(made) > 3
    again = cli(*arguments)
    assert (again.code, again.out) == (0, done.out)
    refused = cli(*arguments, "--seed", 1)
    assert refused.code == 2 and "seed 0 there, 1 now" in refused.complaint


def test_shards_and_pictures_of_another_system(cli: Cli, here: Path, bench: Path, debug_folder: Path) -> None:
    common = ("eval", "kontextbench", "--data", bench)
    model = ("-m", debug_folder, "--steps", 1, "--metrics", "identity")
    assert cli(*common, *model, "--out", "one", "--json", "one.json").code == 0
    for number in (2, 1):
        done = cli(*common, *model, "--shard", f"{number}/2", "--out", "shared", "--json", "shared.json")
        assert done.code == 0
        assert cli(*common, *model, "--shard", f"{number}/2", "--out", f"own-{number}").code == 0
    joined = cli(*common, "--merge", "own-1", "own-2", "--out", "joined", "--json", "joined.json")
    assert joined.code == 0 and "identity" in joined.out
    one = (here / "one.json").read_bytes()
    assert one == (here / "shared.json").read_bytes() == (here / "joined.json").read_bytes()
    assert (here / "shared/report.html").read_bytes() == (here / "one/report.html").read_bytes()
    (here / "one/outputs/0416.png").unlink()
    given = cli(*common, "--outputs", "one/outputs", "--metrics", "identity", "--categories", "global, style")
    assert given.code == 0 and "no picture: 0416 (no such picture)" in given.out
    assert "seconds" not in given.out


def test_an_interruption_says_what_is_kept(
    cli: Cli, bench: Path, debug_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(kontextbench, "row_of", interrupt)
    done = cli("eval", "kontextbench", "--data", bench, "-m", debug_folder, "--steps", 1, "--metrics", "identity",
               "--limit", 1, "--out", "run")  # fmt: skip
    assert done.code == 130 and "kept in 'run'" in done.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--categories", "local,dance"), "no category 'dance'"), (("--categories", ","), "each category once"),
        (("--limit", 0), "limit is 0"), (("--seed", -1), "seed is -1"), (("--shard", "3/2"), "give I/N"),
        (("--metrics", "beauty"), "no metric 'beauty'"), (("--metrics", ","), "each metric once"),
        (("--outputs", "none"), "no folder 'none'"), (("--outputs", "bench"), "holds no picture"),
        (("--outputs", "bench", "--steps", 3), "belong to a model"), (("elsewhere",), "only --merge"),
        (("--merge", "none"), "no folder 'none'"), (("--merge", "bench"), "holds no evaluation"),
        (("--merge", "bench", "--limit", 3), "leave out"), (("--face-model", "none"), "no glintr100.onnx"),
        (("--clip", "none"), "no folder 'none'; give --clip"), (("--dino", "none"), "no folder 'none'; give --dino"),
        (("--json", "."), "name a file"), (("--out", "bench/test/metadata.jsonl"), "name a folder"),
        (("--steps", 0), "steps must be"), (("--model", "nowhere"), "no model 'nowhere'"),
        (("--data", "nothing"), "no folder 'nothing'"), (("--data", "bench/targets"), "neither test/metadata.jsonl"),
    ],
)  # fmt: skip
def test_bad_input(
    arguments: tuple[str, ...], words: str, cli: Cli, here: Path, bench: Path, debug_folder: Path
) -> None:
    outcome = cli("eval", "kontextbench", "--data", bench, "-m", debug_folder, *arguments)
    assert outcome.code == 2 and outcome.out == "" and names(here) == ["bench"]
    lines = [line for line in outcome.err.splitlines() if not line.startswith("note:")]
    assert len(lines) == 1 and words in lines[0]


def test_the_data_must_be_named(cli: Cli) -> None:
    done = cli("eval", "kontextbench")
    assert done.code == 2 and "--data" in done.err
