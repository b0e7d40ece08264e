"""Shards joined into one evaluation, the same as if one process had made it all."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from inkontext.errors import OptionError, RunError
from inkontext.evaluation.kontextbench.data import Bench, Item, Selection, Shard
from inkontext.evaluation.kontextbench.run import Evaluation, finish
from inkontext.evaluation.ledger import Kept, Ledger, Row, difference, read_kept
from inkontext.storage import atomic_path

_SHARD = re.compile(r"shard-(\d+)-of-(\d+)")


def merge(bench: Bench, folders: Sequence[Path], out: Path | None = None) -> Evaluation:
    """Join folders that `--shard` made, or folders that hold such folders; rows that none of them has are missing.

    Args:
        out: a folder for the whole, with copies of the pictures; it may be one that holds the shards.

    Raises:
        OptionError: no evaluation there, or they differ in more than the shard, or are of other data.
        RunError: another process works in `out`.
    """
    parts = [(place, read_kept(place)) for folder in folders for place in _places(folder)]
    settings, items = _common(bench, parts)
    rows: dict[str, tuple[Path, Kept]] = {}
    twice: set[str] = set()
    for place, kept in parts:
        for key, row in kept.rows.items():
            if key in rows and rows[key][1].rows[key] != row:
                twice.add(key)
            rows.setdefault(key, (place, kept))
    with Ledger(out, settings) as ledger:
        for item in items:
            if item.key in rows and item.key not in ledger.rows:
                _take(item.key, *rows[item.key], ledger)
        whole = [ledger.rows.get(item.key) or _absent(item, settings) for item in items]
        notes = [f"half-written file: {place.name}/{name}" for place, kept in parts for name in kept.torn]
        notes += [f"two results, the first kept: {key}" for key in sorted(twice)]
        return finish(ledger, settings, bench, items, whole, settings["system"]["kind"] == "model", notes)


def merge_if_whole(bench: Bench, shard: Shard, out: Path) -> Evaluation | None:
    """The whole, once every shard in the folder is done; None before, or where another process is joining them."""
    others = [out / Shard(number, shard.of).folder for number in range(1, shard.of + 1)]
    if not all((folder / "results.json").exists() for folder in others):
        return None
    try:
        return merge(bench, others, out)
    except RunError:
        return None


def _places(folder: Path) -> list[Path]:
    """The folder's shards, or itself."""
    if not folder.is_dir():
        raise OptionError(f"there is no folder '{folder}'; give --merge folders that --out made")
    shards = [p for p in folder.iterdir() if _SHARD.fullmatch(p.name) and (p / "settings.json").exists()]
    return sorted(shards, key=lambda p: [int(n) for n in re.findall(r"\d+", p.name)]) or [folder]


def _common(bench: Bench, parts: Sequence[tuple[Path, Kept]]) -> tuple[dict[str, Any], list[Item]]:
    """The settings that all parts share, and the rows they speak of."""
    each = [(place, {k: v for k, v in kept.settings.items() if k != "shard"}) for place, kept in parts]
    (first, settings), *rest = each
    if settings.get("benchmark") != "kontextbench":
        raise OptionError(f"'{first}' holds another benchmark; give folders of eval kontextbench")
    for place, other in rest:
        if found := difference(settings, other):
            raise OptionError(f"'{first}' and '{place}' are not of one evaluation ({found}, in that order)")
    if settings["data"] != bench.digest:
        raise OptionError("the folders were made with other data than --data; give the same")
    return settings, Selection(tuple(settings["categories"]), settings["limit"]).of(bench)


def _take(key: str, place: Path, kept: Kept, ledger: Ledger) -> None:
    """Copy a row, its picture first."""
    picture = place / f"outputs/{key}.png"
    if ledger.folder is not None and picture.exists():
        with atomic_path(ledger.folder / f"outputs/{key}.png") as temporary:
            shutil.copyfile(picture, temporary)
    ledger.add(kept.rows[key], None, kept.seconds.get(key, 0.0))


def _absent(item: Item, settings: dict[str, Any]) -> Row:
    """A row that no folder has."""
    why = "in none of the folders"
    names = [name for name, metric in settings["metrics"].items() if item.category in metric["categories"]]
    return {
        "key": item.key, "category": item.category, "instruction": item.instruction, "file_name": item.file_name,
        "image_idx": item.image_idx, "prompt_idx": item.prompt_idx, "noise_seed": None,
        "missing": why, "refused": None, "resized_from": None,
        "scores": dict.fromkeys(names), "reasons": dict.fromkeys(names, why), "judged": {}, "evidence": {},
    }  # fmt: skip
