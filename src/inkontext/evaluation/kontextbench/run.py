"""`inkontext eval kontextbench`: edit KontextBench's pictures, or read another system's, and score each row.

The paper publishes people's preferences and no scoring script; the scores here are automatic and stand in for neither.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import PIL
import torch
from PIL import Image

from inkontext import __version__
from inkontext.errors import OptionError, PictureError, StorageError
from inkontext.evaluation.keyed import Given, noise_seed
from inkontext.evaluation.kontextbench.data import Bench, Item, Selection, Shard
from inkontext.evaluation.kontextbench.metrics import Metric
from inkontext.evaluation.kontextbench.report import write_report
from inkontext.evaluation.kontextbench.summary import body_of
from inkontext.evaluation.kontextbench.systems import System
from inkontext.evaluation.ledger import Ledger, Row, agree
from inkontext.evaluation.score import Score
from inkontext.evaluation.statistics import DIGITS
from inkontext.evaluation.world.systems import NoPicture
from inkontext.safety.pictures import read_picture

Watch = Callable[[int, int], None]


@dataclass(frozen=True)
class Evaluation:
    """What came out: `body` as it goes into JSON, and, apart from it, seconds by key and notes on this very run."""

    body: dict[str, Any]
    seconds: dict[str, float]
    notes: tuple[str, ...] = ()


def evaluate(
    bench: Bench,
    system: System,
    metrics: Sequence[Metric],
    selection: Selection | None = None,
    seed: int = 0,
    shard: Shard | None = None,
    out: Path | None = None,
    watch: Watch | None = None,
) -> Evaluation:
    """Measure a system on the rows, or on a shard of them.

    Args:
        seed: of the noise; each row's own comes from it and the row's key.
        shard: only these rows, kept in a folder of their own inside `out`, which machines may share.
        out: a folder to keep pictures and results in as they are made; a later call with the same arguments goes on
            where an earlier one ended, and ends with the same bytes in `results.json` and `report.html`.
        watch: called with (done, of how many) after every row.

    Raises:
        OptionError: `out` holds something else, no picture of the system belongs to a row, or the shard is empty.
        RunError: another process works in `out`.
    """
    selection = selection or Selection()
    items = selection.of(bench)
    if isinstance(system, Given) and not any(item.key in system.folder.files for item in items):
        raise OptionError(f"no picture is named after a row of these; the first is {items[0].key}.png")
    settings = settings_of(bench, system, metrics, selection, seed)
    folder, own = out, settings
    if shard is not None:
        if out is not None:
            _claim(out, settings)
            folder = out / shard.folder
        items, own = shard.among(items), settings | {"shard": [shard.number, shard.of]}
        if not items:
            raise OptionError(f"shard {shard.number}/{shard.of} has no row; ask for fewer shards")
    with Ledger(folder, own) as ledger:
        for done, item in enumerate(items, 1):
            if item.key not in ledger.rows:
                _measure(item, system, metrics, seed, ledger)
            if watch is not None:
                watch(done, len(items))
        return finish(ledger, own, bench, items, [ledger.rows[item.key] for item in items], system.is_timed)


def finish(
    ledger: Ledger, settings: dict[str, Any], bench: Bench, items: Sequence[Item], rows: Sequence[Row], is_timed: bool,
    notes: Sequence[str] = (),
) -> Evaluation:  # fmt: skip
    """Sum up, and write `report.html` and, last, `results.json`, which says that all is there."""
    body = body_of(settings, bench, items, rows)
    if ledger.folder is not None:
        write_report(body, items, ledger.folder)
    ledger.finish(body)
    torn = [f"half-written file: {name}, its last line was cut and made again" for name in ledger.mended]
    seconds = {row["key"]: ledger.seconds[row["key"]] for row in rows
               if is_timed and row["key"] in ledger.seconds and not (row["missing"] or row["refused"])}  # fmt: skip
    return Evaluation(body, seconds, (*notes, *torn))


def settings_of(
    bench: Bench, system: System, metrics: Sequence[Metric], selection: Selection, seed: int
) -> dict[str, Any]:
    """All that the results depend on."""
    return {
        "benchmark": "kontextbench",
        "system": system.identity,
        "data": bench.digest,
        "seed": seed,
        "limit": selection.limit,
        "categories": list(selection.categories),
        "metrics": {
            metric.name: {
                "unit": metric.unit, "higher_is_better": metric.higher_is_better, "is_share": metric.is_share,
                "categories": list(metric.categories), "unavailable": metric.available(), **metric.identity,
            }
            for metric in metrics
        },
        "versions": {
            "inkontext": __version__, "python": platform.python_version(), "torch": torch.__version__,
            "numpy": np.__version__, "pillow": PIL.__version__,
        },
    }  # fmt: skip


def _claim(out: Path, settings: dict[str, Any]) -> None:
    """See that all shards in a folder are of the same evaluation."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        agree(out, settings)
    except OSError as error:
        raise StorageError(f"cannot work in '{out}' ({error.strerror}); name another --out") from error


def _measure(item: Item, system: System, metrics: Sequence[Metric], seed: int, ledger: Ledger) -> None:
    try:
        reference = read_picture(item.file).rgb
    except PictureError as error:
        reason = "reference: " + str(error).replace(str(item.file), item.file_name)
        ledger.add(row_of(item, metrics, seed, None, NoPicture(reason)), None, 0.0)
        return
    started = time.perf_counter()
    made = system.make(item, reference)
    seconds = time.perf_counter() - started
    row = row_of(item, metrics, seed, reference, made)
    ledger.add(row, None if isinstance(made, NoPicture) else made, seconds)


def row_of(
    item: Item, metrics: Sequence[Metric], seed: int, reference: Image.Image | None, made: Image.Image | NoPicture
) -> Row:
    """One result as plain values: scores, why those that are None are missing, and what they were taken from."""
    scores = {
        metric.name: _score(metric, item, reference, made) for metric in metrics if item.category in metric.categories
    }
    gone = made if isinstance(made, NoPicture) else None
    resized = reference is not None and isinstance(made, Image.Image) and made.size != reference.size
    return {
        "key": item.key,
        "category": item.category,
        "instruction": item.instruction,
        "file_name": item.file_name,
        "image_idx": item.image_idx,
        "prompt_idx": item.prompt_idx,
        "noise_seed": noise_seed(seed, item.key),
        "missing": gone.reason if gone and not gone.refused else None,
        "refused": gone.reason if gone and gone.refused else None,
        "resized_from": list(made.size) if resized and isinstance(made, Image.Image) else None,
        "scores": {name: None if s.value is None else round(s.value, DIGITS) for name, s in scores.items()},
        "reasons": {name: s.reason for name, s in scores.items() if s.value is None},
        "judged": {name: round(s.judged, DIGITS) for name, s in scores.items() if s.judged is not None},
        "evidence": {name: s.evidence for name, s in scores.items() if s.evidence},
    }


def _score(metric: Metric, item: Item, reference: Image.Image | None, made: Image.Image | NoPicture) -> Score:
    if why := metric.available():
        return Score(None, why)
    if isinstance(made, NoPicture):
        return Score(None, "refused by the model" if made.refused else "no picture")
    assert reference is not None
    return metric.score(item, reference, made)
