"""Learning a tokenizer from the words that a model will read: instructions of the world, and text files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from inkontext.data.fields import read_fields
from inkontext.data.tables import Line, json_lines, read_cells, read_json, read_text, text_lines
from inkontext.errors import DataError, OptionError, StorageError
from inkontext.storage import atomic_path

_SIZE = 48  # pixels: the words of a pair hardly depend on its size, and small pictures are drawn fast
_TRAIN, _HELD_OUT = 0, 1 << 40  # first seeds
_SMALLEST = 300  # 256 bytes and the special pieces must fit in
_MOST_BYTES = 512 * 2**20


def world_instructions(
    count: int,
    split: str = "train",
    photos: Path | None = None,
    emoji: Path | None = None,
    tick: Callable[[int, int], None] | None = None,
) -> Iterator[str]:
    """Instructions of `count` world pairs of all tasks."""
    from inkontext.data.world import Outside, sample_pair

    outside = Outside(photos, emoji) if photos or emoji else None
    first = _TRAIN if split == "train" else _HELD_OUT
    for number in range(count):
        yield sample_pair(first + number, None, _SIZE, split, outside).instruction
        if tick is not None and number % 100 == 99:
            tick(number + 1, count)


def corpus_lines(path: Path) -> list[str]:
    """The texts of a file: lines of .txt, strings of a .json list, first column of .tsv, instructions of .jsonl.

    Raises:
        DataError: missing, too large, no text, or holding none.
    """
    try:
        large = path.stat().st_size > _MOST_BYTES
    except OSError as error:
        raise DataError(f"cannot read corpus '{path}' ({error.strerror}); check the path") from error
    if large:
        raise DataError(f"corpus '{path}' is larger than {_MOST_BYTES >> 20} MiB; take a part of it")
    lines = [line.strip() for line in _texts(path) if isinstance(line, str) and line.strip()]
    if not lines:
        raise DataError(f"corpus '{path}' holds no text; give lines, or JSON strings")
    return lines


def _texts(path: Path) -> list[Any]:
    if path.suffix == ".json":
        body = read_json(path)
        return body if isinstance(body, list) else []
    if path.suffix == ".jsonl":
        return [_of_line(path, line, lambda row: read_fields(row).instruction) for line in json_lines(path)]
    if path.suffix == ".tsv":
        return [_of_line(path, line, lambda cells: cells[0]) for line in read_cells(path, "\t")]
    return text_lines(read_text(path))


def _of_line(path: Path, line: Line, text: Callable[[Any], str | None]) -> str | None:
    try:
        if line.fault:
            raise ValueError(line.fault)
        return text(line.value)
    except ValueError as error:
        raise DataError(f"line {line.number} of corpus '{path}' {error}; correct it") from error


def make_tokenizer(out: Path, size: int, texts: Iterable[str]) -> Any:
    """Learn `size` pieces and write a tokenizer.json.

    Raises:
        OptionError: too few pieces, or another kind of file. DataError: no text at all. StorageError: the disk refuses.
    """
    from inkontext.training.new_towers import learn_pieces

    if size < _SMALLEST:
        raise OptionError(f"{size} pieces are too few; the bytes alone take 256, so ask for {_SMALLEST} or more")
    if out.suffix != ".json":
        raise OptionError(f"'{out}' should end in .json; name the tokenizer so")
    texts = list(texts)
    if not texts:
        raise DataError("there is no text to learn from; raise --world or name a --corpus")
    pieces = learn_pieces(texts, size)
    with atomic_path(out) as temporary:
        try:
            pieces.save(str(temporary))
        except Exception as error:  # the library raises nothing narrower
            raise StorageError(f"cannot write '{out}' ({error}); free some space") from error
    return pieces


def lengths(tokenizer: Any, texts: Sequence[str]) -> dict[str, float]:
    """Tokens a text, the end included: mean, 95th and 99th percentile, maximum; and characters a token."""
    counts = np.array([len(encoding.ids) for encoding in tokenizer.encode_batch(list(texts))])
    characters = sum(map(len, texts))
    return {
        "texts": len(texts),
        "mean": float(counts.mean()),
        "p95": float(np.percentile(counts, 95)),
        "p99": float(np.percentile(counts, 99)),
        "max": int(counts.max()),
        "characters_per_token": characters / float(counts.sum()),
    }
