"""`inkontext eval world`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from inkontext.cli import options as o
from inkontext.cli.places import check_places

if TYPE_CHECKING:
    from inkontext.data.world import Outside
    from inkontext.evaluation.world import Evaluation
    from inkontext.evaluation.world_plan import Plan
    from inkontext.evaluation.world_systems import System


def world(
    model: o.Model = None,
    seed: Annotated[int, typer.Option("--seed", "-s", help="Which draw of the bench.")] = 0,
    limit: Annotated[int | None, typer.Option(help="Editing pairs in all, in the bench's proportions.")] = None,
    size: Annotated[int | None, typer.Option(help="Side of the pictures, pixels; by default the model's.")] = None,
    tasks: Annotated[
        str, typer.Option(help="Some of local, global, character, text, style, t2i, cue, multi; with commas.")
    ] = "local,global,character,text,style,t2i",
    photos: Annotated[Path | None, typer.Option(help="Folder of photographs: the photograph world.")] = None,
    emoji: Annotated[Path | None, typer.Option(help="Folder of stickers with names.json.")] = None,
    steps: o.Steps = None,
    guidance: o.Guidance = None,
    true_cfg: o.TrueCfg = None,
    quality: o.Quality = None,
    candidates: o.Candidates = None,
    scorer: Annotated[
        str | None, typer.Option(help="Who chooses: agreement, a plug-in, or world, which sees the truth.")
    ] = None,
    outputs: Annotated[Path | None, typer.Option(help="Score these pictures, KEY.png, instead of a model's.")] = None,
    baseline: Annotated[str | None, typer.Option(help="copy, target or autoencoder instead of a model.")] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Folder to keep all in, and to resume from.")] = None,
    device: o.Device = None,
    dtype: o.Dtype = None,
    json: Annotated[Path | None, typer.Option("--json", help="Also write the figures and every row here.")] = None,
) -> None:
    """Held-out edits of the procedural world: was the asked change made, and did everything else stay?"""
    chosen = (quality, candidates, scorer)
    sampled = any(value is not None for value in (steps, guidance, true_cfg, *chosen))
    _check(outputs, baseline, sampled, json, out)
    from inkontext.data.world import Outside
    from inkontext.evaluation.world_plan import Plan

    wanted = tuple(task.strip() for task in tasks.split(",") if task.strip())
    plan = Plan(64 if size is None else size, seed, limit, wanted)  # its mistakes before the model's
    outside = Outside(photos, emoji) if photos or emoji else None
    from inkontext.evaluation.world_systems import model_resolution
    from inkontext.weights.source import model_from_environment

    name = model or model_from_environment()
    plan = plan if size is not None else Plan(model_resolution(name), seed, limit, wanted)
    system = _system(name, outputs, baseline, device, dtype, (steps, guidance, true_cfg), chosen, outside)
    result = _run(plan, system, outside, out)
    if json is not None:
        from inkontext.storage import write_json

        write_json(json, result.body)


def _check(outputs: Path | None, baseline: str | None, sampled: bool, json: Path | None, out: Path | None) -> None:
    """Find what is wrong with the options before anything heavy is imported."""
    from inkontext.errors import OptionError

    if baseline is not None and baseline not in ("copy", "target", "autoencoder"):
        raise OptionError(f"unknown baseline '{baseline}'; choose copy, target or autoencoder")
    if baseline is not None and outputs is not None:
        raise OptionError("--baseline and --outputs are two sources of pictures; give one")
    if sampled and (baseline is not None or outputs is not None):
        raise OptionError(
            "--steps, --guidance, --true-cfg, --quality, --candidates and --scorer belong to a model; "
            "leave them out here"
        )
    check_places(json, out)


def _system(
    name: str, outputs: Path | None, baseline: str | None, device: str | None, dtype: str | None,
    sampling: tuple[int | None, float | None, float | None], chosen: tuple[str | None, int | None, str | None],
    outside: Outside | None,
) -> System:  # fmt: skip
    from inkontext.evaluation import world_systems as systems

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
    return systems.ModelSystem(o.load(name, device, dtype, None, None), *sampling, best)


def _run(plan: Plan, system: System, outside: object, out: Path | None) -> Evaluation:
    """Evaluate under a progress bar and print the table; an interruption says what is kept."""
    from rich.console import Console
    from rich.progress import Progress

    from inkontext.data.world import Outside
    from inkontext.errors import Cancelled
    from inkontext.evaluation.world import evaluate
    from inkontext.evaluation.world_report import report_of, write_report

    assert outside is None or isinstance(outside, Outside)
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("pairs", total=sum(plan.counts().values()))

        def watch(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        try:
            result = evaluate(plan, system, outside, out, watch)
        except KeyboardInterrupt:
            kept = f"what was done is kept in '{out}', run the same again to go on" if out else "nothing was written"
            raise Cancelled(f"interrupted; {kept}") from None
    report_of(result.body, result.seconds).show(Console())
    if out is not None:
        Console().print(f"report: {write_report(result.body, out, outside)}", highlight=False, soft_wrap=True)
    return result
