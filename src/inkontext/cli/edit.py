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
    ref: Annotated[
        list[str] | None, typer.Option("--ref", "-r", help="A further picture, FILE or NAME=FILE; repeat.")
    ] = None,
    scheme: Annotated[str | None, typer.Option(help="References: index, offset, far or stitch.")] = None,
    mask: Annotated[str | None, typer.Option(help="Picture of what may change; the rest keeps its bytes.")] = None,
    mask_edits: Annotated[str, typer.Option(help="Part of the mask to edit: white, black, transparent.")] = "white",
    mask_mode: Annotated[str, typer.Option(help="exact, or reference for the latent blend alone.")] = "exact",
    cue: Annotated[list[str] | None, typer.Option(help="Drawn for the model: ellipse:x,y,w,h or FILE.json.")] = None,
    strength: Annotated[float, typer.Option(help="With a mask: below 1 starts from the picture.")] = 1.0,
    size: Annotated[str, typer.Option(help="match, WIDTHxHEIGHT, or a ratio such as 16:9.")] = "match",
    fit: Annotated[str | None, typer.Option(help="pad, crop, stretch or reference.")] = None,
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
    check_text: Annotated[bool, typer.Option("--check-text", help="Read the words in quotation marks back.")] = False,
    retries: Annotated[int, typer.Option(help="With --check-text: further seeds where they are wrong.")] = 0,
    model: o.Model = None,
    device: o.Device = None,
    dtype: o.Dtype = None,
    autoencoder: o.Autoencoder = None,
    text: o.Text = None,
    out: o.Out = None,
    json: o.Json = None,
) -> None:
    """Change a picture as the prompt says; everything else stays where and as it was."""
    path = o.check_outputs(out, f"{image.stem}-edited.png", json, count)
    from inkontext.best_of import read_best_of, solver_of
    from inkontext.cli.checks import Checks, words_to_read
    from inkontext.cues import read_cues, settle
    from inkontext.geometry import read_mask
    from inkontext.request import read_prompts
    from inkontext.roles import assign, read_reference
    from inkontext.safety.pictures import read_picture

    # What is wrong with words or pictures should not wait for the model to load.
    read_prompts(prompt)
    best = read_best_of(quality, candidates, scorer)
    picture = read_picture(image, reference=fit == "reference")
    cast = assign(prompt, [read_reference(text) for text in ref or ()])
    sources = [picture.rgb, *(read_picture(file).rgb for file in cast.references)]
    if mask is not None:
        read_mask(mask, picture.size, mask_edits)
    cues = read_cues(cue or (), picture.size)
    words = words_to_read(prompt, check_text, retries)
    pipeline = o.load(model, device, dtype, autoencoder, text)
    cues = settle(picture.rgb, cues, pipeline.resolution)
    roles = {"roles": cast.as_dict(prompt)} if cast.names else {}
    checks = Checks(picture.rgb, cues, words, retries, roles, best.candidates if best else 1)
    solver = solver_of(quality, solver, pipeline.sampling)

    def sample(callback: Callback) -> Result:
        def make(seed: int, count: int) -> Result:
            return pipeline.edit(
                image, cast.prompt, references=cast.references, mask=mask, seed=seed, steps=steps, guidance=guidance,
                negative=negative, true_cfg=true_cfg, size=size, fit=fit, count=count, reference_numerics=numerics,
                callback=callback, scheme=scheme, solver=solver, mask_edits=mask_edits, mask_mode=mask_mode,
                strength=strength, cues=cues, position=cast.position,
            )  # fmt: skip

        return checks.run(best.around(make, sources) if best else make, seed, count)

    o.run(sample, path, json)
    checks.tell()
