"""The cue check over many generated pictures: what it finds of changed lines, and what it sees where none is."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from benchmarks.cue_check import INK, Case, count_verdicts, photograph_cases, world_cases
from benchmarks.planted import PHOTOGRAPHS
from PIL import Image
from skimage import data


def cases(where: str) -> Iterator[Case]:
    if where == "world":
        return world_cases(3, 96, 5000)
    pictures = [Image.fromarray(getattr(data, name)()).convert("RGB") for name in PHOTOGRAPHS]
    return photograph_cases(pictures, 3, 96, 5000)


@pytest.mark.parametrize("where", ["world", "photographs"])
def test_changed_lines_are_found_and_removed_ones_are_not(where: str) -> None:
    found = count_verdicts(cases(where))
    total = {kind: np.zeros(4, int) for kind in ("line", "no line")}
    for (ink, _), verdicts in found.items():
        total["no line" if ink == "none" else "line"] += [*verdicts.values()]
    gone, left, untold, _ = total["line"]
    assert gone + untold <= 0.08 * (gone + left + untold) and left > 80
    gone, left, untold, _ = total["no line"]
    assert left + untold <= 1 and gone > 10


def test_every_ink_is_tried() -> None:
    found = count_verdicts(world_cases(1, 64, 3))
    assert {ink for ink, _ in found} == {"none", *INK} and {r for _, r in found} >= {"answer", "same", "night"}
