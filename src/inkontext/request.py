"""From a caller's arguments to a list of fully decided pictures to make; every mistake is found here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from PIL import Image
from torch import Tensor

from inkontext import geometry
from inkontext.compositing import Mask, keep_outside, restore_alpha
from inkontext.cues import Cue, draw, settle
from inkontext.errors import OptionError, PromptError
from inkontext.flow.solvers import SAMPLERS
from inkontext.geometry import Frame, Size
from inkontext.masking import MaskFinding, find_mask
from inkontext.model.presets import Sampling
from inkontext.numbers import as_real, as_whole, read_count, read_seed, real, whole
from inkontext.numerics import numerics_for
from inkontext.safety.pictures import Picture, PictureLike, read_picture
from inkontext.sequence import SCHEMES

MASK_MODES = ("exact", "reference")
T = TypeVar("T")
_ONE = (str, bytes, Path, Image.Image, np.ndarray, Picture)


@dataclass(frozen=True)
class Context:
    """A reference picture and where it lies on its canvas; `latents` `[1, C, h, w]` where they need no encoding."""

    picture: Picture
    frame: Frame
    latents: Tensor | None = None


@dataclass(frozen=True)
class Options:
    """How to sample; None where the model has no such input."""

    steps: int
    guidance: float | None
    negative: str | None
    true_cfg: float | None
    solver: str
    scheme: str
    fit: str
    reference_numerics: str | None
    resolution: int | None = None
    context_resolution: int | None = None


@dataclass(frozen=True)
class Request:
    """One picture to make.

    Attributes:
        frame: map between the canvas that is sampled and the picture that is returned.
        contexts: the edited picture with its cues, then further references, or all stitched into one.
        picture: the one that is edited; None for text-to-image.
        references: how many further ones were given.
        place: where the edited picture lies on the canvas of a result of its size.
        aligned: the result shows the picture's own pixels, edited, at its size.
        cues: what was drawn on the picture for the model to see.
        position: how many references stand before the edited picture in the sequence.
        expect: give what the model expects of the picture, too.
    """

    prompt: str
    seed: int
    frame: Frame
    options: Options
    contexts: tuple[Context, ...] = ()
    picture: Picture | None = None
    references: int = 0
    place: Frame | None = None
    mask: Mask | None = None
    aligned: bool = False
    cues: tuple[Cue, ...] = ()
    position: int = 0
    expect: bool = False

    @property
    def clean(self) -> Context:
        """The edited picture without its cues, on the canvas of the result."""
        assert self.picture is not None and self.place is not None
        seen = self.contexts[0]
        return Context(self.picture, self.place, seen.latents if seen.frame == self.place else None)

    def finish(self, canvas: Image.Image) -> Image.Image:
        """What is returned of a sampled canvas: its geometry restored, and whatever was not to be touched."""
        image, before = self.frame.restore(canvas), self.picture
        if before is None:
            return image
        if self.mask is not None and self.mask.mode == "exact":
            image = keep_outside(before.rgb, image, self.mask.image)
        if self.aligned and before.alpha is not None:
            image = restore_alpha(before, image)
        if before.icc and image.mode in ("RGB", "RGBA"):
            image.info["icc_profile"] = before.icc
        return image


def read_options(
    sampling: Sampling, has_guidance: bool, *, steps: int | None, guidance: float | None, negative: str | None,
    true_cfg: float | None, solver: str | None, scheme: str | None, fit: str | None, reference_numerics: str | None,
    resolution: int | None = None, context_resolution: int | None = None,
) -> Options:  # fmt: skip
    """Fill in the model's own defaults. Raises OptionError for what it cannot do."""
    numerics_for(reference_numerics)
    steps = sampling.steps if steps is None else whole(steps, "steps", 1, 1000)
    if guidance is not None and not has_guidance:
        raise OptionError("this model has no guidance input; use true_cfg (--true-cfg) instead")
    guidance = guidance if guidance is not None else (sampling.guidance or 1.0) if has_guidance else None
    guidance = None if guidance is None else real(guidance, "guidance", 0, 100)
    true_cfg = None if true_cfg is None else real(true_cfg, "true_cfg", 1, 100)
    _check_unicode(negative or "")
    if negative and (true_cfg is None or true_cfg == 1):
        raise OptionError("a negative prompt acts through true_cfg; set true_cfg (--true-cfg) above 1, such as 4")
    for value, known, what in (
        (solver or sampling.solver, SAMPLERS, "solver"),
        (scheme or sampling.reference_scheme, SCHEMES, "reference scheme"),
        (fit or "pad", geometry.FITS, "fit"),
    ):
        if value not in known:
            raise OptionError(f"unknown {what} {value!r}; choose one of {', '.join(known)}")
    true_cfg = true_cfg if true_cfg and true_cfg > 1 else None
    return Options(
        steps, guidance, (negative or "") if true_cfg else None, true_cfg, solver or sampling.solver,
        scheme or sampling.reference_scheme, fit or "pad", reference_numerics,
        geometry.read_resolution(resolution), geometry.read_resolution(context_resolution, "context_resolution"),
    )  # fmt: skip


