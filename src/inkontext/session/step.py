"""One edit inside a session: from the parent's picture and latents to the new turn's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor

from inkontext.cues import CueReport, draw, gone, settle
from inkontext.geometry import Frame
from inkontext.pipeline import Pipeline
from inkontext.reading import Reader, TextReport, check
from inkontext.result import Callback, Result
from inkontext.safety.pictures import read_picture
from inkontext.session.keep import blend_latents, change_of, composite, weight_on_picture
from inkontext.session.manifest import How

_ANY = [0] + [255] * 255


@dataclass(frozen=True)
class Parent:
    """What a turn starts from: its picture, its latents `[1, C, h, w]`, and the canvas these decode to."""

    picture: Image.Image
    latents: Tensor
    canvas: Image.Image


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
    """

    picture: Image.Image
    raw: Image.Image
    latents: Tensor
    canvas: Image.Image
    change: Image.Image
    record: dict[str, Any]
    cues: CueReport | None = None
    text: TextReport | None = None


def make(
    pipeline: Pipeline, parent: Parent, how: How, mask: Image.Image | None, references: Sequence[Image.Image],
    callback: Callback | None = None, words: Sequence[str] = (), reader: Reader | None = None,
) -> Made:  # fmt: skip
    """Edit from the parent's latents, find what changed, and put the rest back.

    Cues are on the picture and not in its latents: with them the picture is encoded, cues and all. A turn whose size
    was given has no pixels to put back.

    Args:
        mask: mode L on the picture's pixels, 0 = must stay.
        words: to be looked for in the new picture.
    """
    cues = settle(read_picture(parent.picture).rgb, how.drawn, pipeline.resolution) if how.cues else ()
    result = pipeline.edit(
        parent.picture, how.prompt, references=references, mask=mask, seed=how.seed, steps=how.steps,
        guidance=how.guidance, negative=how.negative, true_cfg=how.true_cfg, solver=how.solver, size=how.size,
        callback=callback, context_latents=None if cues else parent.latents, cues=cues, position=how.position,
        expect=how.size is None and mask is None,
    )  # fmt: skip
    made = _finish(pipeline, parent, how, mask, result)
    if words:
        text = check(made.picture.convert("RGB"), words, reader)
        made = replace(made, record=made.record | {"text_check": text.as_dict()}, text=text)
    if not cues:
        return made
    before, after = (read_picture(image).rgb for image in (parent.picture, made.picture))
    report = gone(before, draw(before, cues), after, cues)
    return replace(made, record=made.record | {"cue_check": report.as_dict()}, cues=report)


def _finish(pipeline: Pipeline, parent: Parent, how: How, mask: Image.Image | None, result: Result) -> Made:
    """What the edit gave, with what it left alone put back."""
    raw, latents, record = result.images[0], result.latents[0], result.records[0]
    if how.size is not None:
        return Made(raw, raw, latents, pipeline.decode(latents), Image.new("L", raw.size, 255), record)
    frame = Frame(**record["frame"])
    canvas = raw if mask is None and raw.mode == "RGB" and _is_canvas(frame) else pipeline.decode(latents)

    # What changed, on the canvas and on the picture: what the mask says, or what is found.
    if mask is None:
        weight = change_of(parent.canvas, canvas, pipeline.decode(result.expected[0]))
        change = weight_on_picture(weight, frame)
    else:
        change = mask.point(_ANY)
        weight = (np.asarray(frame.place(change.convert("F"), Image.Resampling.BOX)) > 0).astype(np.float32)
    if not how.keep:
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
