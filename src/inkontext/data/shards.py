"""Webdataset shards: tar archives whose members KEY.target.png, KEY.ref0.png, KEY.json make a row.

Read by an index of offsets, so that any row is one seek away; written so that the same rows give the same bytes.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from inkontext.data.fields import EITHER, FIELDS, read_fields, reference_number
from inkontext.data.folders import is_hidden, same_text
from inkontext.data.rows import Blob, Listing, Row
from inkontext.data.tables import decode_text, parse_json
from inkontext.errors import DataError
from inkontext.safety.pictures import is_picture
from inkontext.storage import atomic_path

_BLOCK: Final = 512
_MOST_TEXT: Final = 1 << 20  # bytes of a .json or .txt member


def read_shards(path: Path, files: list[Path]) -> Listing:
    """Rows of tar archives. A key is a member's path up to the first dot of its file name."""
    listing = Listing(path, "shards")
    seen: set[str] = set()
    for file in files:
        rows = [row for key, parts in _members(file, listing).items() if (row := _row(listing, file, key, parts))]
        for row in rows:
            if row.key in seen:
                listing.blame("duplicate key", f"{file}:{row.key}")
            seen.add(row.key)
        listing.rows += rows
    return listing


def _members(file: Path, listing: Listing) -> dict[str, dict[str, Blob]]:
    """key -> extension -> place of the bytes."""
    found: dict[str, dict[str, Blob]] = {}
    try:
        with tarfile.open(file, "r:") as archive:
            for member in archive:
                if not member.isreg() or is_hidden(member.name):
                    continue
                folder, _, name = member.name.rpartition("/")
                key, _, extension = name.partition(".")
                if not key:
                    continue
                parts = found.setdefault(same_text(f"{folder}/{key}" if folder else key), {})
                if extension.lower() in parts:
                    listing.blame("two files of one name", f"{file}:{member.name}")
                parts.setdefault(extension.lower(), Blob(str(file), member.name, member.offset_data, member.size))
    except tarfile.TarError as error:
        listing.blame("half-written", file, f"the archive breaks off or is no tar: {error}")
        return found
    with file.open("rb") as opened:  # an archive ends with two empty blocks
        opened.seek(max(0, file.stat().st_size - 2 * _BLOCK))
        if any(opened.read()):
            listing.blame("half-written", file, "the archive has no end mark")
    return found


def _row(listing: Listing, file: Path, key: str, parts: Mapping[str, Blob]) -> Row | None:
    """One row of the members of a key; None, with the problem noted, where they make none."""
    pictures = {ext.rpartition(".")[0]: blob for ext, blob in parts.items() if is_picture(f"x.{ext}")}
    place = f"{file}:{key}"
    target = next((pictures[n] for n in (*FIELDS["target"], "", *EITHER) if n in pictures), None)
    numbered = sorted((number, n) for n in pictures if (number := reference_number(n)) is not None)
    references = tuple(pictures[n] for _, n in numbered)
    if target is None:
        if references:
            listing.blame("reference without target", place)
        elif "txt" in parts or "json" in parts:
            listing.blame("text without picture", place)
        return None
    words, category = _words(listing, place, parts)
    mask = next((pictures[n] for n in FIELDS["mask"] if n in pictures), None)
    return Row(key, target, references, words, mask, category)


def _words(listing: Listing, place: str, parts: Mapping[str, Blob]) -> tuple[str, str]:
    """Instruction and category, from .json or .txt."""
    words, category = None, ""
    try:
        if "json" in parts:
            body = parse_json(_text(parts["json"]))
            if not isinstance(body, dict):
                raise ValueError("the .json is not an object")
            fields = read_fields({k: v for k, v in body.items() if k in FIELDS["instruction"] + FIELDS["category"]})
            words, category = fields.instruction, fields.category
        if words is None and "txt" in parts:
            words = _text(parts["txt"])
    except ValueError as error:
        listing.blame("bad row", place, str(error))
        return "", category
    if words is None:
        listing.blame("no instruction", place)
    elif not words.strip():
        listing.blame("empty instruction", place)
    return (words or "").strip(), category


def _text(member: Blob) -> str:
    """Raises ValueError with the reason."""
    if member.length > _MOST_TEXT:
        raise ValueError(f"is longer than {_MOST_TEXT >> 20} MiB")
    return decode_text(member.read())


def write_shard(path: Path, rows: Iterable[tuple[str, Mapping[str, bytes], Mapping[str, Any]]]) -> None:
    """Write rows of (key, {"target.png": bytes, "ref0.png": bytes ...}, fields of the .json), whole or not at all.

    Raises:
        DataError: a key with a dot or slash, which no reader would give back. StorageError: the disk refuses.
    """
    with atomic_path(path) as temporary, tarfile.open(temporary, "w", format=tarfile.USTAR_FORMAT) as archive:
        for key, pictures, fields in rows:
            if "." in key or "/" in key:
                raise DataError(f"the key '{key}' has a dot or a slash; take letters, digits and underscores")
            text = json.dumps(dict(fields), ensure_ascii=False).encode()
            for extension, data in [*pictures.items(), ("json", text)]:
                member = tarfile.TarInfo(f"{key}.{extension}")  # no time, no owner: the same bytes every time
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
