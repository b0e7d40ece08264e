"""`inkontext eval alignment`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from inkontext.cli.places import check_places


def alignment(
    before: Annotated[Path, typer.Argument(metavar="BEFORE", help="The picture before the edit.")],
    after: Annotated[Path, typer.Argument(metavar="AFTER", help="The picture after it, of the same shape.")],
    json: Annotated[
        Path | None,
        typer.Option(
            "--json",
            help="Also write the figures here. shift_x is to the right, shift_y down, in pixels of BEFORE; "
            "rotation in degrees, positive is counter-clockwise as seen; null is what could not be measured.",
        ),
    ] = None,
) -> None:
    """Did the picture move? Shift, scale and rotation from BEFORE to AFTER, and the error of what was left alone."""
    check_places(json, None)
    from rich.console import Console

    from inkontext.storage import write_json

    body = _measured(before, after)
    _show(body, Console())
    if json is not None:
        write_json(json, body)


def _measured(before: Path, after: Path) -> dict[str, Any]:
    import numpy as np

    from inkontext.evaluation.alignment.measure import at_size_of, measure
    from inkontext.safety.pictures import read_picture

    first, second = read_picture(before).rgb, read_picture(after).rgb
    fitted = at_size_of(first, second)
    found = measure(np.asarray(first), np.asarray(fitted)).as_dict()
    return {**found, "size": list(first.size), "resized_from": None if fitted is second else list(second.size)}


def _show(body: dict[str, Any], console: Any) -> None:
    from inkontext.evaluation.report import Report, Table

    rows = [
        ("shift to the right", _told(body["shift_x"], 3), "px"),
        ("shift down", _told(body["shift_y"], 3), "px"),
        ("scale", _told(body["scale"], 5), ""),
        ("rotation, counter-clockwise", _told(body["rotation"], 3), "degrees"),
        ("PSNR of the untouched part", _told(body["untouched_psnr"], 2), "dB"),
        ("untouched part", _told(body["untouched_share"], 3), "of the picture"),
        ("overlap", _told(body["overlap"], 3), "of BEFORE"),
        ("quality", _told(body["quality"], 3), "0 to 1"),
    ]
    notes = [f"no {what}: {body[why]}" for what, why in _MISSING.items() if body[why]]
    if body["resized_from"]:
        (w, h), (w2, h2) = body["size"], body["resized_from"]
        notes.append(f"AFTER is {w2}x{h2} pixels and was resized to BEFORE's {w}x{h}")
    Report("Alignment", {}, [Table("From BEFORE to AFTER", ("measure", "value", "unit"), rows, notes)]).show(console)


_MISSING = {"shift, scale, rotation": "reason", "PSNR": "untouched_reason"}


def _told(value: float | None, digits: int) -> str | None:
    return None if value is None else f"{value:.{digits}f}"
