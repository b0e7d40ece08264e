"""The safety benchmark: its figures from pictures whose truth is known, and its table from a debug model."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks import safety
from inkontext.data.world.forbidden import SafetyRow, sample_safety_row, stamp
from inkontext.pipeline import Pipeline


class Answering:
    """A pipeline that answers every request with one of the row's own pictures."""

    resolution, text_length = 64, 40

    def __init__(self, answer: str, longest: int) -> None:
        self.answer, self.longest = answer, longest
        self.towers = self

    def count(self, text: str) -> int:
        return 41 if len(text) > self.longest else 10


def answered(answer: str, monkeypatch: pytest.MonkeyPatch, longest: int = 1000) -> Pipeline:
    def give(pipeline: Answering, number: int, row: SafetyRow, steps: int | None) -> np.ndarray:
        made = row.references[0] if pipeline.answer == "context" else getattr(row, pipeline.answer) or row.safe
        return np.asarray(made)

    monkeypatch.setattr(safety, "picture", give)
    return Answering(answer, longest)  # type: ignore[return-value]


def hits(answers: safety.Answers) -> list[bool]:
    return [hit for _, hit in answers]


def test_kinds_that_draw_the_same_scenes_are_no_independent_evidence() -> None:
    """Twelve scenes, asked in five ways each: 60 answers, and as much as 12 where a scene's answers agree."""
    scenes: safety.Answers = [(n, n % 2 == 0) for n in range(12)]
    sides = {f"sign made, edit, {kind}": scenes for kind in "abcde"}
    rows = {row["figure"]: row for row in safety.table(sides, sides)}
    assert rows["sign made, edit, a"]["before"] == "6 of 12 (25–75 %)"  # Wilson's
    assert rows["sign made, edit, all"]["before"].startswith("30 of 60 (1")
    assert rows["sign made, caption, all"]["after"] == "no request short enough"


def test_a_model_that_obeys_and_one_that_declines(monkeypatch: pytest.MonkeyPatch) -> None:
    bad, good = answered("unwanted", monkeypatch), answered("safe", monkeypatch)
    for kind in ("plain", "indirect", "inside"):
        assert hits(safety.asked(bad, kind, True, 5, 0, None)) == [True] * 5
        assert hits(safety.asked(good, kind, True, 5, 0, None)) == [False] * 5
    assert hits(safety.asked(bad, "plain", False, 3, 0, None)) == [True] * 3
    refusing = answered("context", monkeypatch)
    for kind in ("alike", "remove"):
        assert hits(safety.harmless(good, kind, 5, 0, None)) == [True] * 5
        assert hits(safety.harmless(refusing, kind, 5, 0, None)) == [False] * 5
    row = sample_safety_row(0, 64, "test", "alike", True)
    assert not safety.done(np.asarray(stamp(row.safe, 500, 500)), row)  # the sign instead of what looks like it


def test_requests_that_are_too_long_are_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    found = list(safety.requests("inside", True, answered("safe", monkeypatch, 90), 6, 0))
    assert len(found) == 6 and all(len(row.instruction) <= 90 for _, row in found)
    number, row = found[0]
    again = sample_safety_row(number, 64, "test", "inside", True)
    assert row.instruction == again.instruction and row.safe.tobytes() == again.safe.tobytes()


def test_the_table_of_a_debug_model(debug_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = ("--json", str(tmp_path / "a.json"), "--markdown", str(tmp_path / "a.md"))
    model = str(debug_folder)
    safety.main(["--before", model, "--after", model, "--rows", "1", "--steps", "1", "--limit", "5", *files])
    rows = {row["figure"]: row for row in json.loads((tmp_path / "a.json").read_text())["rows"]}
    assert {"sign made, edit, plain", "sign made, caption, misspelt", "harmless done, remove"} <= rows.keys()
    assert rows["sign made, edit, all"]["before"].startswith("0 of 5 ")
    assert rows["sign made, caption, plain"]["after"] == "no request short enough"  # a byte a token, 64 at most
    assert rows["world, success"]["before"] == rows["world, success"]["after"]
    assert "| sign made, edit, all | 0 of 5" in (tmp_path / "a.md").read_text()


def test_the_classifier_on_held_out_pictures() -> None:
    rows = {row["threshold"]: row for row in safety.filter_rows(60, 3)}
    chosen = rows[safety.THRESHOLD]
    assert chosen["found"] == chosen["with the sign"] > 20 and chosen["false alarms"] == 0
    assert chosen["precision %"] == chosen["recall %"] == 100
    assert rows[0.9]["recall %"] < 100 and rows[0.5]["false alarms"] > 0
    assert chosen["nearest without"] < safety.THRESHOLD < chosen["faintest with"]


def test_a_picture_is_sampled_with_the_number_of_its_request(pipeline: Pipeline) -> None:
    number, row = 5, sample_safety_row(5, 64, "test", "plain", True)
    made = safety.picture(pipeline, number, row, 1)
    again = pipeline.edit(row.references[0], row.instruction, seed=number, steps=1).images[0]
    assert Image.fromarray(made).tobytes() == again.tobytes()
