"""Whether the words that an instruction wants are read: the scores."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from inkontext import reading
from inkontext.evaluation.kontextbench.data import Item
from inkontext.evaluation.kontextbench.metrics import TextExact, TextSimilarity
from inkontext.evaluation.reading import Reader
from tests.test_reading import sign


def item(instruction: str) -> Item:
    return Item("k", "text", instruction, "k.png", Path("k.png"), 0, 0)


def test_a_rendered_word_is_read() -> None:
    pytest.importorskip("rapidocr_onnxruntime")
    reader = Reader()
    near, exact = TextSimilarity(reader), TextExact(reader)
    picture = sign("KONTEXT", "bench")
    asked = item('Write "KONTEXT" and below it "bench"')
    score = near.score(asked, picture, picture)
    assert score.value == 1.0 and score.evidence["wanted"] == ["KONTEXT", "bench"]
    assert [line.replace(" ", "") for line in score.evidence["read"]] == ["KONTEXT", "bench"]
    assert exact.score(asked, picture, picture).value == 1.0
    other = item('Change "KONTEXT" to "CONTEXT"')
    assert near.score(other, picture, picture).value == pytest.approx(6 / 7, abs=1e-6)
    assert exact.score(other, picture, picture).value == 0.0
    blank = Image.new("RGB", (200, 100), "white")
    assert near.score(other, blank, blank).value == 0.0  # nothing is readable: zero, and not missing
    assert exact.score(other, blank, blank).value == 0.0


def test_without_a_quoted_word_the_score_is_missing_and_nothing_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    reader = Reader()
    monkeypatch.setattr(reader, "lines", None)
    picture = sign("x")
    for metric in (TextSimilarity(reader), TextExact(reader)):
        score = metric.score(item("Make the letters red"), picture, picture)
        assert score.value is None and score.reason == "the instruction quotes no word to show"


def test_a_missing_engine_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "find_spec", lambda name: None)
    metric = TextExact(Reader())
    assert metric.identity == {} and "pip install 'inkontext[eval]'" in (metric.available() or "")
