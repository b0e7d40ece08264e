"""Learning a tokenizer from the words that a model will read: instructions of the world, and text files."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

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
        if path.stat().st_size > _MOST_BYTES:
            raise DataError(f"corpus '{path}' is larger than {_MOST_BYTES >> 20} MiB; take a part of it")
        text = path.read_text(encoding="utf-8")
        lines = _texts(path, text)
    except OSError as error:
        raise DataError(f"cannot read corpus '{path}' ({error.strerror}); check the path") from error
    except ValueError as error:
        raise DataError(f"corpus '{path}' is not valid {path.suffix or 'UTF-8'} ({error}); correct it") from error
    if not lines:
        raise DataError(f"corpus '{path}' holds no text; give lines, or JSON strings")
    return lines


def _texts(path: Path, text: str) -> list[str]:
    if path.suffix == ".json":
        body = json.loads(text)
        found = body if isinstance(body, list) else []
    elif path.suffix == ".jsonl":
        from inkontext.data.fields import read_fields

        found = [read_fields(json.loads(line)).instruction for line in text.splitlines() if line.strip()]
    else:
        found = [line.partition("\t")[0] if path.suffix == ".tsv" else line for line in text.splitlines()]
    return [line.strip() for line in found if isinstance(line, str) and line.strip()]


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
