"""`inkontext generate PROMPT`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from inkontext.cli import options as o

if TYPE_CHECKING:
    from inkontext.result import Callback, Result


def generate(
    prompt: Annotated[str, typer.Argument(help="What the picture shows.")],
    size: Annotated[str | None, typer.Option(help="WIDTHxHEIGHT or a ratio such as 16:9.")] = None,
    resolution: o.Resolution = None,
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
    model: o.Model = None,
    device: o.Device = None,
    dtype: o.Dtype = None,
    autoencoder: o.Autoencoder = None,
    text: o.Text = None,
    out: o.Out = None,
    json: o.Json = None,
) -> None:
    """Make a picture from text alone."""
    target = o.check_outputs(out, "generated.png", json, count)
    from inkontext.best_of import read_best_of, solver_of
    from inkontext.geometry import parse_size
    from inkontext.request import read_prompts
    from inkontext.safety.provenance import check_holds

    check_holds(target.path, parse_size(size, 16) or (1, 1))
    read_prompts(prompt)
    o.check_resolutions(resolution)
    best = read_best_of(quality, candidates, scorer)
    pipeline = o.load(model, device, dtype, autoencoder, text, resolution)
    solver = solver_of(quality, solver, pipeline.sampling)

    def sample(callback: Callback) -> Result:
        def make(seed: int, count: int) -> Result:
            return pipeline.generate(
                prompt, size=size, seed=seed, steps=steps, guidance=guidance, negative=negative, true_cfg=true_cfg,
                count=count, reference_numerics=numerics, callback=callback, solver=solver,
                resolution=resolution,
            )  # fmt: skip

        return (best.around(make) if best else make)(seed, count)

    o.run(sample, target, json)
