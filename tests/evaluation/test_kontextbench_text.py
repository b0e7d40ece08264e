"""Which words an instruction wants, and whether they are read."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from PIL import Image, ImageDraw, ImageFont

from inkontext.data.world import sample_pair
from inkontext.evaluation import kontextbench_text
from inkontext.evaluation.kontextbench_data import Item
from inkontext.evaluation.kontextbench_text import Reader, TextExact, TextSimilarity, is_hit, similarity, wanted_words

CASES = {
    "Replace 'joy' with 'BFL'": ["BFL"],
    "Change the sign that says 'OPEN' to 'CLOSED'": ["CLOSED"],
    "Add the words “Hello World” in red": ["Hello World"],
    "make it say 'Don't worry'": ["Don't worry"],
    'Replace the text "A" and "B" with "C" and "D"': ["C", "D"],
    'Replace "A" with "B" and "C" with "D"': ["B", "D"],
    "remove the text 'SALE'": [],
    "Remove the sign and write 'X1' there": ["X1"],
    "Replace 'SALE' with a flower": [],
    "Change 'open' to 'OPEN'": ["OPEN"],
    "Make 'open' upper case": ["open"],
    "Move 'A' to the left of 'B'": ["A", "B"],
    'Change the text from "FOO" to "BAR"': ["BAR"],
    "It should read 'Nine', not 'Six'": ["Nine"],
    "Change the title “ONE” to “TWO”, and remove the subtitle “2020”": ["TWO"],
    "Put the dog's hat on the cat's head": [],
    "Write «déjà vu» on it": ["déjà vu"],
    "Make the sky blue": [],
}


def item(instruction: str) -> Item:
    return Item("k", "text", instruction, "k.png", Path("k.png"), 0, 0)


def sign(*lines: str) -> Image.Image:
    picture = Image.new("RGB", (420, 110 * len(lines)), "white")
    font = ImageFont.load_default(64)
    for number, line in enumerate(lines):
        ImageDraw.Draw(picture).text((20, 15 + 110 * number), line, "black", font)
    return picture


@pytest.mark.parametrize("instruction", CASES)
def test_the_words_wanted(instruction: str) -> None:
    assert wanted_words(instruction) == CASES[instruction]


@pytest.mark.parametrize("split", ["train", "test"])
def test_the_words_wanted_are_those_that_the_world_will_show(split: str) -> None:
    quoted = 0
    for seed in range(60):
        pair = sample_pair(seed, "text", 32, split)
        shown = " ".join(t.text for t in pair.scene_after.things if hasattr(t, "text")).replace("\n", " ").casefold()
        words = wanted_words(pair.instruction)
        assert all(word.casefold() in shown for word in words), pair.instruction
        if pair.edit.kind in ("text change", "text correct"):
            assert words == [pair.edit.new], pair.instruction
        assert bool(words) == (pair.edit.kind != "text remove"), pair.instruction
        quoted += len(words)
    assert quoted > 40


def levenshtein(a: str, b: str) -> int:
    if not a or not b:
        return len(a) + len(b)
    return min(levenshtein(a[1:], b) + 1, levenshtein(a, b[1:]) + 1, levenshtein(a[1:], b[1:]) + (a[0] != b[0]))


def test_similarity_is_the_best_over_all_parts_of_the_text() -> None:
    dice = random.Random(1)
    for _ in range(40):
        word = "".join(dice.choices("abc", k=dice.randint(1, 4)))
        text = "".join(dice.choices("abcd", k=dice.randint(0, 5)))
        parts = {text[i:j] for i in range(len(text) + 1) for j in range(i, len(text) + 1)}
        assert similarity(word, [text]) == pytest.approx(1 - min(levenshtein(word, p) for p in parts) / len(word))


def test_similarity_ignores_case_blanks_and_lines_and_hits_stand_alone() -> None:
    assert similarity("Hello World", ["HELLO", "world!"]) == 1.0
    assert similarity("CAT", []) == 0.0 and similarity("CAT", ["dog"]) == 0.0
    assert similarity("KONTEXT", ["a KONTEKT b"]) == pytest.approx(6 / 7)
    assert is_hit("Hello World", ["HELLO", "world!"]) and is_hit("don’t", ["I don't know"])
    assert not is_hit("CAT", ["CATALOG"]) and not is_hit("CAT", ["C4T"]) and not is_hit("CAT", [])
    assert is_hit("BFL", ["welcome to B F L"]) and is_hit("a.b", ["a.b"]) and not is_hit("a.b", ["axb"])


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
    monkeypatch.setattr(kontextbench_text, "find_spec", lambda name: None)
    metric = TextExact(Reader())
    assert metric.identity == {} and "pip install 'inkontext[eval]'" in (metric.available() or "")
