"""Which pictures are measured, at which size and which part of each: a list that two people can share.

An entry names a picture, the hash of its bytes, and how it is brought to size: the shorter side is resized to `size`
(Lanczos), then the centre is cropped. `list.json` is small and holds no pictures.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final

import numpy as np
from PIL import Image

from inkontext.data.folders import named_file, pictures_below
from inkontext.errors import DataError, OptionError, PictureError
from inkontext.safety.pictures import MAX_PIXELS, read_picture
from inkontext.storage import write_json

FOLDER, WORLD = "folder", "world"
SIZE: Final = 256
WORLD_PICTURES: Final = 100
_TASKS: Final = ("local", "global", "character", "text", "style", "t2i")
_SEEDS: Final = 2048  # seeds a draw may use of each task, as in the world's bench
_WORLD_NAME = re.compile(rf"({'|'.join(_TASKS)})-(\d{{1,14}})")
_NAMED: Final = 6  # pictures that a message names


@dataclass(frozen=True)
class Entry:
    """A picture.

    Attributes:
        name: path inside the folder with forward slashes; of a world picture, task and seed.
        sha256: of the file's bytes, or of a world picture's pixels; None for a file that could not be opened.
        resized: (width, height) after the shorter side is `size`; None for what is no picture.
        crop: (left, top, right, bottom) of the part that is measured, pixels of the resized picture.
    """

    name: str
    sha256: str | None
    resized: tuple[int, int] | None
    crop: tuple[int, int, int, int] | None


@dataclass(frozen=True)
class PictureList:
    """The pictures, in the order in which they are measured. `source` is FOLDER or WORLD."""

    source: str
    size: int
    entries: tuple[Entry, ...]

    @property
    def how(self) -> str:
        """In words, how a picture is brought to size."""
        if self.source == WORLD:
            return f"drawn at {self.size} px"
        return f"shorter side to {self.size} px (Lanczos), centre crop"

    @property
    def sha256(self) -> str:
        """The hash by which two people see that they measure the same."""
        return hashlib.sha256(json.dumps(self._body(), sort_keys=True).encode()).hexdigest()

    def _body(self) -> dict[str, Any]:
        return {
            "source": self.source,
            "size": self.size,
            "how": self.how,
            "pictures": [asdict(e) for e in self.entries],
        }

    def write(self, path: Path) -> None:
        write_json(path, {"sha256": self.sha256, **self._body()})

    def check(self, folder: Path | None) -> None:
        """See that every picture is there with the bytes it had. Raises DataError naming those that are not."""
        gone, changed = [], []
        for entry in self.entries:
            try:
                same = _sha(_bytes(self, entry, folder)) == entry.sha256
            except OSError:
                (gone if entry.sha256 is not None else []).append(entry.name)
            else:
                (changed if not same else []).append(entry.name)
        told = [f"{what}: {_some(names)}" for what, names in (("missing", gone), ("of other bytes", changed)) if names]
        if told:
            raise DataError(
                f"the pictures are not those of the list ({'; '.join(told)}); get them, or leave out --list"
            )


Reader = Callable[[Entry], np.ndarray]


def reader(listed: PictureList, folder: Path | None) -> Reader:
    """A function from an entry to its pixels at size, uint8 `[size, size, 3]`; it raises PictureError."""

    def read(entry: Entry) -> np.ndarray:
        try:
            data = _bytes(listed, entry, folder)
        except OSError as error:
            raise PictureError(f"it cannot be opened ({error.strerror})") from error
        if _sha(data) != entry.sha256:
            raise PictureError("it has changed since the list was made")
        if listed.source == WORLD:
            return np.frombuffer(data, np.uint8).reshape(listed.size, listed.size, 3)
        image = read_picture(data).rgb
        resized, crop = (entry.resized, entry.crop) if entry.resized and entry.crop else _place(image.size, listed.size)
        return np.asarray(image.resize(resized, Image.Resampling.LANCZOS).crop(crop))

    return read


def from_folder(
    folder: Path, size: int = SIZE, limit: int | None = None, seed: int = 0, known: Sequence[Entry] = ()
) -> PictureList:
    """The pictures of a folder and the folders in it, by name.

    Args:
        limit: how many; which ones depends on `seed` and the names alone, and a larger limit holds a smaller one's.
        known: entries of an earlier list at this size; where a file's bytes are theirs it is not decoded again.

    Raises:
        OptionError: no folder, or no picture in it. DataError: not one of them can be read.
    """
    _check(size, limit)
    if not folder.is_dir():
        raise OptionError(f"there is no folder '{folder}'; give --data a folder of pictures")
    names = [p.relative_to(folder).as_posix() for p in pictures_below(folder)]
    if not names:
        raise OptionError(f"the folder '{folder}' holds no picture; give one that holds .png, .jpg or .webp files")
    if limit is not None:
        names = sorted(names, key=lambda name: _sha(f"{seed}/{name}".encode("utf-8", "surrogateescape")))[:limit]
    cache = {(e.name, e.sha256): e for e in known if e.crop and e.crop[2] - e.crop[0] == size}
    entries = tuple(_entry(folder, name, size, cache) for name in sorted(names))
    if not any(entry.crop for entry in entries):
        raise DataError(f"not one of the {len(entries)} pictures in '{folder}' can be read; check the files")
    return PictureList(FOLDER, size, entries)


def from_world(size: int = SIZE, limit: int | None = None, seed: int = 0) -> PictureList:
    """Targets of the procedural world's held-out split, drawn at `size`, the tasks in turn; 100 by default."""
    _check(size, limit)
    count = WORLD_PICTURES if limit is None else limit
    if count > _SEEDS * len(_TASKS):
        raise OptionError(f"the limit is {count}; the world gives {_SEEDS * len(_TASKS)} pictures a seed")
    if seed >= 2**40:
        raise OptionError(f"the seed is {seed}; it must be below {2**40}")
    names = [f"{_TASKS[n % len(_TASKS)]}-{seed * _SEEDS + n // len(_TASKS)}" for n in range(count)]
    whole = (0, 0, size, size)
    return PictureList(WORLD, size, tuple(Entry(n, _sha(_drawn(n, size)), (size, size), whole) for n in names))


