"""`inkontext eval world`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from inkontext.cli import evaluating as e
from inkontext.cli import options as o

if TYPE_CHECKING:
    from inkontext.data.world import Outside
    from inkontext.evaluation.world.plan import Plan
    from inkontext.evaluation.world.run import Evaluation
    from inkontext.evaluation.world.systems import System


def world(
    model: o.Model = None,
    seed: Annotated[int, typer.Option("--seed", "-s", help="Which draw of the bench.")] = 0,
    limit: Annotated[int | None, typer.Option(help="Editing pairs in all, in the bench's proportions.")] = None,
    size: Annotated[int | None, typer.Option(help="Side of the pictures, pixels; by default the model's.")] = None,
    tasks: Annotated[
        str, typer.Option(help="Some of local, global, character, text, style, t2i, cue, multi; with commas.")
    ] = "local,global,character,text,style,t2i",
    level: Annotated[int, typer.Option(help="How much of the world: 1 first scenes, 2 more, 3 all.")] = 3,
    photos: Annotated[Path | None, typer.Option(help="Folder of photographs: the photograph world.")] = None,
    emoji: Annotated[Path | None, typer.Option(help="Folder of stickers with names.json.")] = None,
    steps: o.Steps = None,
    guidance: o.Guidance = None,
    true_cfg: o.TrueCfg = None,
    resolution: o.Resolution = None,
    context_resolution: o.ContextResolution = None,
    quality: o.Quality = None,
    candidates: o.Candidates = None,
    scorer: Annotated[
        str | None, typer.Option(help="Who chooses: agreement, a plug-in, or world, which sees the truth.")
    ] = None,
    outputs: e.Outputs = None,
    baseline: Annotated[str | None, typer.Option(help="copy, target or autoencoder instead of a model.")] = None,
    out: e.Kept = None,
    device: o.Device = None,
    dtype: o.Dtype = None,
    json: e.Rows = None,
) -> None:
    """Held-out edits of the procedural world: was the asked change made, and did everything else stay?"""
    sampling, chosen = (steps, guidance, true_cfg), (quality, candidates, scorer)
    sides = (resolution, context_resolution)
    o.check_resolutions(*sides)
    _check(outputs, baseline, any(value is not None for value in (*sampling, *chosen, *sides)), json, out)
    from inkontext.data.world import Outside
    from inkontext.evaluation.world.plan import Plan, check_plan

    wanted = e.listed(tasks)
    check_plan(size, seed, limit, wanted, level)  # its mistakes before the model's
    outside = Outside(photos, emoji) if photos or emoji else None
    from inkontext.weights.source import model_from_environment

    name = model or model_from_environment()
    system = _system(name, outputs, baseline, device, dtype, sampling, sides, chosen, outside)
    plan = Plan(_resolution(system, name) if size is None else size, seed, limit, wanted, level)
    result = _run(plan, system, outside, out)
    from inkontext.evaluation.world.report import report_of, write_report

    def page(folder: Path) -> None:
        print(f"report: {write_report(result.body, folder, outside)}")

    e.tell("world", lambda: report_of(result.body, result.seconds), result.body, json, out, page)


def _check(outputs: Path | None, baseline: str | None, sampled: bool, json: Path | None, out: Path | None) -> None:
    """Find what is wrong with the options before anything heavy is imported."""
    from inkontext.errors import OptionError

    if baseline is not None and baseline not in ("copy", "target", "autoencoder"):
        raise OptionError(f"unknown baseline '{baseline}'; choose copy, target or autoencoder")
    if baseline is not None and outputs is not None:
        raise OptionError("--baseline and --outputs are two sources of pictures; give one")
    if sampled and (baseline is not None or outputs is not None):
        raise OptionError(
            "--steps, --guidance, --true-cfg, --resolution, --context-resolution, --quality, --candidates and --scorer "
            "belong to a model; leave them out here"
        )
    e.check_places(json, out)


def _system(
    name: str, outputs: Path | None, baseline: str | None, device: str | None, dtype: str | None,
    sampling: e.Sampling, sides: o.Sides, chosen: tuple[str | None, int | None, str | None], outside: Outside | None,
) -> System:  # fmt: skip
    from inkontext.evaluation.world import systems

    if outputs is not None:
        return systems.Folder(outputs)
    if baseline == "copy":
        return systems.Copy()
    if baseline == "target":
        return systems.Target()
    if baseline == "autoencoder":
        from inkontext.runtime.device import choose_device

        return systems.Compressed.from_pretrained(name, choose_device(device))
    best = systems.Best(*chosen, outside) if any(value is not None for value in chosen) else None
    return e.load_system(name, device, dtype, sampling, sides, best)


def _resolution(system: System, name: str) -> int:
    """Of the model; where it is not loaded, as its files say."""
    from inkontext.evaluation.world import systems

    if isinstance(system, systems.ModelSystem):
        return system.pipeline.resolution
    return system.resolution if isinstance(system, systems.Compressed) else systems.model_resolution(name)


def _run(plan: Plan, system: System, outside: Outside | None, out: Path | None) -> Evaluation:
    """Evaluate under a progress bar; an interruption says what is kept."""
    from inkontext.evaluation.world.run import evaluate

    with e.watched("pairs", sum(plan.counts().values()), out) as watch:
        return evaluate(plan, system, outside, out, watch)