def working(sampling: Sampling, resolution: int | None) -> Sampling:
    """The sampling of a model that works at another resolution: its own canvases, scaled. None is its own."""
    if resolution is None or resolution == sampling.resolution:
        return sampling
    buckets = geometry.scaled_buckets(sampling.buckets, resolution / sampling.resolution)
    return replace(sampling, resolution=resolution, buckets=buckets)


def edit_requests(
    sampling: Sampling, options: Options, image: PictureLike | Sequence[PictureLike], prompt: str | Sequence[str],
    references: Sequence[PictureLike], mask: PictureLike | MaskFinding | None, mask_edits: str, mask_mode: str,
    strength: float, seed: int | Sequence[int], size: str | Size | None, count: int, cues: Sequence[Cue] = (),
    position: int = 0,
) -> list[Request]:  # fmt: skip
    """One request per picture and seed, pictures in order, seeds inside. Raises InKontextError subclasses."""
    stretch = options.fit == "reference"
    images: list[Any] = list(image) if isinstance(image, list | tuple) else [image]
    prompts = read_prompts(prompt)
    if not images:
        raise OptionError("there is no picture to edit; give at least one")
    total = max(len(images), len(prompts))
    if len(images) not in (1, total) or len(prompts) not in (1, total):
        raise OptionError(f"{len(images)} pictures and {len(prompts)} prompts do not pair up; give one or as many")
    if mask is not None and total > 1:
        raise OptionError("a mask belongs to one picture; edit the pictures one by one")
    if cues and len(images) > 1:
        raise OptionError("drawn cues belong to one picture; edit the pictures one by one")
    seeds = _seeds(seed, total, count)
    strength = read_strength(strength, mask is not None)
    several: Sequence[PictureLike] = [references] if isinstance(references, _ONE) else references
    extra = tuple(read_picture(r, reference=stretch) for r in several)
    if mask is not None and options.scheme == "stitch" and extra:
        raise OptionError("a mask and stitched references do not go together; use another reference scheme")
    place = as_whole(position)
    if place is None or not 0 <= place <= len(extra):
        raise OptionError(f"position must be from 0 to {len(extra)}, the number of references, not {position!r}")
    requests = []
    read: dict[int, Picture] = {}  # the same object given for several prompts is decoded and encoded once
    for i in range(total):
        source = images[i % len(images)]
        if id(source) not in read:
            read[id(source)] = read_picture(source, reference=stretch)
        base = _edit_request(sampling, options, read[id(source)], prompts[i % len(prompts)], extra, size, cues, place)
        if mask is not None:
            base = _with_mask(base, mask, mask_edits, mask_mode, strength)
        requests += [replace(base, seed=s) for s in seeds[i]]
    return requests


def read_strength(strength: float, masked: bool) -> float:
    """A strength as Python's number. Raises OptionError where it is none, or has no mask to act through."""
    number = as_real(strength)
    if not masked and number != 1:
        raise OptionError("strength acts through a mask; give one, or leave strength at 1")
    if number is None or not 0 < number <= 1:
        raise OptionError(f"strength must be above 0 and at most 1, not {strength}")
    return number


def generate_requests(
    sampling: Sampling, options: Options, prompt: str | Sequence[str], seed: int | Sequence[int],
    size: str | Size | None, count: int,
) -> list[Request]:  # fmt: skip
    """One request per prompt and seed, without any context in the sequence."""
    prompts = read_prompts(prompt)
    side = options.resolution or sampling.resolution
    wanted = geometry.parse_size(size, side) or (side, side)
    if options.resolution is None:
        frame = geometry.native_frame(wanted, side)
    else:
        frame = geometry.frame_for(wanted, geometry.area_canvas(wanted, side**2))
    seeds = _seeds(seed, len(prompts), count)
    return [Request(p, s, frame, options) for p, row in zip(prompts, seeds, strict=True) for s in row]


def _edit_request(
    sampling: Sampling, options: Options, picture: Picture, prompt: str, extra: Sequence[Picture],
    size: str | Size | None, cues: Sequence[Cue], position: int,
) -> Request:  # fmt: skip
    work = working(sampling, options.resolution)
    seen = working(sampling, options.context_resolution or options.resolution)
    cues = settle(picture.rgb, cues, seen.resolution)
    shown = replace(picture, rgb=draw(picture.rgb, cues)) if cues else picture
    first, place = lay(seen, shown, options.fit), lay(work, picture, options.fit).frame
    if options.scheme == "stitch" and extra:
        pasted = geometry.stitch(in_order(shown.rgb, [p.rgb for p in extra], position))
        contexts = (lay(seen, Picture(pasted, icc=picture.icc), options.fit),)
    else:
        contexts = (first, *(lay(seen, p, options.fit) for p in extra))
    wanted = geometry.parse_size(size, work.resolution)
    if options.fit == "reference":
        canvas = place.canvas if wanted is None else geometry.area_canvas(wanted, work.resolution**2)
        frame = geometry.frame_for(canvas, canvas, "reference")
    elif wanted is None or wanted == picture.size:
        frame = place
    else:
        frame = geometry.frame_for(wanted, _canvas(work, wanted, options.fit), "pad")
    aligned = frame is place and frame.output == picture.size
    return Request(
        prompt, 0, frame, options, contexts, picture, len(extra), place, aligned=aligned, cues=cues, position=position
    )


