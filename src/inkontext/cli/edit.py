"""`inkontext edit IMAGE PROMPT`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from inkontext.cli import options as o

if TYPE_CHECKING:
    from inkontext.result import Callback, Result


def edit(
    image: Annotated[Path, typer.Argument(help="The picture to change.")],
    prompt: Annotated[str, typer.Argument(help="What to change, in a sentence.")],
    ref: o.Ref = None,
    scheme: Annotated[str | None, typer.Option(help="References: index, offset, far or stitch.")] = None,
    mask: o.Mask = None,
    mask_edits: o.MaskEdits = "white",
    mask_mode: Annotated[str, typer.Option(help="exact, or reference for the latent blend alone.")] = "exact",
    cue: o.Cue = None,
    strength: o.Strength = 1.0,
    size: o.Size = "match",
    fit: Annotated[str | None, typer.Option(help="pad, crop, stretch or reference.")] = None,
    resolution: o.Resolution = None,
    context_resolution: o.ContextResolution = None,
    seed: o.Seed = 0,
    steps: o.Steps = None,
    guidance: o.Guidance = None,
    negative: o.Negative = None,
    true_cfg: o.TrueCfg = None,
    solver: o.Solver = None,
    numerics: o.Numerics = None,
    count: o.Count = 1,
    quality: o.Quality = None,
    candidates: o.Candidates = None,
    scorer: o.Scorer = None,
    check_text: o.CheckText = False,
    retries: o.Retries = 0,
    model: o.Model = None,
    device: o.Device = None,
    dtype: o.Dtype = None,
    autoencoder: o.Autoencoder = None,
    text: o.Text = None,
    out: o.Out = None,
    json: o.Json = None,
) -> None:
    """Change a picture as the prompt says; everything else stays where and as it was."""
    from inkontext.best_of import read_best_of, solver_of
    from inkontext.cli.asking import read_asked
    from inkontext.cli.checks import Checks
    from inkontext.cues import settle
    from inkontext.geometry import parse_size
    from inkontext.safety.pictures import read_picture
    from inkontext.safety.provenance import check_holds, check_keeps_bytes

    # What is wrong with words or pictures should not wait for the model to load.
    target = o.check_outputs(out, f"{image.stem}-edited.png", json, count, o.files_read(image, ref, mask, cue))
    if mask is not None:
        check_keeps_bytes(target.path, mask_mode)
    o.check_resolutions(resolution, context_resolution)
    best = read_best_of(quality, candidates, scorer)
    stretch = fit == "reference"
    picture = read_picture(image, reference=stretch)
    check_holds(target.path, parse_size(size, 16) or picture.size)
    asked = read_asked(picture.size, prompt, ref, mask, mask_edits, strength, cue, check_text, retries, stretch)
    cast, sources = asked.cast, [picture.rgb, *(r.rgb for r in asked.references)]
    pipeline = o.load(model, device, dtype, autoencoder, text, resolution, context_resolution)
    cues = settle(picture.rgb, asked.cues, context_resolution or resolution or pipeline.resolution)
    roles = {"roles": cast.as_dict(prompt)} if cast.names else {}
    checks = Checks(picture.rgb, cues, asked.words, retries, roles, best.candidates if best else 1)
    solver = solver_of(quality, solver, pipeline.sampling)

    def sample(callback: Callback) -> Result:
        def make(seed: int, count: int) -> Result:
            return pipeline.edit(
                picture, cast.prompt, references=asked.references, mask=asked.mask, seed=seed, steps=steps,
                guidance=guidance, negative=negative, true_cfg=true_cfg, size=size, fit=fit, count=count,
                reference_numerics=numerics, callback=callback, scheme=scheme, solver=solver, mask_mode=mask_mode,
                strength=strength, cues=cues, position=cast.position, resolution=resolution,
                context_resolution=context_resolution,
            )  # fmt: skip

        return checks.run(best.around(make, sources) if best else make, seed, count)

    o.run(sample, target, json)
    checks.tell()
