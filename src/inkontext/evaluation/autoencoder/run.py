"""`inkontext eval autoencoder`: what pictures lose on their way through an autoencoder (the paper's table 1).

Every system gets the same pictures at the same size and gives them back; PDist, SSIM and PSNR are taken per picture,
then their mean, standard deviation and standard error. The paper's table names its spread both ways.
"""

from __future__ import annotations

import hashlib
import math
import platform
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import PIL
import torch
from PIL import Image

from inkontext import __version__
from inkontext.errors import OptionError, PictureError
from inkontext.evaluation.autoencoder.metrics import VGGDistance
from inkontext.evaluation.autoencoder.pictures import Entry, PictureList, Reader, reader
from inkontext.evaluation.autoencoder.report import picture_paths, write_report
from inkontext.evaluation.autoencoder.systems import NoReconstructionError, System
from inkontext.evaluation.fidelity import psnr, ssim
from inkontext.evaluation.ledger import Ledger, Row
from inkontext.evaluation.statistics import rounded, spread
from inkontext.safety.provenance import save_picture

METRICS: Final = {
    "pdist": {"name": "PDist", "unit": "", "higher_is_better": False},
    "ssim": {"name": "SSIM", "unit": "", "higher_is_better": True},
    "psnr": {"name": "PSNR", "unit": "dB", "higher_is_better": True},
}
SHOWN: Final = 8  # pictures on the page
NO_VGG: Final = "no VGG-16 weights here; give torchvision's with --vgg"
Watch = Callable[[int, int], None]


@dataclass(frozen=True)
class Evaluation:
    """`body` as it goes into JSON, and what this run alone has to say."""

    body: dict[str, Any]
    notes: tuple[str, ...] = ()


def evaluate(
    listed: PictureList, folder: Path | None, systems: Sequence[System], distance: VGGDistance | None = None,
    out: Path | None = None, watch: Watch | None = None,
) -> Evaluation:  # fmt: skip
    """Measure systems on the pictures of a list.

    Args:
        folder: where the pictures are; None for the world's.
        distance: for PDist; without it that figure is missing.
        out: a folder to keep results in as they are made; a later call with the same arguments goes on where an
            earlier one ended, and ends with the same bytes in `results.json`.
        watch: called with (done, of how many) after every picture.

    Raises:
        OptionError: `out` holds something else, or a system cannot take the size.
        RunError: another process works in `out`.
    """
    if not systems or len({system.label for system in systems}) < len(systems):
        raise OptionError("name each system once, and at least one")
    for system in systems:
        system.check(listed.size)
    settings = _settings(listed, systems, distance)
    read, total = reader(listed, folder), len(listed.entries)
    shown = set(spread(SHOWN, total))
    rows: list[Row] = []
    with Ledger(out, settings) as ledger:
        if out is not None:
            listed.write(out / "list.json")
        for number, entry in enumerate(listed.entries):
            key = f"{number:05d}"
            pictures = out / "pictures" / key if out is not None and number in shown else None
            if key not in ledger.rows or not (ledger.rows[key]["missing"] or _drawn(pictures, systems)):
                started = time.perf_counter()
                row = _measure(key, entry, read, systems, distance, pictures)
                ledger.add(row, None, time.perf_counter() - started)
            rows.append(ledger.rows[key])
            if watch is not None:
                watch(len(rows), total)
        body = body_of(settings, systems, rows)
        ledger.finish(body)
        if out is not None:
            write_report(body, sorted(shown), out)
    return Evaluation(body, tuple(f"cut off in an earlier run and mended: {name}" for name in ledger.mended))


def _settings(listed: PictureList, systems: Sequence[System], distance: VGGDistance | None) -> dict[str, Any]:
    """All that the results depend on."""
    return {
        "benchmark": "autoencoder",
        "size": listed.size,
        "list": {"sha256": listed.sha256, "pictures": len(listed.entries), "source": listed.source, "how": listed.how},
        "systems": {system.label: system.identity for system in systems},
        "pdist": distance.identity if distance else None,
        "versions": {
            "inkontext": __version__, "python": platform.python_version(), "torch": torch.__version__,
            "numpy": np.__version__, "pillow": PIL.__version__,
        },
    }  # fmt: skip


