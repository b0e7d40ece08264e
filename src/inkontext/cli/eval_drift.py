"""`inkontext eval drift`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from inkontext.cli import options as o
from inkontext.cli.places import check_places

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
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Folder to keep all in, and to resume from.")] = None,
    device: o.Device = None,
    dtype: o.Dtype = None,
    json: Annotated[Path | None, typer.Option("--json", help="Also write the figures and every row here.")] = None,
) -> None:
    """What many turns cost: a session beside one that feeds every picture back as a PNG."""
    check_places(json, out)
    from inkontext.evaluation.drift.run import Plan
    from inkontext.evaluation.world.systems import ModelSystem

    named = tuple(arm.strip() for arm in arms.split(",") if arm.strip())
    Plan(64 if size is None else size, turns, seed, limit, named)  # its mistakes before the model's
    pipeline = o.load(model, device, dtype, None, None)
    plan = Plan(size or pipeline.resolution, turns, seed, limit, named)
    result = _run(plan, ModelSystem(pipeline, steps, guidance, true_cfg), out)
    if json is not None:
        from inkontext.storage import write_json

        write_json(json, result.body)


def _run(plan: Plan, system: ModelSystem, out: Path | None) -> Evaluation:
    """Evaluate under a progress bar and print the table; an interruption says what is kept."""
    from rich.console import Console
    from rich.progress import Progress

    from inkontext.errors import Cancelled
    from inkontext.evaluation.drift.report import report_of
    from inkontext.evaluation.drift.run import evaluate

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("edits", total=plan.limit * plan.turns * len(plan.arms))

        def watch(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        try:
            result = evaluate(plan, system, out, watch)
        except KeyboardInterrupt:
            kept = f"whole chains are kept in '{out}', run the same again to go on" if out else "nothing was written"
            raise Cancelled(f"interrupted; {kept}") from None
    report_of(result.body, result.seconds).show(Console())
    return result
