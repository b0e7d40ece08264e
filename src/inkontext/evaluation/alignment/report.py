"""An alignment as a table, and as a page with both pictures and where they differ."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image

from inkontext.evaluation.report import Pictures, Report, Table
from inkontext.safety.provenance import save_picture
from inkontext.storage import write_json

_MISSING: Final = {"shift, scale, rotation": "reason", "PSNR": "untouched_reason"}
_SIDE: Final = 384  # pixels, the longer side of the pictures on the page
_GAIN: Final = 4  # times that differences are made brighter


def report_of(body: dict[str, Any]) -> Report:
    """The table of the figures."""
    rows = [
        ("shift to the right", _told(body["shift_x"], 3), "px"),
        ("shift down", _told(body["shift_y"], 3), "px"),
        ("scale", _told(body["scale"], 5), ""),
        ("rotation, counter-clockwise", _told(body["rotation"], 3), "degrees"),
        ("PSNR of the untouched part", _told(body["untouched_psnr"], 2), "dB"),
        ("untouched part, as judged from AFTER", _told(body["untouched_share"], 3), "of the picture"),
        ("PSNR of the whole picture", _told(body["whole_psnr"], 2), "dB"),
        *_outside(body),
        ("overlap", _told(body["overlap"], 3), "of BEFORE"),
        ("quality", _told(body["quality"], 3), "0 to 1"),
    ]
    notes = [f"no {what}: {body[why]}" for what, why in _MISSING.items() if body[why]]
    if body["resized_from"]:
        (w, h), (w2, h2) = body["size"], body["resized_from"]
        notes.append(f"AFTER is {w2}x{h2} pixels and was resized to BEFORE's {w}x{h}")
    return Report("Alignment", {}, [Table("From BEFORE to AFTER", ("measure", "value", "unit"), rows, notes)])


def _outside(body: dict[str, Any]) -> list[tuple[str, str | None, str]]:
    if body["outside_share"] is None:
        return []
    return [
        ("PSNR outside the mask", _told(body["outside_psnr"], 2), "dB"),
        ("outside the mask", _told(body["outside_share"], 3), "of the picture"),
    ]


def write_report(body: dict[str, Any], before: Image.Image, after: Image.Image, folder: Path) -> Path:
    """`report.html` with BEFORE, AFTER (of BEFORE's size) and their difference, and `results.json`; the page's path."""
    apart = np.abs(np.asarray(before.convert("RGB"), np.int16) - np.asarray(after.convert("RGB"), np.int16))
    difference = Image.fromarray(np.minimum(apart * _GAIN, 255).astype(np.uint8))
    names = []
    for name, picture in (("before", before), ("after", after), ("difference", difference)):
        small = picture.convert("RGB")
        small.thumbnail((_SIDE, _SIDE))
        names.append(f"pictures/{name}.png")
        save_picture(small, folder / names[-1])
    report = report_of(body)
    caption = f"BEFORE, AFTER, and their difference at the same place, {_GAIN} times as bright"
    report.sections.append(Pictures("Pictures", [(caption, names)]))
    page = report.write(folder)
    write_json(folder / "results.json", body)
    return page


def _told(value: float | None, digits: int) -> str | None:
    return None if value is None else f"{value:.{digits}f}"