def read_list(path: Path) -> PictureList:
    """A list that `write` made. Raises OptionError where there is none, DataError where it was changed."""
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise OptionError(f"cannot read the list '{path}' ({error.strerror}); give the list.json of a run") from error
    except ValueError as error:
        raise DataError(f"'{path}' is no list of pictures; give the list.json of a run") from error
    try:
        entries = tuple(
            Entry(e["name"], e["sha256"], *(tuple(e[k]) if e[k] else None for k in ("resized", "crop")))  # type: ignore[arg-type]
            for e in body["pictures"]
        )
        listed = PictureList(body["source"], body["size"], entries)
        intact = bool(entries) and listed.source in (FOLDER, WORLD) and listed.sha256 == body["sha256"]
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError(f"'{path}' is no list of pictures; give the list.json of a run") from error
    outside = any(e.name.startswith("/") or ".." in PurePosixPath(e.name).parts for e in entries)
    strange = listed.source == WORLD and not all(_WORLD_NAME.fullmatch(e.name) for e in entries)
    if not intact or outside or strange:
        raise DataError(f"the list '{path}' was changed after it was made; get it again")
    _check(listed.size, None)
    return listed


def _check(size: int, limit: int | None) -> None:
    if not 32 <= size <= 2048 or size % 16:
        raise OptionError(f"the size is {size}; it must be a multiple of 16 from 32 to 2048 pixels")
    if limit is not None and limit < 1:
        raise OptionError(f"the limit is {limit}; it must be a whole number of at least 1")


def _entry(folder: Path, name: str, size: int, cache: dict[tuple[str, str | None], Entry]) -> Entry:
    try:
        data = (folder / name).read_bytes()
    except OSError:
        return Entry(name, None, None, None)
    sha = _sha(data)
    if (name, sha) in cache:
        return cache[name, sha]
    try:
        return Entry(name, sha, *_place(read_picture(data).size, size))
    except PictureError:
        return Entry(name, sha, None, None)


def _place(source: tuple[int, int], size: int) -> tuple[tuple[int, int], tuple[int, int, int, int]]:
    """Size after resizing, and the crop in it, for a picture of (width, height)."""
    shorter = min(source)
    width, height = (max(size, (2 * side * size + shorter) // (2 * shorter)) for side in source)
    if width * height > MAX_PIXELS:
        raise PictureError(f"it is too narrow, {source[0]}x{source[1]} pixels")
    left, top = (width - size) // 2, (height - size) // 2
    return (width, height), (left, top, left + size, top + size)


def _bytes(listed: PictureList, entry: Entry, folder: Path | None) -> bytes:
    if listed.source == WORLD:
        return _drawn(entry.name, listed.size)
    assert folder is not None
    return named_file(folder, entry.name).read_bytes()


def _drawn(name: str, size: int) -> bytes:
    """The pixels of a world picture."""
    from inkontext.data.world import sample_pair

    task, _, seed = name.partition("-")
    return np.asarray(sample_pair(int(seed), task, size, "test").target.convert("RGB")).tobytes()


def _sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")
