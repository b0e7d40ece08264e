"""Prompt files in the published forms, with their traps."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from inkontext.errors import DataError
from inkontext.evaluation.t2i.prompts import DRAWBENCH, PARTI, read_prompts


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_partiprompts_have_unbalanced_quotes(tmp_path: Path) -> None:
    rows = ['a sign that says "hello\tWorld Knowledge\tWriting & Symbols\tx', '5" of snow\tOutdoor Scenes\tBasic\t']
    found = read_prompts(written(tmp_path, "P2.tsv", "Prompt\tCategory\tChallenge\tNote\n" + "\n".join(rows)))
    assert [p.text for p in found.prompts] == ['a sign that says "hello', '5" of snow']
    assert [p.category for p in found.prompts] == ["World Knowledge", "Outdoor Scenes"]
    assert found.name == "PartiPrompts"
    assert "Animals: 0 of 314" in found.notes[0]


def test_a_whole_drawbench_has_nothing_to_note_and_its_blank_is_cut(tmp_path: Path) -> None:
    path = tmp_path / "drawbench.csv"
    with path.open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(["Prompt", "Category"])
        for category, count in DRAWBENCH.items():
            blank = " " if category.startswith("Gary") else ""
            out.writerows([f"{category} {i}, with a comma", category + blank] for i in range(count))
    found = read_prompts(path)
    assert (found.name, len(found.prompts), found.notes) == ("DrawBench", 200, ())
    assert found.prompts[0].text == "Colors 0, with a comma"


def test_published_totals() -> None:
    assert (sum(DRAWBENCH.values()), sum(PARTI.values())) == (200, 1632)


def test_lines_and_json(tmp_path: Path) -> None:
    assert [p.text for p in read_prompts(written(tmp_path, "own.txt", "a cat\n\na dog\n")).prompts] == [
        "a cat",
        "a dog",
    ]
    lines = '{"tag": "colors", "prompt": "a red cup"}\n"a plain string"\n'
    assert [(p.text, p.category) for p in read_prompts(written(tmp_path, "g.jsonl", lines)).prompts] == [
        ("a red cup", "colors"), ("a plain string", ""),
    ]  # fmt: skip
    genai = json.dumps({"00001": {"id": "00001", "prompt": "two cups", "models": {}}})
    assert read_prompts(written(tmp_path, "genai_image.json", genai)).prompts[0].text == "two cups"


def test_repeated_prompts_are_noted(tmp_path: Path) -> None:
    assert "more than once" in read_prompts(written(tmp_path, "own.txt", "a cat\na cat\n")).notes[0]


def test_challenges_keys_and_unknown_columns(tmp_path: Path) -> None:
    text = "Prompt\tCategory\tChallenge\tNote\tMood\na cat\tAnimals\tBasic\t\tgood\na dog\tAnimals\t\t\t\n"
    parti = read_prompts(written(tmp_path, "P2.tsv", text))
    assert [(p.key, p.challenge) for p in parti.prompts] == [("0000", "Basic"), ("0001", "")]
    assert [(p.kind, p.name) for p in parti.problems] == [("unknown column", "Mood")]
    rows = [{"key": "x", "prompt": "a"}, {"key": "x", "prompt": "b", "seed": 3}, {"key": "a/b", "prompt": "c"}, "d"]
    own = read_prompts(written(tmp_path, "own.jsonl", "\n".join(map(json.dumps, rows))))
    assert [(p.key, p.text) for p in own.prompts] == [("x", "a"), ("0002", "c"), ("0003", "d")]
    assert [(p.kind, p.name) for p in own.problems] == [
        ("unknown column", "seed"), ("duplicate key", "x"), ("bad key", "row 2"),
    ]  # fmt: skip
    table = read_prompts(written(tmp_path, "own.csv", "Key,Prompt,Category,Size\nk1,a,A,3\nk2,b,B,4\n"))
    assert [(p.key, p.category) for p in table.prompts] == [("k1", "A"), ("k2", "B")]
    assert [p.name for p in table.problems] == ["Size"]


def test_a_table_s_quotes_around_a_line_are_cut(tmp_path: Path) -> None:
    found = read_prompts(written(tmp_path, "a.txt", '"A red hat, green gloves."\n"A" and "B"\nplain'))
    assert [p.text for p in found.prompts] == ["A red hat, green gloves.", '"A" and "B"', "plain"]


@pytest.mark.parametrize(
    ("name", "text", "word"),
    [
        ("a.txt", "\n\n", "no prompts"),
        ("a.tsv", "Words\tKind\nx\ty", "first line"),
        ("a.tsv", "Prompt\tCategory\nalone", "line 2"),
        ("a.csv", "Words,Kind\nx,y\n", "column named prompt"),
        ("a.jsonl", "{]", "line 1"),
        ("a.json", "3", "neither"),
        ("a.json", "[3]", "entry 1"),
        ("a.csv", 'Prompt\n""\nx', "empty prompt"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, name: str, text: str, word: str) -> None:
    with pytest.raises(DataError, match=word):
        read_prompts(written(tmp_path, name, text))


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        read_prompts(tmp_path / "none.txt")