def in_order(first: T, others: Sequence[T], position: int) -> list[T]:
    """`first` with `position` of the others before it."""
    return [*others[:position], first, *others[position:]]


def lay(sampling: Sampling, picture: Picture, fit: str = "pad") -> Context:
    """The picture on the canvas that the model takes it on."""
    return Context(picture, geometry.frame_for(picture.size, _canvas(sampling, picture.size, fit), fit))


def _canvas(sampling: Sampling, size: Size, fit: str) -> Size:
    buckets = sampling.buckets or geometry.ratio_buckets(sampling.resolution)
    choose = geometry.reference_canvas if fit == "reference" else geometry.nearest_canvas
    return choose(size, buckets)


def with_latents(requests: list[Request], latents: Tensor, channels: int) -> list[Request]:
    """The requests with `latents` standing for the edited picture. Raises OptionError where they cannot."""
    first = requests[0].contexts[0]
    if any(r.contexts[0].picture is not first.picture for r in requests):
        raise OptionError("context_latents belong to one picture; edit the pictures one by one")
    if requests[0].cues:
        raise OptionError("cues are drawn on the picture, which context_latents replace; leave one of the two out")
    if requests[0].options.scheme == "stitch" and requests[0].references:
        raise OptionError("context_latents and stitched references do not go together; use another reference scheme")
    width, height = first.frame.canvas
    cell = geometry.GRID // 2
    if (shape := list(latents.shape)) != (wanted := [1, channels, height // cell, width // cell]):
        raise OptionError(f"context_latents are {shape} where this picture's are {wanted}; give those of its own edit")
    laid = replace(first, latents=latents)
    return [replace(r, contexts=(laid, *r.contexts[1:])) for r in requests]


def with_expectation(requests: list[Request]) -> list[Request]:
    """The requests asking what the model expects, too. Raises OptionError where that cannot be compared."""
    if any(r.place is None or r.frame.canvas != r.place.canvas for r in requests):
        raise OptionError("expect compares the result with its picture, so it must have its size; leave size alone")
    return [replace(r, expect=True) for r in requests]


def _with_mask(
    request: Request, mask: PictureLike | MaskFinding, edits: str, mode: str, strength: float
) -> Request:  # fmt: skip
    if mode not in MASK_MODES:
        raise OptionError(f"unknown mask_mode {mode!r}; choose one of {', '.join(MASK_MODES)}")
    first = request.contexts[0]
    if mode == "exact" and not request.aligned:
        raise OptionError("a mask keeps the picture's own pixels, so size must be 'match' and fit 'pad' or 'stretch'")
    if request.place is None or request.frame.canvas != request.place.canvas:
        raise OptionError("a mask needs an output of its picture's size; leave size at 'match'")
    found = find_mask(mask, first.picture.size, edits)
    return replace(request, mask=Mask(found.image, mode, strength, found.as_dict()))


def read_prompts(prompt: str | Sequence[str]) -> list[str]:
    """One prompt or several, as a list. Raises PromptError for an empty one."""
    prompts = [prompt] if isinstance(prompt, str) else list(prompt or ())
    if not prompts or not all(isinstance(p, str) and p.strip() for p in prompts):
        raise PromptError("the prompt is empty; say in a sentence what the picture should show or what to change")
    for p in prompts:
        _check_unicode(p)
    return prompts


def _check_unicode(prompt: str) -> None:
    if any("\ud800" <= letter <= "\udfff" for letter in prompt):
        raise PromptError("the prompt is not valid Unicode; type it again, or set the terminal to UTF-8")


def _seeds(seed: int | Sequence[int] | np.ndarray, pictures: int, count: int) -> list[list[int]]:
    """Seeds of every picture: `count` consecutive ones from its first, so that each can be made again alone."""
    number = read_count(count)
    several = isinstance(seed, Sequence) or getattr(seed, "ndim", 0) > 0  # an array or a tensor of them
    first = list(seed) if several else [seed] * pictures  # type: ignore[arg-type]
    if len(first) != pictures:
        raise OptionError(f"{len(first)} seeds for {pictures} pictures; give one seed, or one for each")
    return [[read_seed(s, number) + i for i in range(number)] for s in first]
