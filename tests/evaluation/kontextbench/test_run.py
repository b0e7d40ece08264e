"""The run: rows and figures, what is missing, interruptions that change no byte, other systems' pictures."""

from __future__ import annotations

import io
import json
import random
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from inkontext.errors import OptionError
from inkontext.evaluation.keyed import Given, noise_seed
from inkontext.evaluation.kontextbench.data import Bench, Item, Selection, open_bench
from inkontext.evaluation.kontextbench.metrics import Metric, metrics_named
from inkontext.evaluation.kontextbench.report import report_of
from inkontext.evaluation.kontextbench.run import Evaluation, evaluate
from inkontext.evaluation.kontextbench.summary import summary
from inkontext.evaluation.kontextbench.systems import Editor
from inkontext.evaluation.report import shown
from inkontext.evaluation.score import Score
from inkontext.evaluation.statistics import wilson
from inkontext.evaluation.world.systems import ModelSystem, NoPicture
from inkontext.pipeline import Pipeline
from tests.evaluation.kontextbench.fixture import Noisy, lines_of, stand_in, write_lines
from tests.evaluation.page import Links

FILES = ("settings.json", "results.json", "report.html")


class Darkness:
    """Mean darkness, zero for a white picture and missing for a red one; of every category."""

    name, unit, higher_is_better, is_share = "darkness", "0–1", True, False
    categories = ("local", "global", "character", "text", "style")
    identity: dict[str, Any] = {}  # noqa: RUF012

    def available(self) -> str | None:
        return None

    def score(self, item: Item, reference: Image.Image, output: Image.Image) -> Score:
        red, green, _ = output.resize((1, 1)).getpixel((0, 0))  # type: ignore[misc]
        if red > 250 and green < 5:
            return Score(None, "too red", {"green": green})
        return Score(1 - green / 255, evidence={"green": green})


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """A copy to spoil."""
    return shutil.copytree(made, tmp_path / "bench")


@pytest.fixture
def bench(made: Path) -> Bench:
    return open_bench(str(made))


@pytest.fixture
def metrics(monkeypatch: pytest.MonkeyPatch) -> list[Metric]:
    """The alignment's with a stand-in for its measurement, one of faces that cannot work, and one of our own."""
    stand_in(monkeypatch)
    return [*metrics_named(("untouched_psnr", "shift", "identity")), Darkness()]


def body(result: Evaluation) -> dict[str, Any]:
    return json.loads(json.dumps(result.body))


def test_rows_and_figures(bench: Bench, metrics: list[Metric], tmp_path: Path) -> None:
    result = evaluate(bench, Noisy(), metrics, out=tmp_path / "run", seed=7)
    told = json.loads((tmp_path / "run/results.json").read_text())
    assert told == body(result)
    rows = [json.loads(line) for line in (tmp_path / "run/results.jsonl").read_text().splitlines()]
    assert rows == told["rows"] and [row["key"] for row in rows] == [item.key for item in bench.items]
    local = told["by_category"]["local"]["metrics"]["untouched_psnr"]
    scores = [row["scores"]["untouched_psnr"] for row in rows if row["category"] == "local"]
    assert local["n"] == 3 and local["missing"] == 0 and local["mean"] == pytest.approx(sum(scores) / 3, abs=1e-6)
    assert min(scores) <= local["interval"][0] <= local["mean"] <= local["interval"][1] <= max(scores)
    assert rows[0]["evidence"]["untouched_psnr"]["shift_y"] == 4.0 and rows[0]["scores"]["shift"] == 5.0
    assert set(told["by_category"]["style"]["metrics"]) == {"darkness"}
    assert told["by_category"]["style"]["metrics"]["darkness"]["interval"] is None  # one value tells no spread
    assert rows[0]["noise_seed"] == noise_seed(7, rows[0]["key"]) and 0 <= rows[0]["noise_seed"] < 2**63
    assert told["differs_from_published"] == bench.differences() and told["counts"]["text"] == 4
    assert str(tmp_path) not in json.dumps(told)
    assert set(result.seconds) == {row["key"] for row in rows} and "seconds" not in json.dumps(told)


