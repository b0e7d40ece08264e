"""The held-out bench: baselines at both ends, resuming, the shape of what is written."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy.stats import bootstrap

from inkontext.data.world.bench import CATEGORIES, bench_pairs, rebuild
from inkontext.data.world.bench import rows as bench_rows
from inkontext.errors import DataError, OptionError, RunError
from inkontext.evaluation.ledger import Ledger
from inkontext.evaluation.statistics import wilson
from inkontext.evaluation.world.plan import Case, Plan, cases
from inkontext.evaluation.world.run import body_of, evaluate, row_of, summary
from inkontext.evaluation.world.systems import Compressed, Copy, Folder, ModelSystem, NoPicture, Target
from inkontext.pipeline import Pipeline

PLAN = Plan(size=64, seed=1, limit=12)


@pytest.fixture(scope="module")
def model(pipeline: Pipeline) -> ModelSystem:
    return ModelSystem(pipeline, steps=1)


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """A finished folder of the upper bound."""
    evaluate(PLAN, Target(), out=tmp_path / "target")
    return tmp_path / "target"


def test_the_target_always_succeeds() -> None:
    body = evaluate(replace(PLAN, limit=40, tasks=(*CATEGORIES, "t2i", "cue", "multi")), Target()).body
    assert body["success"] == 1.0 and body["untouched_psnr"] == 99.0 and body["changed"] == pytest.approx(1)
    assert body["success_interval"][1] == 1.0
    assert {figures["success"] for figures in body["by_task"].values()} == {1.0}
    assert body["t2i"]["success"] == body["t2i"]["attribute_accuracy"] == 1.0
    assert body["t2i"]["attributes"] > 20
    assert body["fails"] == {"changed": 0, "right": 0, "kept": 0}


def test_a_copy_never_succeeds() -> None:
    body = evaluate(replace(PLAN, limit=40), Copy()).body
    assert body["success"] == 0.0 and body["success_interval"][0] == 0.0 and body["fails"]["kept"] == 0
    assert body["t2i"]["success"] == 0.0 and body["t2i"]["attribute_accuracy"] < 0.4


def test_rows_of_one_base_picture_are_no_independent_evidence() -> None:
    """The bench's 193 character rows are of 22 bases: the interval is that of the bases' shares, drawn anew."""
    bases = [(row.base.theme, row.base.seed) for row in bench_rows(0) if row.task == "character"]
    assert len(bases) == 193 and len(set(bases)) == 22
    right = dict(zip(dict.fromkeys(bases), np.random.default_rng(4).random(22) < 0.4, strict=True))
    blank = {"missing": None, "refused": None, "resized_from": None, "kept_psnr": None, "changed": None, "fails": []}
    rows = [
        {"key": str(n), "base_theme": theme, "base_seed": seed, "success": bool(right[theme, seed]), **blank}
        for n, (theme, seed) in enumerate(bases)
    ]
    found = summary(rows)
    assert (found["pairs"], found["bases"], found["success_interval_kind"]) == (193, 22, "bootstrap over sources")
    low, high = found["success_interval"]
    narrow = wilson(sum(row["success"] for row in rows), 193)
    other = bootstrap((np.array(list(right.values()), float),), np.mean, method="percentile", rng=0)
    assert narrow is not None and high - low > 2.5 * (narrow[1] - narrow[0])
    assert low <= other.confidence_interval.low + 0.02 and high >= other.confidence_interval.high - 0.02
    loose = summary([row | {"base_theme": None, "base_seed": None} for row in rows])
    assert loose["success_interval"] == pytest.approx(narrow, abs=1e-6) and loose["success_interval_kind"] == "wilson"
    assert summary([row | {"success": True} for row in rows])["success_interval"] == pytest.approx(
        wilson(22, 22), abs=1e-6
    )


def test_attributes_of_one_caption_are_no_independent_evidence() -> None:
    settings = {"outside": None}
    blank = {"missing": None, "refused": None, "resized_from": None, "kept_psnr": None, "changed": None, "fails": []}
    rows = [
        {"key": str(n), "task": "t2i", "base_theme": None, "base_seed": None, "success": n % 2 == 0, **blank,
         "attributes": {"colour": [4 * (n % 2), 4], "place": [n % 2, 1]}}
        for n in range(12)
    ]  # fmt: skip
    t2i = body_of(settings, rows)["t2i"]
    assert t2i["attribute_accuracy"] == 0.5 and t2i["attributes"] == 60
    narrow = wilson(30, 60)
    for ends in (t2i["attribute_interval"], t2i["by_attribute"]["colour"]["interval"]):
        assert narrow is not None and ends[1] - ends[0] > 1.8 * (narrow[1] - narrow[0])
    assert t2i["by_attribute"]["place"]["interval"] == pytest.approx(wilson(6, 12), abs=1e-6)


def test_a_refused_caption_has_no_attribute_right() -> None:
    case = next(case for case in cases(replace(PLAN, tasks=("t2i",), limit=1)))
    row = row_of(case, NoPicture("too long", refused=True))
    right = row_of(case, case.pair.target)
    assert {name: told for name, (_, told) in row["attributes"].items()} == {
        name: told for name, (_, told) in right["attributes"].items()
    }
    assert sum(hits for hits, _ in row["attributes"].values()) == 0 and row["success"] is False


def test_a_limit_is_dealt_out_by_task_and_holds_the_smaller_one() -> None:
    few, more = list(cases(replace(PLAN, limit=20))), list(cases(replace(PLAN, limit=41)))
    assert Counter(c.pair.task for c in few) == {
        "local": 8,
        "global": 5,
        "character": 4,
        "text": 2,
        "style": 1,
        "t2i": 2,
    }
    instructions = {c.key: c.pair.instruction for c in more}
    assert all(instructions[c.key] == c.pair.instruction for c in few)
    assert len(instructions) == 41 + 4
    assert [c.key for c in cases(replace(PLAN, limit=20))] == [c.key for c in few]
    assert [c.key for c in few[:-2]] == sorted(c.key for c in few[:-2])


def test_counts_of_whole_and_narrow_plans() -> None:
    assert Plan(64).counts() == {task: count for task, (_, count) in CATEGORIES.items()} | {"t2i": 100}
    assert Plan(64, tasks=("t2i",), limit=7).counts() == {"t2i": 7}
    assert Plan(64, tasks=("cue", "style"), limit=10).counts() == {"cue": 6, "style": 4}
    assert set(Plan(64, limit=5).counts()) == {*CATEGORIES, "t2i"}
    assert sum(Plan(64, limit=3).counts().values()) == 4


def test_a_part_of_the_bench_is_as_it_is_in_the_whole() -> None:
    whole = [pair.seed for _, pair in bench_pairs(5, 32)]
    numbers = range(3, 1026, 9)
    assert [pair.seed for _, pair in bench_pairs(5, 32, only=numbers)] == [whole[n] for n in numbers]


def test_the_seed_decides_the_draw() -> None:
    first, other = (next(iter(cases(replace(PLAN, seed=seed)))).pair for seed in (1, 2))
    assert first.scene_after != other.scene_after


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"tasks": ("local", "dance")}, "no task 'dance'; choose among local"), ({"tasks": ()}, "each task once"),
        ({"tasks": ("local", "local")}, "each task once"), ({"limit": 0}, "limit is 0"), ({"size": 8}, "size is 8"),
        ({"seed": -1}, "seed is -1"),
    ],
)  # fmt: skip
def test_impossible_plans(change: dict[str, Any], words: str) -> None:
    with pytest.raises(OptionError, match=words):
        replace(PLAN, **change)


def test_rows_and_figures(model: ModelSystem, tmp_path: Path) -> None:
    result = evaluate(PLAN, model, out=tmp_path / "run")
    body = json.loads((tmp_path / "run/results.json").read_text())
    assert body == json.loads(json.dumps(result.body))
    assert (body["seed"], body["limit"], body["size"]) == (1, 12, 64)
    assert body["system"]["steps"] == 1 and body["system"]["fingerprint"] == model.pipeline.model["fingerprint"]
    assert set(body["versions"]) == {"inkontext", "python", "torch", "numpy", "pillow"}
    assert 0 <= body["success"] <= 1 and body["untouched_psnr"] < 40
    assert list(body["by_task"]) and all(
        {"success", "untouched_psnr", "pairs"} <= set(v) for v in body["by_task"].values()
    )
    assert sum(v["pairs"] for v in body["by_task"].values()) == body["pairs"] == 12
    assert body["t2i"]["pairs"] == 1
    for row in body["rows"]:
        if not row["refused"]:
            assert Image.open(tmp_path / f"run/outputs/{row['key']}.png").size == (64, 64)
            assert (row["kept_psnr"] is None) == (row["task"] in ("global", "character", "style", "t2i"))
            assert bool(row["fails"]) != row["success"]
        if row["base_theme"]:
            assert rebuild(row).instruction == row["instruction"]
    assert set(result.seconds) == {row["key"] for row in body["rows"]}


def test_prompts_beyond_the_model_are_failures_and_not_crashes(model: ModelSystem) -> None:
    case = next(iter(cases(PLAN)))
    made = model.make(Case("x", replace(case.pair, instruction="word " * 200)))
    assert isinstance(made, NoPicture) and made.refused and "tokens" in made.reason


class Crashing:
    """A system that dies after some pictures."""

    def __init__(self, system: ModelSystem, after: int) -> None:
        self.system, self.left, self.identity = system, after, system.identity

    def make(self, case: Case) -> Image.Image | NoPicture:
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt
        return self.system.make(case)


def test_a_crash_loses_nothing_and_changes_no_byte(model: ModelSystem, tmp_path: Path) -> None:
    plain, broken = tmp_path / "plain", tmp_path / "broken"
    evaluate(PLAN, model, out=plain)
    with pytest.raises(KeyboardInterrupt):
        evaluate(PLAN, Crashing(model, 6), out=broken)
    assert not (broken / "results.json").exists()
    lines = (broken / "results.jsonl").read_bytes().splitlines(keepends=True)
    assert len(lines) == 6
    for name in ("results.jsonl", "timings.jsonl"):  # the machine died while it wrote
        with (broken / name).open("ab") as file:
            file.write(b'{"key": "00')
    counting = Crashing(model, 100)
    result = evaluate(PLAN, counting, out=broken)
    assert 100 - counting.left == 13 - 6
    for name in ("results.json", "results.jsonl", "settings.json"):
        assert (broken / name).read_bytes() == (plain / name).read_bytes()
    for picture in (plain / "outputs").iterdir():
        assert (broken / "outputs" / picture.name).read_bytes() == picture.read_bytes()
    assert len(result.seconds) == 13


def test_a_lost_picture_is_made_again(target: Path) -> None:
    before = (target / "results.json").read_bytes()
    picture = next((target / "outputs").iterdir())
    picture.unlink()
    evaluate(PLAN, Target(), out=target)
    assert picture.exists() and (target / "results.json").read_bytes() == before


def test_other_settings_are_refused(target: Path, model: ModelSystem) -> None:
    for plan, system, words in (
        (replace(PLAN, seed=2), Target(), r"seed 1 there, 2 now"),
        (replace(PLAN, limit=None), Target(), r"limit 12 there, none now"),
        (replace(PLAN, tasks=("local",)), Target(), r"tasks local,global.* there, local now"),
        (PLAN, Copy(), "system.name target there, copy now"),
        (PLAN, model, "system.kind baseline there, model now"),
    ):
        with pytest.raises(OptionError, match=words):
            evaluate(plan, system, out=target)


def test_folders_that_cannot_be_used(target: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.txt").write_text("dear")
    with pytest.raises(OptionError, match="holds no evaluation"):
        evaluate(PLAN, Target(), out=tmp_path / "mine")
    settings = json.loads((target / "settings.json").read_text())
    with Ledger(target, settings), pytest.raises(RunError, match="another process"):
        Ledger(target, settings)
    (target / "results.jsonl").write_text("{}\nfrog\n")
    with pytest.raises(DataError, match=r"line 1 of .*results.jsonl' is damaged"):
        evaluate(PLAN, Target(), out=target)
    (target / "settings.json").write_text("frog")
    with pytest.raises(DataError, match="settings"):
        evaluate(PLAN, Target(), out=target)


def test_pictures_of_another_system(target: Path) -> None:
    folder = target / "outputs"
    keys = sorted(p.stem for p in folder.glob("0*.png"))
    (folder / f"{keys[0]}.png").unlink()
    (folder / f"{keys[1]}.png").write_bytes(b"frog")
    big = Image.open(folder / f"{keys[2]}.png").resize((200, 100), Image.Resampling.BICUBIC)
    (folder / f"{keys[2]}.png").unlink()
    big.save(folder / f"{keys[2]}.webp", lossless=True)
    body = evaluate(PLAN, Folder(folder)).body
    assert list(body["missing_pictures"]) == keys[:2]
    assert "no such" in body["missing_pictures"][keys[0]] and keys[1] in body["missing_pictures"][keys[1]]
    assert str(folder) not in json.dumps(body)
    assert (body["pairs"], body["missing"], body["resized"]) == (10, 2, 1)
    assert body["success"] >= 0.9
    rows = {row["key"]: row for row in body["rows"]}
    assert rows[keys[0]]["success"] is None and rows[keys[2]]["resized_from"] == [200, 100]


def test_folders_without_a_usable_picture(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="no folder"):
        Folder(tmp_path / "none")
    with pytest.raises(OptionError, match="holds no picture"):
        Folder(tmp_path)
    Image.new("RGB", (8, 8)).save(tmp_path / "frog.png")
    with pytest.raises(OptionError, match=r"the first is \d{4}\.png"):
        evaluate(PLAN, Folder(tmp_path))


@pytest.mark.parametrize("size", [64, 72])
def test_the_autoencoder_alone(size: int, pipeline: Pipeline) -> None:
    system = Compressed(pipeline.autoencoder, pipeline.resolution, {"model": "debug"})
    body = evaluate(Plan(size, 0, 5, ("local", "text")), system).body
    assert body["resized"] == 0 and body["pairs"] == 5 and body["untouched_psnr"] < 40


def test_pictures_from_outside_are_counted_apart(tmp_path: Path) -> None:
    from inkontext.data.world import Outside

    for i, colour in enumerate(("teal", "olive", "navy")):
        Image.new("RGB", (80, 60), colour).save(tmp_path / f"{i}.png")
    body = evaluate(replace(PLAN, limit=20), Target(), Outside(tmp_path)).body
    assert body["outside"]["photos"] == 3 and str(tmp_path) not in json.dumps(body)
    assert 0 < body["from_outside"]["pairs"] < 20 and body["from_outside"]["success"] == 1.0
