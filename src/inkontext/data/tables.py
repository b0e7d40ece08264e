"""Text, JSON, lines of JSON and tables that somebody brings, read strictly: the one place where it is done.

Text is UTF-8, with or without a byte order mark. A line ends at a newline (LF, CR LF or CR) and nowhere else: U+2028,
U+0085 or a form feed stand inside of it. A row of a table has as many cells as the first line. What is wrong is told
with its line, nothing is guessed, and no byte is replaced.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from inkontext.errors import DataError

_OTHER: Final = {
    codecs.BOM_UTF32_LE: "UTF-32", codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16", codecs.BOM_UTF16_BE: "UTF-16",
}  # fmt: skip
_SEPARATORS: Final = {",": "commas", "\t": "tabs", ";": "semicolons", "|": "bars"}


@dataclass(frozen=True, slots=True)
class Line:
    """A line of JSON, or a row of a table, which may go over several lines.

    Attributes:
        number: of its first line in the file, from 1.
        value: what it says; None where it says nothing.
        fault: why it says nothing, in words that follow "line 3 of the file"; "" where it does.
        cut: whether the file ends inside of it, without a newline.
    """

    number: int
    value: Any = None
    fault: str = ""
    cut: bool = False


def decode_text(data: bytes) -> str:
    """The text of bytes, without the mark.

    Raises:
        ValueError: they are no text in UTF-8; with the reason, in words that follow "the file".
    """
    for mark, name in _OTHER.items():
        if data.startswith(mark):
            raise ValueError(f"is {name} text")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # The mark is cut off before the decoder counts.
        at = error.start + (len(codecs.BOM_UTF8) if data.startswith(codecs.BOM_UTF8) else 0)
        line = data.count(b"\n", 0, at) + 1
        cut = ", or breaks off behind it" if error.reason == "unexpected end of data" else ""
        raise ValueError(f"has a byte in line {line}, 0x{data[at]:02x}, that is no UTF-8 text{cut}") from error
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise ValueError(f"has a zero byte in line {line}, as UTF-16 text has")
    return text


def read_text(path: Path) -> str:
    """A file's text.

    Raises:
        DataError: it cannot be read, or is no text in UTF-8; the line is named.
    """
    try:
        return decode_text(path.read_bytes())
    except OSError as error:
        raise DataError(f"'{path}' cannot be read ({error.strerror}); check the path") from error
    except ValueError as error:
        raise DataError(f"'{path}' cannot be read, as it {error}; save it as UTF-8") from error


def text_lines(text: str) -> list[str]:
    """The lines of a text, without their ends."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text.removesuffix("\n").split("\n") if text else []


def parse_json(text: str) -> Any:
    """What a JSON text says.

    Raises:
        ValueError: with the reason, in words that follow "line 3 of the file".
    """
    try:
        value = json.loads(text, object_pairs_hook=_object)
    except json.JSONDecodeError as error:
        escape = "; write / or \\\\ in paths" if "escape" in error.msg else ""
        raise ValueError(f"is not valid JSON ({error.msg}, character {error.colno}){escape}") from error
    except RecursionError as error:
        raise ValueError("is not valid JSON that can be read (it is nested too deeply)") from error
    if "\\ud" in text.lower():  # only an escape can make half a character
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            raise ValueError("is not valid text (half of a surrogate pair)") from error
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    body = dict(pairs)
    if len(body) < len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))
        raise ValueError(f"names the field '{twice}' twice")
    return body


def read_json(path: Path) -> Any:
    """What a JSON file says. Raises DataError."""
    text = read_text(path)
    try:
        return parse_json(text)
    except ValueError as error:
        where = f"line {error.__cause__.lineno} of " if isinstance(error.__cause__, json.JSONDecodeError) else ""
        raise DataError(f"{where}'{path}' {error}; correct it") from error


def json_lines(path: Path) -> Iterator[Line]:
    """The lines of a file of JSON, without empty ones. Raises DataError where the file is no text."""
    text = read_text(path)
    lines = text_lines(text)
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                yield Line(number, parse_json(line))
            except ValueError as error:
                yield Line(number, fault=str(error), cut=number == len(lines) and text[-1] not in "\r\n")


@dataclass(frozen=True)
class Table:
    """The names in a table's first line, and its rows by these names; of columns without a name nothing is kept."""

    columns: tuple[str, ...]
    rows: list[Line]


def read_table(path: Path, separator: str = ",") -> Table:
    """A table whose first line names its columns: CSV, or TSV, in which quotation marks mean nothing.

    Raises:
        DataError: it is no text, its columns are separated by something else, or two have one name.
    """
    first, *rest = read_cells(path, separator) or [Line(1, [])]
    if first.fault:
        raise DataError(f"line {first.number} of '{path}' {first.fault}; correct it")
    columns = tuple(name.strip() for name in first.value)
    other = next((s for s in _SEPARATORS if s != separator and s in "".join(columns[:1])), None)
    if len(columns) == 1 and other:
        raise DataError(
            f"the columns of '{path}' are separated by {_SEPARATORS[other]}; save it with {_SEPARATORS[separator]}"
        )
    twice = next((name for n, name in enumerate(columns) if name and name in columns[:n]), None)
    if twice:
        raise DataError(f"line {first.number} of '{path}' names the column '{twice}' twice; rename one")
    rows = [line if line.fault else Line(line.number, _named(columns, line.value)) for line in rest]
    return Table(columns, rows)


def _named(columns: Iterable[str], cells: Iterable[str]) -> dict[str, str]:
    return {name: cell for name, cell in zip(columns, cells, strict=True) if name}


def read_cells(path: Path, separator: str = ",") -> list[Line]:
    """The rows of a table, its first line among them, as lists of cells; empty ones are left out. Raises DataError."""
    text = read_text(path)
    rows = list(_quoted(text, separator) if separator != "\t" else _plain(text, separator))
    wanted = next((len(line.value) for line in rows if not line.fault), 0)
    hint = "; put a cell that holds a comma in quotation marks" if separator == "," else ""
    return [line if line.fault or len(line.value) == wanted else _ragged(line, wanted, hint) for line in rows]


def _ragged(line: Line, wanted: int, hint: str) -> Line:
    cells = len(line.value)
    return Line(line.number, fault=f"has {cells} cell{'s' * (cells != 1)}, and the first line {wanted}{hint}")


def _plain(text: str, separator: str) -> Iterator[Line]:
    for number, line in enumerate(text_lines(text), 1):
        if line.strip():
            yield Line(number, line.split(separator))


def _quoted(text: str, separator: str) -> Iterator[Line]:
    """As Python's csv module reads them, strictly. Behind a row that cannot be read nobody knows where rows begin."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    while True:
        number = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            why = (
                "opens a quotation mark that nothing closes" if "end of data" in str(error) else f"is no CSV ({error})"
            )
            yield Line(number, fault=f"{why}, and what follows it cannot be read")
            return
        if cells:
            yield Line(number, cells)