def test_rows_of_one_reference_picture_are_no_independent_evidence() -> None:
    settings = {"is_share": True, "categories": ["text"]}
    rows = [
        {"missing": None, "refused": None, "resized_from": None, "file_name": f"images/{n}.png", "image_idx": n // 10,
         "scores": {"exact": float(n // 10 % 2)}, "reasons": {}}
        for n in range(120)
    ]  # fmt: skip
    cell = summary(rows, {"exact": settings}, "text")["metrics"]["exact"]
    assert (cell["n"], cell["sources"], cell["interval_kind"]) == (120, 12, "bootstrap over sources")
    narrow = wilson(60, 120)
    assert narrow is not None and cell["interval"][1] - cell["interval"][0] > 2.5 * (narrow[1] - narrow[0])
    apart = summary([row | {"image_idx": None} for row in rows], {"exact": settings}, "text")["metrics"]["exact"]
    assert apart["interval"] == pytest.approx(narrow, abs=1e-6) and apart["sources"] == 120


def test_a_metric_that_cannot_work_is_missing_with_its_reason(bench: Bench, metrics: list[Metric]) -> None:
    told = evaluate(bench, Noisy(), metrics).body
    cell = told["by_category"]["character"]["metrics"]["identity"]
    assert cell["n"] == 0 and cell["missing"] == 2 and cell["mean"] is None and cell["interval"] is None
    (reason, count), *none = cell["reasons"].items()
    assert count == 2 and reason == told["metrics"]["identity"]["unavailable"] and not none
    assert {row["scores"].get("identity", "no") for row in told["rows"]} == {None, "no"}


class Attack(Noisy):
    """The reference, of which 62 % is replaced by noise."""

    def make(self, item: Item, reference: Image.Image) -> Image.Image | NoPicture:
        pixels = np.asarray(reference).copy()
        top = round(0.62 * len(pixels))
        pixels[:top] = np.random.default_rng(0).integers(0, 256, pixels[:top].shape)
        return Image.fromarray(pixels)


def test_pictures_of_noise_do_not_pass_for_untouched_ones(bench: Bench, made: Path, tmp_path: Path) -> None:
    """The untouched part is perfect by its own choice; beside it stands how little it is, and what it cannot choose."""
    metrics = metrics_named(("untouched_psnr", "whole_psnr", "outside_psnr"), masks=made / "masks")
    result = evaluate(bench, Attack(), metrics, Selection(("local", "text")), out=tmp_path)
    console = Console(width=200, record=True, file=io.StringIO())
    report_of(result.body, {}).show(console)
    printed, page = console.export_text(), (tmp_path / "report.html").read_text()
    for category in ("local", "text"):
        cells = result.body["by_category"][category]["metrics"]
        assert cells["untouched_psnr"]["mean"] > 60 and cells["untouched_psnr"]["judged"] < 0.5
        assert cells["whole_psnr"]["mean"] < 15 and cells["outside_psnr"]["mean"] < 15
        assert cells["whole_psnr"]["judged"] is None
        share = shown(100 * cells["untouched_psnr"]["judged"])
        line = next(line for line in printed.splitlines() if category in line and "untouched_psnr" in line)
        assert share in line.split() and f"<td>{share}</td>" in page
    assert "judged %" in printed and "judged %" in page and "whole_psnr" in page


def test_zero_is_a_score_and_missing_is_none(bench: Bench, folder: Path, tmp_path: Path) -> None:
    for number, item in enumerate(bench.items):
        colour = ("white", "red", "black")[number % 3]
        Image.new("RGB", (32, 32), colour).save(folder / f"{item.key}.png")
    told = evaluate(bench, Given(folder), [Darkness()], Selection(("local",))).body
    assert [row["scores"]["darkness"] for row in told["rows"]] == [0.0, None, 1.0]
    cell = told["by_category"]["local"]["metrics"]["darkness"]
    assert (cell["n"], cell["missing"], cell["reasons"], cell["mean"]) == (2, 1, {"too red": 1}, 0.5)
    assert told["rows"][1]["evidence"] == {"darkness": {"green": 0}}


def test_broken_references_and_refusals_are_named_and_the_run_goes_on(folder: Path, metrics: list[Metric]) -> None:
    rows = lines_of(folder)
    (folder / "test" / rows[0]["file_name"]).write_bytes(b"frog")
    (folder / "test" / rows[3]["file_name"]).unlink()
    write_lines(folder, [*rows[:-1], rows[2]])  # no style, one key twice
    bench = open_bench(str(folder))
    result = evaluate(bench, Noisy(refuses=rows[5]["key"]), metrics)
    told = result.body
    named = {(p["kind"], p["name"]) for p in told["problems"]}
    assert named == {
        ("duplicate key", "0002"), ("missing category", "Style Reference"), ("missing picture", rows[3]["key"]),
        ("no picture", "0000"), ("no picture", rows[3]["key"]),
    }  # fmt: skip
    assert str(folder) not in json.dumps(told) and rows[0]["file_name"] in told["rows"][0]["missing"]
    by = told["by_category"]
    assert by["local"]["missing"] == 1 and by["local"]["metrics"]["untouched_psnr"]["reasons"] == {"no picture": 1}
    assert by["character"]["refused"] == 1 and "style" not in by
    assert by["character"]["metrics"]["darkness"]["reasons"] == {"refused by the model": 1}
    assert told["rows"][5]["refused"] == "too long" and len(result.seconds) == 11 - 3


@pytest.mark.parametrize("life", [0, 1, 7, 11])
def test_an_interruption_changes_no_byte(life: int, bench: Bench, metrics: list[Metric], tmp_path: Path) -> None:
    plain, broken = tmp_path / "plain", tmp_path / "broken"
    evaluate(bench, Noisy(), metrics, out=plain)
    with pytest.raises(KeyboardInterrupt):
        evaluate(bench, Noisy(life=life), metrics, out=broken)
    assert not (broken / "results.json").exists() and not (broken / "report.html").exists()
    second = Noisy()
    result = evaluate(bench, second, metrics, out=broken)
    assert second.made == 12 - life and result.notes == ()
    assert_equal(broken, plain)


def assert_equal(one: Path, other: Path) -> None:
    for name in FILES:
        assert (one / name).read_bytes() == (other / name).read_bytes(), name
    for part in ("outputs", "references", "plots"):
        names = sorted(p.name for p in (other / part).iterdir())
        assert sorted(p.name for p in (one / part).iterdir()) == names and names
        for name in names:
            assert (one / part / name).read_bytes() == (other / part / name).read_bytes()


def test_a_torn_result_file_is_mended_named_and_changes_no_byte(
    bench: Bench, metrics: list[Metric], tmp_path: Path
) -> None:
    plain, broken = tmp_path / "plain", tmp_path / "broken"
    evaluate(bench, Noisy(), metrics, out=plain)
    dice = random.Random(0)
    for _ in range(4):
        shutil.rmtree(broken, ignore_errors=True)
        shutil.copytree(plain, broken)
        (broken / "results.json").unlink()
        data = (plain / "results.jsonl").read_bytes()
        whole = data[: dice.randrange(1, len(data))].rstrip(b"\n")
        (broken / "results.jsonl").write_bytes(whole)
        again = Noisy()
        result = evaluate(bench, again, metrics, out=broken)
        assert again.made == 12 - whole.count(b"\n")
        assert result.notes == ("half-written file: results.jsonl, its last line was cut and made again",)
        assert_equal(broken, plain)


def test_other_settings_are_refused(bench: Bench, folder: Path, metrics: list[Metric], tmp_path: Path) -> None:
    run = tmp_path / "run"
    evaluate(bench, Noisy(), metrics, Selection(("style",)), out=run)
    (folder / "test" / lines_of(folder)[0]["file_name"]).unlink()
    for other, chosen, seed, selection, words in (
        (bench, metrics, 1, Selection(("style",)), "seed 0 there, 1 now"),
        (bench, metrics[:-1], 0, Selection(("style",)), "metrics.darkness"),
        (bench, metrics, 0, Selection(("text",)), "categories style there, text now"),
        (open_bench(str(folder)), metrics, 0, Selection(("style",)), "data .* there"),
    ):
        with pytest.raises(OptionError, match=words):
            evaluate(other, Noisy(), chosen, selection, seed, out=run)


def test_pictures_of_another_system(bench: Bench, metrics: list[Metric], tmp_path: Path) -> None:
    evaluate(bench, Noisy(), metrics, out=tmp_path / "run")
    pictures = tmp_path / "run/outputs"
    keys = [item.key for item in bench.items]
    (pictures / f"{keys[0]}.png").unlink()
    whole = (pictures / f"{keys[1]}.png").read_bytes()
    (pictures / f"{keys[1]}.png").write_bytes(whole[: len(whole) // 2])
    Image.open(pictures / f"{keys[2]}.png").resize((50, 40)).save(pictures / f"{keys[2]}.webp", lossless=True)
    (pictures / f"{keys[2]}.png").unlink()
    result = evaluate(bench, Given(pictures), metrics, out=tmp_path / "given")
    told = result.body
    assert result.seconds == {}  # reading a file tells nothing about the system's speed
    missing = {row["key"]: row["missing"] for row in told["rows"] if row["missing"]}
    assert list(missing) == keys[:2] and "no such" in missing[keys[0]] and f"{keys[1]}.png" in missing[keys[1]]
    assert told["rows"][2]["resized_from"] == [50, 40] and told["rows"][2]["scores"]["untouched_psnr"] is not None
    assert told["by_category"]["local"]["resized"] == 1 and str(tmp_path) not in json.dumps(told)
    assert told["rows"][3:] == [
        json.loads(line) for line in (tmp_path / "run/results.jsonl").read_text().splitlines()[3:]
    ]  # fmt: skip


def test_pictures_that_belong_to_no_row(bench: Bench, metrics: list[Metric], tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "frog.png")
    with pytest.raises(OptionError, match=r"the first is 0000\.png"):
        evaluate(bench, Given(tmp_path), metrics, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_the_page_shows_pictures_that_are_there(bench: Bench, metrics: list[Metric], tmp_path: Path) -> None:
    evaluate(bench, Noisy(), metrics, out=tmp_path)
    page = Links()
    page.feed((tmp_path / "report.html").read_text())
    assert len(page.sources) == 2 * 12
    assert all(Image.open(tmp_path / source).size == (32, 32) for source in page.sources)
    assert all(item.instruction in page.words for item in bench.items)
    assert "untouched_psnr" in page.words and "published 416" in page.words and "no face model" in page.words
    assert str(tmp_path) not in page.words


def test_the_terminal_has_times_and_the_page_has_none(bench: Bench, metrics: list[Metric]) -> None:
    result = evaluate(bench, Noisy(), metrics)
    with_times, without = report_of(result.body, dict.fromkeys(result.seconds, 2.5)), report_of(result.body, {})
    assert "seconds" in with_times.sections[0].columns and with_times.sections[0].rows[0][-1] == 2.5  # type: ignore[union-attr]
    assert "seconds" not in without.sections[0].columns  # type: ignore[union-attr]


def test_each_row_has_noise_of_its_own(pipeline: Pipeline, bench: Bench) -> None:
    item = bench.items[0]
    reference = Image.open(item.file).convert("RGB")
    first, other = (Editor(ModelSystem(pipeline, steps=1), seed) for seed in (0, 1))
    expected = pipeline.edit(reference, item.instruction, seed=noise_seed(0, item.key), steps=1).images[0]
    made = first.make(item, reference)
    assert isinstance(made, Image.Image) and made.tobytes() == expected.tobytes() and made.size == reference.size
    second = other.make(item, reference)
    assert isinstance(second, Image.Image) and second.tobytes() != made.tobytes()
    assert noise_seed(0, "a") != noise_seed(0, "b")
    long = Item("k", "local", "word " * 300, item.file_name, item.file, 0, 0)
    refused = first.make(long, reference)
    assert isinstance(refused, NoPicture) and refused.refused
