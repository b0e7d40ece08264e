"""`inkontext eval alignment`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from inkontext.cli import evaluating as e


def alignment(
    before: Annotated[Path, typer.Argument(metavar="BEFORE", help="The picture before the edit.")],
    after: Annotated[Path, typer.Argument(metavar="AFTER", help="The picture after it, of the same shape.")],
    mask: Annotated[
        Path | None, typer.Option(help="White where the edit was free; the error outside is given too.")
    ] = None,
    json: Annotated[
        Path | None,
        typer.Option(
            "--json",
            help="Also write the figures here. shift_x is to the right, shift_y down, in pixels of BEFORE; "
            "rotation in degrees, positive is counter-clockwise as seen; null is what could not be measured.",
        ),
    ] = None,
    out: e.Written = None,
) -> None:
    """Did the picture move? Shift, scale and rotation from BEFORE to AFTER, and the error of what was left alone."""
    e.check_places(json, out, [before, after])
    import numpy as np

    from inkontext.evaluation.alignment.measure import at_size_of, measure
    from inkontext.evaluation.alignment.report import report_of, write_report
    from inkontext.masking import read_mask
    from inkontext.safety.pictures import read_picture

    first, second = read_picture(before).rgb, read_picture(after).rgb
    fitted = at_size_of(first, second)
    free = None if mask is None else np.asarray(read_mask(mask, first.size, "white")) > 0
    found = measure(np.asarray(first), np.asarray(fitted), free).as_dict()
    resized = None if fitted is second else list(second.size)
    body = {**found, "size": list(first.size), "resized_from": resized}
    page = partial(write_report, body, first, fitted)
    e.tell("alignment", lambda: report_of(body), body, json, out, page)
