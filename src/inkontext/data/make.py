"""World pairs written as a set on disk, in any of the formats. The same arguments give the same bytes.

Every file is written whole or not at all, and a marker stays in the folder until the last one is there, so a set that
was broken off is never mistaken for a whole one, and making it again goes on where it stopped.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from PIL import Image

from inkontext.data.formats import MARKER
from inkontext.data.shards import write_shard
from inkontext.data.world import TASKS, Outside, Pair, sample_pair
from inkontext.errors import OptionError, StorageError
from inkontext.storage import atomic_path, write_json

FORMATS: Final = ("jsonl", "twin", "shards")
RECIPE: Final = "made.json"
SHARD_ROWS: Final = 1000


@dataclass(frozen=True)
class Order:
    """What to make: `count` pairs of `size` pixels; `tasks` in turn, or the world's own mixture without any."""

    count: int
    size: int = 128
    format: str = "jsonl"
    tasks: tuple[str, ...] = ()
    seed: int = 0
    split: str = "train"
    photos: str | None = None
    emoji: str | None = None

    def check(self) -> None:
        """Raises OptionError for what cannot be made."""
        if self.count < 1:
            raise OptionError(f"--count is {self.count}; ask for at least one pair")
        if self.format not in FORMATS:
            raise OptionError(f"there is no format '{self.format}'; choose {', '.join(FORMATS)}")
        if unknown := sorted(set(self.tasks) - set(TASKS)):
            raise OptionError(f"the world has no task '{unknown[0]}'; choose from {', '.join(TASKS)}")
        if self.format == "twin" and "t2i" in self.tasks:
            raise OptionError("twin folders hold no t2i rows, which have no reference; choose jsonl or shards")

    def task(self, number: int) -> str | None:
        """The task of a pair; None lets the world draw it."""
        tasks = self.tasks or (tuple(t for t in TASKS if t != "t2i") if self.format == "twin" else ())
        return tasks[number % len(tasks)] if tasks else None

    @cached_property
    def outside(self) -> Outside | None:
        """The folders of photographs and stickers."""
        return Outside(self.photos, self.emoji) if self.photos or self.emoji else None

    def pair(self, number: int) -> Pair:
        """Pair `number` of the set."""
        return sample_pair((self.seed << 32) + number, self.task(number), self.size, self.split, self.outside)


def make(out: Path, order: Order, tick: Callable[[int, int], None] | None = None) -> int:
    """Write the set into a new folder, or go on with one that was broken off; returns its number of rows.

    Raises:
        OptionError: the folder holds something else. StorageError: the disk refuses.
    """
    order.check()
    if not _begin(out, order):
        return order.count
    write = {"jsonl": _write_lines, "twin": _write_twins, "shards": _write_shards}[order.format]
    for done in write(out, order):
        if tick is not None:
            tick(done, order.count)
    try:
        (out / MARKER).unlink()
    except OSError as error:
        raise StorageError(f"cannot write in '{out}' ({error.strerror}); check the disk") from error
    return order.count


def _begin(out: Path, order: Order) -> bool:
    """Claim the folder; False where this very set is complete already."""
    recipe = json.loads(json.dumps(asdict(order)))  # tuples become lists, as they are on disk
    try:
        filled = out.exists() and any(p.name != MARKER and not p.name.startswith(".") for p in out.iterdir())
        stands = json.loads((out / RECIPE).read_text()) if (out / RECIPE).exists() else None
    except (OSError, ValueError) as error:
        raise OptionError(f"'{out}' is no folder to write a set into; name a new one") from error
    if filled and stands != recipe:
        what = "another set" if stands else "other files"
        raise OptionError(f"'{out}' holds {what}; name a new folder, or repeat the same options to go on")
    if stands == recipe and not (out / MARKER).exists():
        return False
    write_json(out / MARKER, {"note": "this set is being made; the file goes when it is whole"})
    write_json(out / RECIPE, recipe)
    return True


def _record(pair: Pair) -> dict[str, Any]:
    """The words of a pair, and what draws it again."""
    words = {"instruction": pair.instruction, "category": pair.task}
    return words | {"seed": pair.seed, "size": pair.size, "split": pair.split}


def _write_lines(out: Path, order: Order) -> Iterator[int]:
    """images/NNNNNN.target.png, .ref0.png ..., .mask.png; metadata.jsonl comes last."""
    lines = []
    for number in range(order.count):
        pair, key = order.pair(number), f"{number:06d}"
        names = [f"images/{key}.ref{i}.png" for i in range(len(pair.references))]
        target, mask = f"images/{key}.target.png", f"images/{key}.mask.png"
        for name, picture in zip([target, mask, *names], [pair.target, pair.mask, *pair.references], strict=True):
            _save(out / name, picture)
        lines.append({"key": key, "target": target, "references": names, "mask": mask} | _record(pair))
        yield number + 1
    with atomic_path(out / "metadata.jsonl") as temporary:
        temporary.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


def _write_twins(out: Path, order: Order) -> Iterator[int]:
    """target/TASK/NNNNNN.png and .txt, reference/TASK/NNNNNN.png (_0, _1 ... for several), mask/; the text last."""
    for number in range(order.count):
        task = order.task(number)
        stem = f"{task}/{number:06d}"
        text = out / f"target/{stem}.txt"
        if not text.exists():
            pair = order.pair(number)
            several = len(pair.references) > 1
            for i, picture in enumerate(pair.references):
                _save(out / f"reference/{stem}{f'_{i}' if several else ''}.png", picture)
            _save(out / f"mask/{stem}.png", pair.mask)
            _save(out / f"target/{stem}.png", pair.target)
            with atomic_path(text) as temporary:
                temporary.write_text(pair.instruction + "\n", encoding="utf-8")
        yield number + 1


def _write_shards(out: Path, order: Order) -> Iterator[int]:
    """shard-NNNNNN.tar of `SHARD_ROWS` rows each."""
    for first in range(0, order.count, SHARD_ROWS):
        path = out / f"shard-{first // SHARD_ROWS:06d}.tar"
        numbers: Sequence[int] = range(first, min(first + SHARD_ROWS, order.count))
        if not path.exists():
            write_shard(path, (_shard_row(order, number) for number in numbers))
        yield numbers[-1] + 1


def _shard_row(order: Order, number: int) -> tuple[str, Mapping[str, bytes], Mapping[str, Any]]:
    pair = order.pair(number)
    pictures = {"target.png": pair.target, "mask.png": pair.mask}
    pictures |= {f"ref{i}.png": picture for i, picture in enumerate(pair.references)}
    return f"{number:06d}", {name: _png(picture) for name, picture in pictures.items()}, _record(pair)


def _save(path: Path, picture: Image.Image) -> None:
    if not path.exists():
        with atomic_path(path) as temporary:
            temporary.write_bytes(_png(picture))


def _png(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG", compress_level=6)
    return file.getvalue()
