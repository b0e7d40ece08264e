"""One edit inside a session: from the parent's picture and latents to the new turn's."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor

from inkontext.best_of import BestOf
from inkontext.cues import CueReport, draw, gone, settle
from inkontext.geometry import Frame, parse_size
from inkontext.pipeline import Pipeline
from inkontext.reading import Reader, TextReport, check
from inkontext.result import Callback, Result
from inkontext.safety.pictures import read_picture
from inkontext.session.keep import blend_latents, change_of, composite, weight_on_picture
from inkontext.session.manifest import How

_ANY = [0] + [255] * 255


@dataclass(frozen=True)
class Parent:
    """What a turn starts from.

    Attributes:
        picture: the one before.
        latents: `[1, C, h, w]`, on the canvas of the turn's resolution.
        canvas: what they decode to.
        known: its latents by their resolution; those of another the model makes from the picture.
    """

    picture: Image.Image
    latents: Tensor
    canvas: Image.Image
    known: Mapping[int, Tensor]


@dataclass(frozen=True)
class Made:
    """A new turn.

    Attributes:
        picture: with what the edit left alone put back, where that was asked.
        raw: as the model made it.
        latents: float32 `[1, C, h, w]`; of cells without any change, the parent's own.
        canvas: what the latents decode to.
        change: mode L on the picture's pixels; 0 = left alone.
        record: how it was made.
        cues: whether the ink of its cues is gone; None without cues.
        text: what was read of the words asked for; None without words.
        choice: how it was chosen among candidates; None where there were none.
    """

    picture: Image.Image
    raw: Image.Image
    latents: Tensor
    canvas: Image.Image
    change: Image.Image
    record: dict[str, Any]
    cues: CueReport | None = None
    text: TextReport | None = None
    choice: dict[str, Any] | None = None


def make(
    pipeline: Pipeline, parent: Parent, how: How, mask: Image.Image | None, references: Sequence[Image.Image],
    callback: Callback | None = None, words: Sequence[str] = (), reader: Reader | None = None,
    best: BestOf | None = None,
) -> Made:  # fmt: skip
    """Edit from the parent's latents, find what changed, and put the rest back.

    Cues are on the picture and not in its latents: with them the picture is encoded, cues and all; so it is where the
    model sees it at another resolution than its latents have. A turn of another size has no pixels to put back.

    Args:
        mask: mode L on the picture's pixels, 0 = must stay.
        words: to be looked for in the new picture.
        best: makes several from the seed on, and chooses among them as they would be kept.
    """
    before = read_picture(parent.picture).rgb
    side = how.resolution or pipeline.resolution
    seen = how.context_resolution or side
    cues = settle(before, how.drawn, seen) if how.cues else ()
    resized = parse_size(how.size, side) not in (None, parent.picture.size)

    def paint(seed: int, count: int) -> list[Made]:
        result = pipeline.edit(
            parent.picture, how.prompt, references=references, mask=mask, seed=seed, count=count, steps=how.steps,
            guidance=how.guidance, negative=how.negative, true_cfg=how.true_cfg, solver=how.solver, size=how.size,
            callback=callback, context_latents=None if cues else parent.known.get(seen), cues=cues,
            position=how.position, strength=how.strength, expect=not resized and mask is None,
            resolution=how.resolution, context_resolution=how.context_resolution,
        )  # fmt: skip
        return [_finish(pipeline, parent, how.keep, resized, mask, result, n) for n in range(count)]

    made = _chosen(best, paint, how.seed, [before, *references]) if best else paint(how.seed, 1)[0]
    if words:
        text = check(made.picture.convert("RGB"), words, reader)
        made = replace(made, record=made.record | {"text_check": text.as_dict()}, text=text)
    if not cues:
        return made
    report = gone(before, draw(before, cues), read_picture(made.picture).rgb, cues)
    return replace(made, record=made.record | {"cue_check": report.as_dict()}, cues=report)


def _chosen(
    best: BestOf, paint: Callable[[int, int], list[Made]], seed: int, sources: Sequence[Image.Image]
) -> Made:  # fmt: skip
    """The best of the candidates from a seed on; the scorer sees them with what they left alone put back."""
    painted: dict[int, Made] = {}

    def candidates(seed: int, count: int) -> Result:
        these = paint(seed, count)
        painted.update(zip(range(seed, seed + count), these, strict=True))
        return Result([m.picture for m in these], [m.record for m in these], [m.latents for m in these])

    record = best.around(candidates, sources)(seed, 1).records[0]
    choice = record["best_of"]
    return replace(painted[choice["chosen"]], record=record, choice=choice)


def _finish(
    pipeline: Pipeline, parent: Parent, keep: bool, resized: bool, mask: Image.Image | None, result: Result, n: int
) -> Made:  # fmt: skip
    """Picture n that the edit gave, with what it left alone put back."""
    raw, latents, record = result.images[n], result.latents[n], result.records[n]
    if resized:
        return Made(raw, raw, latents, pipeline.decode(latents), Image.new("L", raw.size, 255), record)
    frame = Frame(**record["frame"])
    canvas = raw if mask is None and raw.mode == "RGB" and _is_canvas(frame) else pipeline.decode(latents)

    # What changed, on the canvas and on the picture: what the mask says, or what is found.
    if mask is None:
        weight = change_of(parent.canvas, canvas, pipeline.decode(result.expected[n]))
        change = weight_on_picture(weight, frame)
    else:
        change = mask.point(_ANY)
        weight = (np.asarray(frame.place(change.convert("F"), Image.Resampling.BOX)) > 0).astype(np.float32)
    if not keep:
        return Made(raw, raw, latents, canvas, change, record)

    # What did not, put back: latents by cell, then pixels by byte.
    latents = blend_latents(parent.latents, latents, weight)
    canvas = pipeline.decode(latents)
    picture = composite(parent.picture, frame.restore(canvas), change, mask)
    if "icc_profile" in parent.picture.info:
        picture.info["icc_profile"] = parent.picture.info["icc_profile"]
    return Made(picture, raw, latents, canvas, change, record)


def _is_canvas(frame: Frame) -> bool:
    """Whether picture and canvas are the same pixels."""
    return frame.output == frame.canvas == frame.source
