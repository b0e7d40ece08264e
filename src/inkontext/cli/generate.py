"""`inkontext generate PROMPT`."""

from __future__ import annotations

from typing import Annotated

import typer

from inkontext.cli import options as o


def generate(
    prompt: Annotated[str, typer.Argument(help="What the picture shows.")],
    size: Annotated[str | None, typer.Option(help="WIDTHxHEIGHT or a ratio such as 16:9.")] = None,
    seed: o.Seed = 0,
    steps: o.Steps = None,
    guidance: o.Guidance = None,
    negative: o.Negative = None,
    true_cfg: o.TrueCfg = None,
    solver: o.Solver = None,
    numerics: o.Numerics = None,
    count: o.Count = 1,
    model: o.Model = None,
    device: o.Device = None,
    dtype: o.Dtype = None,
    autoencoder: o.Autoencoder = None,
    text: o.Text = None,
    out: o.Out = None,
    json: o.Json = None,
) -> None:
    """Make a picture from text alone."""
    path = o.check_outputs(out, "generated.png", json, count)
    from inkontext.request import read_prompts

    read_prompts(prompt)
    pipeline = o.load(model, device, dtype, autoencoder, text)
    o.run(
        lambda callback: pipeline.generate(
            prompt, size=size, seed=seed, steps=steps, guidance=guidance, negative=negative, true_cfg=true_cfg,
            count=count, reference_numerics=numerics, callback=callback, solver=solver,
        ),
        path,
        json,
    )  # fmt: skip
