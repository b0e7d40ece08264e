"""`inkontext eval drift`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from inkontext.cli import evaluating as e
from inkontext.cli import options as o

if TYPE_CHECKING:
    from inkontext.evaluation.drift.run import Evaluation, Plan
    from inkontext.evaluation.world.systems import ModelSystem


def drift(
    model: o.Model = None,
    turns: Annotated[int, typer.Option(help="Edits one after the other.")] = 20,
    seed: Annotated[int, typer.Option("--seed", "-s", help="Which draw of the chains.")] = 0,
    limit: Annotated[int, typer.Option(help="Chains.")] = 16,
    size: Annotated[int | None, typer.Option(help="Side of the pictures, pixels; by default the model's.")] = None,
    arms: Annotated[str, typer.Option(help="Some of ours, naive, latents; with commas.")] = "ours,naive",
    steps: o.Steps = None,
    guidance: o.Guidance = None,
    true_cfg: o.TrueCfg = None,
    resolution: o.Resolution = None,
    context_resolution: o.ContextResolution = None,
    out: e.Kept = None,
    device: o.Device = None,
    dtype: o.Dtype = None,
    json: e.Rows = None,
) -> None:
    """What many turns cost: a session beside one that feeds every picture back as a PNG."""
    e.check_places(json, out)
    from inkontext.evaluation.drift.run import Plan, check_plan

    named = e.listed(arms)
    o.check_resolutions(resolution, context_resolution)
    check_plan(size, turns, seed, limit, named)  # its mistakes before the model's
    system = e.load_system(model, device, dtype, (steps, guidance, true_cfg), (resolution, context_resolution))
    plan = Plan(system.pipeline.resolution if size is None else size, turns, seed, limit, named)
    result = _run(plan, system, out)
    from inkontext.evaluation.drift.report import report_of

    e.tell("drift", lambda: report_of(result.body, result.seconds), result.body, json)


def _run(plan: Plan, system: ModelSystem, out: Path | None) -> Evaluation:
    """Evaluate under a progress bar; an interruption says what is kept."""
    from inkontext.evaluation.drift.run import evaluate

    with e.watched("edits", plan.limit * plan.turns * len(plan.arms), out, "whole chains are") as watch:
        return evaluate(plan, system, out, watch)
