"""Edit pairs and captioned pictures on disk: which format a folder is in, and its rows.

    lines     metadata.jsonl (or any .jsonl, or metadata.csv); names of fields in `fields.py`
    shards    *.tar with KEY.target.png, KEY.ref0.png, KEY.json
    twins     target/NAME.png, reference/NAME.png or NAME_0.png, NAME_1.png ..., target/NAME.txt
    captions  NAME.png beside NAME.txt, for text-to-image

Formats are tried in this order. Nothing is decoded here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from inkontext.data.fields import read_fields
from inkontext.data.folders import files_below, files_in, named_file, pictures_below, same_text
from inkontext.data.rows import Blob, Listing, Row
from inkontext.data.shards import read_shards
from inkontext.data.tables import json_lines, read_table, read_text
from inkontext.errors import DataError

TARGET_FOLDERS: Final = ("target", "targets", "edited", "output", "after")
REFERENCE_FOLDERS: Final = ("reference", "references", "control", "source", "input", "before")
MARKER: Final = "making.json"  # lies in a set that `data make` has not finished
_NUMBER: Final = re.compile(r"(.+)_(\d+)")
_MOST_TEXT: Final = 64 * 1024  # bytes of an instruction


def open_set(path: Path | str) -> Listing:
    """The rows of a set, whatever its format, with everything that names alone show to be wrong.

    Raises:
        DataError: no such place, or no format is recognised there.
    """
    path = Path(path)
    try:
        if path.is_file():
            return _file(path)
        if not path.is_dir():
            raise DataError(f"there is no data set '{path}'; check the path")
        if (path / MARKER).exists():
            listing = Listing(path, "unfinished")
            listing.blame("half-written", path, "`inkontext data make` was stopped")
            return listing
        return _folder(path)
    except OSError as error:
        raise DataError(
            f"'{error.filename or path}' cannot be read ({error.strerror}); check its permissions"
        ) from error


def _file(path: Path) -> Listing:
    if path.suffix.lower() in (".jsonl", ".csv"):
        return read_lines(path, [path])
    if path.suffix.lower() == ".tar":
        return read_shards(path, [path])
    raise DataError(f"'{path}' is no data set; give a .jsonl, .csv or .tar file, or a folder")


def _folder(path: Path) -> Listing:
    metadata = [path / name for name in ("metadata.jsonl", "metadata.csv") if (path / name).is_file()]
    if lines := metadata[:1] or files_in(path, "*.jsonl"):
        return read_lines(path, lines)
    if shards := files_in(path, "*.tar"):
        return read_shards(path, shards)
    if packed := [*files_in(path, "*.tar.gz"), *files_in(path, "*.tgz")]:
        raise DataError(f"'{packed[0]}' is compressed, which allows no random access; unpack it to .tar")
    targets = [path / name for name in TARGET_FOLDERS if (path / name).is_dir()]
    references = [path / name for name in REFERENCE_FOLDERS if (path / name).is_dir()]
    if targets and references:
        return read_twins(path, targets[0], references[0])
    if targets or references:
        lacks = f"{'/, '.join(REFERENCE_FOLDERS)}/" if targets else f"{'/, '.join(TARGET_FOLDERS)}/"
        raise DataError(f"'{path}' has '{(targets + references)[0].name}/' but none of {lacks}; add the twin folder")
    if pictures_below(path):
        return read_captions(path)
    raise DataError(
        f"'{path}' holds no data set; expected metadata.jsonl, *.tar, target/ and reference/, or pictures with .txt"
    )


def read_lines(path: Path, files: list[Path]) -> Listing:
    """Rows of JSONL or CSV files; picture paths are relative to the file that names them."""
    listing = Listing(path, "lines")
    keys: set[str] = set()
    for file in files:
        for place, body in _bodies(file, listing):
            try:
                row = _row_of(body, file.parent, place.removeprefix(f"{file.parent}/"))
            except ValueError as error:
                listing.blame("bad row", place, str(error))
                continue
            if row.key in keys:
                listing.blame("duplicate key", place, row.key)
            keys.add(row.key)
            _judge_words(listing, row, body)
            listing.rows.append(row)
    return listing


def _bodies(file: Path, listing: Listing) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Each line with its place, `file:line`; lines that cannot be read are noted."""
    table = file.suffix.lower() == ".csv"
    for line in read_table(file).rows if table else json_lines(file):
        place = f"{file}:{line.number}"
        if line.fault:  # a whole file ends with a line break
            listing.blame("half-written" if line.cut else "bad row", place, line.fault)
        else:
            yield place, line.value


