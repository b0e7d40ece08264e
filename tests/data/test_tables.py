"""Text, JSON and tables from outside: what the standard library reads is read alike, all else refused by its line."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inkontext.data.tables import json_lines, parse_json, read_cells, read_json, read_table, read_text, text_lines
from inkontext.errors import DataError

INSIDE = "\u2028\u2029\x85\x0b\x0c\x1c\x1d\x1e"  # where str.splitlines() breaks a line, and no editor does
# csv.writer leaves a CR bare, where csv.reader ends the row.
CELL = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"), max_size=12)


def written(folder: Path, data: str | bytes, name: str = "a.csv") -> Path:
    path = folder / name
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


# ------------------------------------------------------------------ what is right is read


@given(st.lists(st.tuples(CELL, CELL, CELL), max_size=6), st.sampled_from(["\n", "\r\n"]), st.booleans())
def test_tables_are_what_the_csv_module_reads(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, ...]], end: str, mark: bool
) -> None:
    file = io.StringIO()
    out = csv.writer(file, lineterminator=end)
    out.writerow(["image", "prompt", "note"])
    out.writerows(rows)
    data = file.getvalue().encode("utf-8-sig" if mark else "utf-8")
    table = read_table(written(tmp_path_factory.mktemp("csv"), data))
    assert [line.value for line in table.rows] == list(csv.DictReader(io.StringIO(file.getvalue(), newline="")))
    assert table.columns == ("image", "prompt", "note") and not any(line.fault for line in table.rows)


@given(st.lists(st.recursive(st.none() | st.booleans() | CELL, lambda some: st.dictionaries(CELL, some)), max_size=6))
def test_lines_are_what_the_json_module_reads(tmp_path_factory: pytest.TempPathFactory, bodies: list[object]) -> None:
    text = "".join(json.dumps(body, ensure_ascii=False) + "\n" for body in bodies)
    lines = list(json_lines(written(tmp_path_factory.mktemp("jsonl"), "\ufeff" + text, "a.jsonl")))
    assert [(line.number, line.value, line.fault) for line in lines] == [(n, b, "") for n, b in enumerate(bodies, 1)]


def test_a_line_ends_at_a_newline_and_nowhere_else(tmp_path: Path) -> None:
    assert text_lines(f"a{INSIDE}b\nc\r\nd\re\n") == [f"a{INSIDE}b", "c", "d", "e"] and text_lines("") == []
    assert text_lines("a\n\nb") == ["a", "", "b"]
    (line,) = json_lines(written(tmp_path, f'{{"a": "x{INSIDE[:3]}y"}}\n', "a.jsonl"))
    assert line.value == {"a": f"x{INSIDE[:3]}y"}
    (row,) = read_table(written(tmp_path, f"a,b\nx{INSIDE}y,z\n")).rows
    assert row.value == {"a": f"x{INSIDE}y", "b": "z"}


def test_a_row_is_named_by_its_first_line(tmp_path: Path) -> None:
    table = read_table(written(tmp_path, 'a,b\n"one\ntwo",1\n\n\nx,y,z\nu,v\n'))
    assert [(line.number, bool(line.fault)) for line in table.rows] == [(2, False), (6, True), (7, False)]
    assert table.rows[0].value == {"a": "one\ntwo", "b": "1"}


def test_quotation_marks_mean_nothing_between_tabs(tmp_path: Path) -> None:
    table = read_table(written(tmp_path, 'a\tb\n5" of\t"x\n', "a.tsv"), "\t")
    assert [line.value for line in table.rows] == [{"a": '5" of', "b": '"x'}]
    assert [line.value for line in read_cells(written(tmp_path, "a\tb\n", "a.tsv"), "\t")] == [["a", "b"]]


def test_a_column_without_a_name_is_left_out(tmp_path: Path) -> None:
    assert read_table(written(tmp_path, ", image ,\n0,a.png,x\n")).rows[0].value == {"image": "a.png"}
    assert read_table(written(tmp_path, "")).columns == ()


# ------------------------------------------------------------------ what is wrong is told


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("ä\n".encode("utf-16"), "it is UTF-16 text; save it as UTF-8"),
        ("ä\n".encode("utf-32"), "it is UTF-32 text"),
        ("ab\ncd\n".encode("utf-16-le"), "a zero byte in line 1, as UTF-16 text has"),
        ("a\nb\ncafé\n".encode("cp1252"), "a byte in line 3, 0xe9, that is no UTF-8 text; save it as UTF-8"),
        ("\ufeffa\ncafé\n".encode() + b"\x80", "a byte in line 3, 0x80, that is no UTF-8"),
        (
            "a\nü".encode()[:-1],
            "a byte in line 2, 0xc3, that is no UTF-8 text, or breaks off behind it; save it as UTF-8",
        ),
    ],
)
def test_what_is_no_text_in_utf_8(tmp_path: Path, data: bytes, words: str) -> None:
    with pytest.raises(DataError, match=words):
        read_text(written(tmp_path, data, "a.txt"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a,b\nx,y,z\n", "2: has 3 cells, and the first line 2; put a cell that holds a comma in quotation marks"),
        ("a,b\nx\n", "2: has 1 cell, and the first line 2"),
        ('a,b\nx,"y\nz,u\n', "2: opens a quotation mark that nothing closes, and what follows it cannot be read"),
        ('a,b\nx,"y" z\nu,v\n', "2: is no CSV (',' expected after '\"'), and what follows"),
        ('a,b\nx,"y\n"z",u\n', "2: is no CSV"),
        ('a,b\nx,"' + "y" * 200_000, "2: is no CSV (field larger than field limit"),
    ],
)
def test_rows_that_are_wrong(tmp_path: Path, text: str, words: str) -> None:
    bad = next(line for line in read_table(written(tmp_path, text)).rows if line.fault)
    assert f"{bad.number}: {bad.fault}".startswith(words)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a;b\nx;y\n", "are separated by semicolons; save it with commas"),
        ("a\tb\nx\ty\n", "are separated by tabs; save it with commas"),
        ("a,b,a\n1,2,3\n", "line 1 of .* names the column 'a' twice"),
        ('"a,b\n', "line 1 of .* opens a quotation mark"),
    ],
)
def test_tables_that_are_wrong(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(DataError, match=words):
        read_table(written(tmp_path, text))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{]", "is not valid JSON"), ('{"a": "x\\img.png"}', "write / or"), ('{"a": 1, "a": 2}', "the field 'a' twice"),
        ('{"a": "\\ud83d"}', "half of a surrogate pair"), ("[" * 100_000, "nested too deeply"), ("{} {}", "Extra data"),
        ('{"a": "x\ny"}'.replace("\n", "\t"), "Invalid control character"),
    ],
)  # fmt: skip
def test_json_that_is_wrong(text: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError) as caught:
        parse_json(text)
    assert words in str(caught.value)
    lines = list(json_lines(written(tmp_path, f"{{}}\n\n{text}", "a.jsonl")))
    assert [(line.number, line.cut) for line in lines if line.fault] == [(3, True)]
    with pytest.raises(DataError, match="correct it"):
        read_json(written(tmp_path, text, "a.json"))


def test_a_whole_pair_of_surrogates_is_a_character() -> None:
    assert parse_json('["\\ud83d\\ude00"]') == ["😀"]