def _drawn(pictures: Path | None, systems: Sequence[System]) -> bool:
    """Whether the page's pictures of a row are there, or none are wanted."""
    return pictures is None or all(path.exists() for path in picture_paths(pictures, len(systems)))


def _measure(
    key: str, entry: Entry, read: Reader, systems: Sequence[System], distance: VGGDistance | None,
    pictures: Path | None,
) -> Row:  # fmt: skip
    """One picture through all systems, as plain values; what could not be taken is None with a reason."""
    row: Row = {"key": key, "name": entry.name, "sha256": entry.sha256, "picture": False, "missing": None}
    try:
        pixels = read(entry)
    except PictureError as error:
        return row | {"missing": str(error), "pixels": None, "scores": {}}
    scores: dict[str, dict[str, Any]] = {}
    paths = picture_paths(pictures, len(systems)) if pictures else [None] * (len(systems) + 1)
    _keep(pixels, paths[0])
    for system, path in zip(systems, paths[1:], strict=True):
        scores[system.label], back = _scored(system, pixels, distance)
        _keep(back, path)
    return row | {"pixels": _hash(pixels), "scores": scores}


def _scored(system: System, pixels: np.ndarray, distance: VGGDistance | None) -> tuple[dict[str, Any], np.ndarray]:
    """The scores, and the reconstruction, a grey one where there is none."""
    try:
        made = system.make(pixels)
    except NoReconstructionError as error:
        nothing = {"pdist": None, "ssim": None, "psnr": None, "bytes": None, "quality": None, "reason": str(error)}
        return nothing, np.full_like(pixels, 128)
    far = distance(pixels, made.pixels) if distance else None
    return {
        "pdist": rounded(far),
        "ssim": rounded(ssim(pixels, made.pixels)),
        "psnr": rounded(psnr(pixels, made.pixels)),
        "bytes": made.nbytes,
        "quality": made.quality,
        "reason": None,
    }, made.pixels


def _keep(pixels: np.ndarray, path: Path | None) -> None:
    if path is not None:
        save_picture(Image.fromarray(pixels), path)


def _hash(pixels: np.ndarray) -> str:
    """Of what was measured: tells apart decoders and resizers that differ."""
    return hashlib.sha256(pixels.tobytes()).hexdigest()[:16]


def body_of(settings: dict[str, Any], systems: Sequence[System], rows: Sequence[Row]) -> dict[str, Any]:
    """The whole: settings, the metrics, a summary of each system, missing pictures by name, and every row."""
    there = [row for row in rows if not row["missing"]]
    unavailable = {} if settings["pdist"] else {"pdist": NO_VGG}
    return {
        **settings,
        "metrics": {name: told | {"unavailable": unavailable.get(name)} for name, told in METRICS.items()},
        "pictures": len(there),
        "missing_pictures": {row["name"]: row["missing"] for row in rows if row["missing"]},
        "results": {s.label: summary([row["scores"][s.label] for row in there]) for s in systems},
        "rows": list(rows),
    }


def summary(scores: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The figures of a system: bytes a picture (mean), JPEG's qualities, and each metric's `moments`."""
    return {
        **{name: moments(score[name] for score in scores) for name in METRICS},
        "bytes": rounded(moments(score["bytes"] for score in scores)["mean"]),
        "quality": rounded(moments(score["quality"] for score in scores)["mean"]),
        "reasons": dict(sorted(Counter(score["reason"] for score in scores if score["reason"]).items())),
    }


def moments(values: Iterable[float | None]) -> dict[str, Any]:
    """Mean, standard deviation (n - 1 below) and standard error (it over sqrt n) of the values that are there.

    Nothing is said of no value, and no spread of a single one: None.
    """
    there = [value for value in values if value is not None]
    deviation = statistics.stdev(there) if len(there) > 1 else None
    return {
        "n": len(there),
        "mean": rounded(statistics.fmean(there)) if there else None,
        "sd": rounded(deviation),
        "se": rounded(deviation / math.sqrt(len(there))) if deviation is not None else None,
    }