def _row_of(body: Mapping[str, Any], folder: Path, place: str) -> Row:
    fields = read_fields(body)
    if fields.target is None:
        raise ValueError("names no target picture")
    blobs = [Blob(str(named_file(folder, name))) for name in (fields.target, *fields.references)]
    mask = Blob(str(named_file(folder, fields.mask))) if fields.mask else None
    words = (fields.instruction or "").strip()
    return Row(fields.key or place, blobs[0], tuple(blobs[1:]), words, mask, fields.category)


def _judge_words(listing: Listing, row: Row, body: Mapping[str, Any]) -> None:
    if not row.instruction:
        empty = read_fields(body).instruction is not None
        listing.blame("empty instruction" if empty else "no instruction", row.key)


def read_twins(path: Path, target: Path, reference: Path) -> Listing:
    """Rows of twin folders; a reference belongs to the target of its stem, or of its stem without `_NUMBER`."""
    listing = Listing(path, "twins")
    targets = _by_stem(target, listing)
    references: dict[str, list[tuple[int, Path]]] = {stem: [] for stem in targets}
    for stem, file in _by_stem(reference, listing).items():
        match = _NUMBER.fullmatch(stem)
        if stem in targets:
            references[stem].append((-1, file))
        elif match and match[1] in targets:
            references[match[1]].append((int(match[2]), file))
        else:
            listing.blame("reference without target", file)
    masks = _by_stem(path / "mask", listing) if (path / "mask").is_dir() else {}
    texts = _texts(listing, target, targets)
    for stem, file in targets.items():
        found = tuple(Blob(str(place)) for _, place in sorted(references[stem]))
        if not found:
            listing.blame("target without reference", file)
        words = _words(listing, file, texts.get(stem))
        mask = Blob(str(masks[stem])) if stem in masks else None
        category = stem.rpartition("/")[0]
        listing.rows.append(Row(stem, Blob(str(file)), found, words, mask, category))
    return listing


def read_captions(path: Path) -> Listing:
    """Rows of pictures with a .txt of the same stem beside them."""
    listing = Listing(path, "captions")
    pictures = _by_stem(path, listing)
    texts = _texts(listing, path, pictures)
    for stem, file in pictures.items():
        words = _words(listing, file, texts.get(stem))
        listing.rows.append(Row(stem, Blob(str(file)), instruction=words, category=stem.rpartition("/")[0]))
    return listing


def _by_stem(folder: Path, listing: Listing) -> dict[str, Path]:
    """Pictures below a folder by their path without suffix; a second file of one stem is noted."""
    return _stems(listing, folder, pictures_below(folder))


def _texts(listing: Listing, folder: Path, pictures: Mapping[str, Path]) -> dict[str, Path]:
    """Texts below a folder by their path without suffix; those without a picture are noted."""
    found = _stems(listing, folder, files_below(folder, "*.txt"))
    for stem in sorted(found.keys() - pictures.keys()):
        listing.blame("text without picture", found[stem])
    return found


def _stems(listing: Listing, folder: Path, files: Iterable[Path]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for file in files:
        stem = same_text(file.relative_to(folder).with_suffix("").as_posix())
        if stem in found:
            listing.blame("two files of one name", file, f"beside {found[stem].name}")
        found.setdefault(stem, file)
    return found


def _words(listing: Listing, picture: Path, file: Path | None) -> str:
    """The instruction in a picture's text, with what is wrong with it noted."""
    if file is None:
        listing.blame("no instruction", picture, f"{picture.stem}.txt is missing")
        return ""
    if file.stat().st_size > _MOST_TEXT:
        listing.blame("bad row", file, f"is longer than {_MOST_TEXT >> 10} KiB")
        return ""
    try:
        words = read_text(file).strip()
    except DataError as error:
        listing.blame("bad row", file, str(error))
        return ""
    if not words:
        listing.blame("empty instruction", file)
    return words
