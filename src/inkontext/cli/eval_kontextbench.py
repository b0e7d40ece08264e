"""`inkontext eval kontextbench`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from inkontext.cli import options as o
from inkontext.cli.places import check_places

if TYPE_CHECKING:
    from inkontext.evaluation.kontextbench.data import Bench, Selection, Shard
    from inkontext.evaluation.kontextbench.metrics import Metric
    from inkontext.evaluation.kontextbench.run import Evaluation
    from inkontext.evaluation.kontextbench.systems import System

_METRICS = "untouched_psnr,shift,text_similarity,text_exact,identity,clip_image,clip_text,dino"


def kontextbench(
    data: Annotated[str, typer.Option(help="Folder with test/metadata.jsonl, or a hub id.")],
    further: Annotated[list[Path] | None, typer.Argument(help="With --merge: the folders after the first.")] = None,
    model: o.Model = None,
    outputs: Annotated[Path | None, typer.Option(help="Score these pictures, KEY.png, instead of a model's.")] = None,
    limit: Annotated[int | None, typer.Option(help="Rows in all, in the data's proportions.")] = None,
    categories: Annotated[
        str | None, typer.Option(help="Some of local, global, character, text, style; with commas.")
    ] = None,
    shard: Annotated[str | None, typer.Option(help="I/N: rows I, I+N, ...; machines may share one --out.")] = None,
    merge: Annotated[Path | None, typer.Option(help="Join the folders of shards: --merge DIR DIR ...")] = None,
    metrics: Annotated[str | None, typer.Option(help=f"Some of {_METRICS.replace(',', ', ')}.")] = None,
    face_model: Annotated[Path | None, typer.Option(help="AuraFace's folder, for identity.")] = None,
    clip: Annotated[Path | None, typer.Option(help="Folder of a CLIP model, for clip_image and clip_text.")] = None,
    dino: Annotated[Path | None, typer.Option(help="Folder of a DINO model, for dino.")] = None,
    seed: Annotated[int, typer.Option("--seed", "-s", help="Each row's noise comes from it and the row's key.")] = 0,
    steps: o.Steps = None,
    guidance: o.Guidance = None,
    true_cfg: o.TrueCfg = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Folder to keep all in, and to resume from.")] = None,
    device: o.Device = None,
    dtype: o.Dtype = None,
    json: Annotated[Path | None, typer.Option("--json", help="Also write the figures and every row here.")] = None,
) -> None:
    """KontextBench: edit its pictures, or take another system's, and score them by category."""
    sampled = any(value is not None for value in (steps, guidance, true_cfg))
    chosen = any(value is not None for value in (limit, categories, shard, metrics, outputs)) or sampled
    _check(further or [], outputs, merge, sampled, chosen, seed, json, out)
    from inkontext.evaluation.kontextbench.data import Selection, Shard, open_bench

    if merge is not None:
        from inkontext.evaluation.kontextbench.merge import merge as join

        _show(join(open_bench(data), [merge, *(further or [])], out), json)
        return
    selection = Selection(_listed(categories) if categories is not None else Selection().categories, limit)
    part = Shard.parse(shard) if shard is not None else None
    bench = open_bench(data)
    from inkontext.evaluation.kontextbench.metrics import metrics_named

    measures = metrics_named(_listed(_METRICS if metrics is None else metrics), face_model, clip, dino, device)
    system = _system(model, outputs, device, dtype, (steps, guidance, true_cfg), seed)
    _show(_run(bench, system, measures, selection, seed, part, out), json)


def _check(
    further: list[Path], outputs: Path | None, merge: Path | None, sampled: bool, chosen: bool, seed: int,
    json: Path | None, out: Path | None,
) -> None:  # fmt: skip
    """Find what is wrong with the options before anything heavy is imported."""
    from inkontext.errors import OptionError

    if further and merge is None:
        raise OptionError(f"'{further[0]}' belongs to no option; only --merge takes several folders")
    if merge is not None and chosen:
        raise OptionError("--merge takes model, rows and metrics from the folders; leave out the options that say them")
    if sampled and outputs is not None:
        raise OptionError("--steps, --guidance and --true-cfg belong to a model; leave them out with --outputs")
    if not 0 <= seed < 2**63:
        raise OptionError(f"the seed is {seed}; it must be a whole number from 0")
    check_places(json, out)


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _system(
    name: str | None, outputs: Path | None, device: str | None, dtype: str | None,
    sampling: tuple[int | None, float | None, float | None], seed: int,
) -> System:  # fmt: skip
    from inkontext.evaluation.kontextbench.systems import Editor, Given
    from inkontext.evaluation.world.systems import ModelSystem

    if outputs is not None:
        return Given(outputs)
    return Editor(ModelSystem(o.load(name, device, dtype, None, None), *sampling), seed)


def _run(
    bench: Bench, system: System, metrics: list[Metric], selection: Selection, seed: int, shard: Shard | None,
    out: Path | None,
) -> Evaluation:  # fmt: skip
    """Evaluate under a progress bar, and join the shards where this was the last; an interruption says what is kept."""
    from rich.console import Console
    from rich.progress import Progress

    from inkontext.errors import Cancelled
    from inkontext.evaluation.kontextbench.merge import merge_if_whole
    from inkontext.evaluation.kontextbench.run import evaluate

    console = Console(stderr=True)
    for metric in metrics:
        if why := metric.available():
            console.print(f"note: no {metric.name}: {why}", soft_wrap=True, highlight=False, markup=False)
    with Progress(console=console, transient=True) as bar:
        task = bar.add_task("rows", total=None)

        def watch(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        try:
            result = evaluate(bench, system, metrics, selection, seed, shard, out, watch)
            whole = merge_if_whole(bench, shard, out) if shard is not None and out is not None else None
        except KeyboardInterrupt:
            kept = f"what was done is kept in '{out}', run the same again to go on" if out else "nothing was written"
            raise Cancelled(f"interrupted; {kept}") from None
    return whole or result


def _show(result: Evaluation, json: Path | None) -> None:
    from rich.console import Console

    from inkontext.evaluation.kontextbench.report import report_of

    report_of(result.body, result.seconds, result.notes).show(Console())
    if json is not None:
        from inkontext.storage import write_json

        write_json(json, result.body)
