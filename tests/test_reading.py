"""Which words an instruction asks for, whether they are read, and which seed is kept."""

from __future__ import annotations

import random
import sys
from types import SimpleNamespace

import pytest
from PIL import Image, ImageDraw, ImageFont

from inkontext import reading
from inkontext.data.world import sample_pair
from inkontext.errors import OptionError
from inkontext.reading import (
    Reader,
    TextReport,
    asked_words,
    check,
    described_words,
    is_hit,
    quotations,
    similarity,
    until_right,
)

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


DESCRIBED = {
    "A storefront with 'Hello World' written on it.": ["Hello World"],
    'A bar of chocolate without a wrapper that has the word "WRAPPER" printed on it.': ["WRAPPER"],
    "a book with the words 'Don't Panic!' written on it": ["Don't Panic!"],
    'a poster of "ONE" with the word "TWO"': ["ONE", "TWO"],
    "the word 'START' written above the word 'SMILING'": ["START", "SMILING"],
    "a sign that says 'YES', not 'NO'": ["YES"],
    "a shop front without the word 'SALE' on its sign": [],
    "a sign that says Deep Learning": [],
    'a dog of the breed "Komondor"': [],
    "world's best brother's t-shirt with a sign": [],
    'a wall with “Déjà vu” painted on it': ["Déjà vu"],
}  # fmt: skip


def sign(*lines: str) -> Image.Image:
    picture = Image.new("RGB", (420, 110 * len(lines)), "white")
    font = ImageFont.load_default(64)
    for number, line in enumerate(lines):
        ImageDraw.Draw(picture).text((20, 15 + 110 * number), line, "black", font)
    return picture


@pytest.mark.parametrize("prompt", DESCRIBED)
def test_the_words_that_a_description_asks_for(prompt: str) -> None:
    assert described_words(prompt) == DESCRIBED[prompt]


@pytest.mark.parametrize("instruction", CASES)
def test_the_words_wanted(instruction: str) -> None:
    assert asked_words(instruction) == CASES[instruction]


@pytest.mark.parametrize("split", ["train", "test"])
def test_the_words_wanted_are_those_that_the_world_will_show(split: str) -> None:
    quoted = 0
    for seed in range(60):
        pair = sample_pair(seed, "text", 32, split)
        shown = " ".join(t.text for t in pair.scene_after.things if hasattr(t, "text")).replace("\n", " ").casefold()
        words = asked_words(pair.instruction)
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


def test_quotations_are_found_where_they_are() -> None:
    text = "Put 'A b' on Ann's “sign”"
    assert [text[a:b] for a, b in quotations(text)] == ["'A b'", "“sign”"]


def test_a_picture_is_checked_for_its_words() -> None:
    pytest.importorskip("rapidocr_onnxruntime")
    reader = Reader()
    right = check(sign("KONTEXT", "bench"), ["KONTEXT", "bench"], reader)
    assert right.right and right.similarity == (1.0, 1.0)
    assert right.sentence() == 'read as asked: "KONTEXT", "bench"'
    wrong = check(sign("KONTEXT"), ["CONTEXT"], reader)
    assert not wrong.right and wrong.similarity[0] == pytest.approx(6 / 7)
    assert wrong.sentence() == 'did not read "CONTEXT"; read "KONTEXT"'
    blank = check(Image.new("RGB", (64, 64), "white"), ["A"], reader)
    assert blank.read == () and blank.sentence() == 'did not read "A"; read no text'


def test_nothing_to_look_for_and_no_engine_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    picture = Image.new("RGB", (8, 8))
    for words in ([], [" "]):
        with pytest.raises(OptionError, match="quotation marks"):
            check(picture, words)
    monkeypatch.setattr(reading, "find_spec", lambda name: None)
    with pytest.raises(OptionError, match="pip install 'inkontext"):
        check(picture, ["A"])


def test_an_engine_that_fails_is_told_in_the_report(monkeypatch: pytest.MonkeyPatch) -> None:
    class Engine:
        def __call__(self, *given: object, **more: object) -> None:
            raise RuntimeError("out of\nsorts")

    monkeypatch.setitem(sys.modules, "rapidocr_onnxruntime", SimpleNamespace(RapidOCR=Engine))
    monkeypatch.setattr(reading, "find_spec", lambda name: object())
    found = check(Image.new("RGB", (8, 8)), ["A", "B"])
    assert found.sentence() == "the words could not be looked for: text recognition failed (RuntimeError: out of sorts)"
    assert (found.right, found.found, found.score) == (False, (False, False), (0, 0.0))
    assert found.as_dict()["unread"] == found.unread
    made: list[int] = []
    kept = until_right(lambda seed: made.append(seed) or seed, lambda _: found, (3, 4, 5))
    assert made == [3] and kept.seed == 3


def report(*near: float) -> TextReport:
    return TextReport(("A",) * len(near), ("x",), tuple(n == 1 for n in near), near)


def test_seeds_are_tried_until_the_text_is_right() -> None:
    made: list[int] = []
    reports = {3: report(0.2, 1.0), 4: report(0.9, 0.5), 5: report(1.0, 1.0), 6: report(1.0, 1.0)}

    def make(seed: int) -> int:
        made.append(seed)
        return seed

    kept = until_right(make, reports.__getitem__, (3, 4, 5, 6))
    assert (kept.result, kept.seed, made) == (5, 5, [3, 4, 5])
    assert kept.sentence() == 'seed 5 was kept, the first that read as asked: "A", "A"'
    best = until_right(make, reports.__getitem__, (4, 3))
    assert best.seed == 3  # a word that is whole counts more than letters
    assert best.sentence().startswith("seed 3 was kept, the nearest after 2 seeds, none of which showed every word;")
    assert best.as_dict()["right"] is False and [t["seed"] for t in best.as_dict()["tries"]] == [4, 3]
    assert until_right(make, lambda _: report(0.5), (8, 7)).seed == 8  # the earlier of equals
    assert until_right(make, lambda _: report(0.5), (8,)).sentence().startswith("seed 8: did not read")
    with pytest.raises(OptionError, match="no seed"):
        until_right(make, reports.__getitem__, ())
