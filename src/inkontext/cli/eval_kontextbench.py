"""`inkontext eval kontextbench`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from inkontext.cli import evaluating as e
from inkontext.cli import options as o

if TYPE_CHECKING:
    from inkontext.evaluation.kontextbench.data import Bench, Selection, Shard
    from inkontext.evaluation.kontextbench.metrics import Metric
    from inkontext.evaluation.kontextbench.run import Evaluation
    from inkontext.evaluation.kontextbench.systems import System

_METRICS = (
    "untouched_psnr,whole_psnr,outside_psnr,shift,text_similarity,text_exact,identity,identity_or_0,clip_image,"
    "clip_text,dino"
)


def kontextbench(
    data: Annotated[str, typer.Option(help="Folder with test/metadata.jsonl, or a hub id.")],
    further: Annotated[list[Path] | None, typer.Argument(help="With --merge: the folders after the first.")] = None,
    model: o.Model = None,
    outputs: e.Outputs = None,
    limit: Annotated[int | None, typer.Option(help="Rows in all, in the data's proportions.")] = None,
    categories: Annotated[
        str | None, typer.Option(help="Some of local, global, character, text, style; with commas.")
    ] = None,
    shard: Annotated[str | None, typer.Option(help="I/N: rows I, I+N, ...; machines may share one --out.")] = None,
    merge: Annotated[Path | None, typer.Option(help="Join the folders of shards: --merge DIR DIR ...")] = None,
    metrics: Annotated[str | None, typer.Option(help=f"Some of {_METRICS.replace(',', ', ')}.")] = None,
    masks: Annotated[
        Path | None, typer.Option(help="Folder of KEY.png, white where the edit is free, for outside_psnr.")
    ] = None,
    face_model: Annotated[Path | None, typer.Option(help="AuraFace's folder, for identity and identity_or_0.")] = None,
    clip: Annotated[Path | None, typer.Option(help="Folder of a CLIP model, for clip_image and clip_text.")] = None,
    dino: Annotated[Path | None, typer.Option(help="Folder of a DINO model, for dino.")] = None,
    seed: e.KeySeed = 0,
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
    """KontextBench: edit its pictures, or take another system's, and score them by category."""
    sampling, sides = (steps, guidance, true_cfg), (resolution, context_resolution)
    o.check_resolutions(*sides)
    chosen = any(value is not None for value in (limit, categories, shard, metrics, outputs, masks, *sampling, *sides))
    _check(further or [], merge, chosen)
    e.check_source(
        outputs, sampling, ("--resolution", resolution), ("--context-resolution", context_resolution)
    )  # fmt: skip
    e.check_seed(seed)
    e.check_places(json, out)
    from inkontext.evaluation.kontextbench.data import Selection, Shard, open_bench

    if merge is not None:
        from inkontext.evaluation.kontextbench.merge import merge as join

        _show(join(open_bench(data), [merge, *(further or [])], out), json)
        return
    selection = Selection(e.listed(categories) if categories is not None else Selection().categories, limit)
    part = Shard.parse(shard) if shard is not None else None
    bench = open_bench(data)
    from inkontext.evaluation.kontextbench.metrics import metrics_named

    names = e.listed(_METRICS if metrics is None else metrics)
    measures = metrics_named(names, face_model, clip, dino, device, masks)
    system = _system(model, outputs, device, dtype, sampling, sides, seed)
    _show(_run(bench, system, measures, selection, seed, part, out), json)


def _check(further: list[Path], merge: Path | None, chosen: bool) -> None:
    """Whether the options go with --merge, before anything heavy is imported."""
    from inkontext.errors import OptionError

    if further and merge is None:
        raise OptionError(f"'{further[0]}' belongs to no option; only --merge takes several folders")
    if merge is not None and chosen:
        raise OptionError("--merge takes model, rows and metrics from the folders; leave out the options that say them")


def _system(
    name: str | None, outputs: Path | None, device: str | None, dtype: str | None,
    sampling: e.Sampling, sides: o.Sides, seed: int,
) -> System:  # fmt: skip
    from inkontext.evaluation.keyed import Given
    from inkontext.evaluation.kontextbench.systems import Editor

    if outputs is not None:
        return Given(outputs)
    return Editor(e.load_system(name, device, dtype, sampling, sides), seed)


def _run(
    bench: Bench, system: System, metrics: list[Metric], selection: Selection, seed: int, shard: Shard | None,
    out: Path | None,
) -> Evaluation:  # fmt: skip
    """Evaluate under a progress bar, and join the shards where this was the last; an interruption says what is kept."""
    from rich.console import Console

    from inkontext.evaluation.kontextbench.merge import merge_if_whole
    from inkontext.evaluation.kontextbench.run import evaluate

    console = Console(stderr=True)
    for metric in metrics:
        if why := metric.available():
            console.print(f"note: no {metric.name}: {why}", soft_wrap=True, highlight=False, markup=False)
    with e.watched("rows", None, out) as watch:
        result = evaluate(bench, system, metrics, selection, seed, shard, out, watch)
        whole = merge_if_whole(bench, shard, out) if shard is not None and out is not None else None
    return whole or result


def _show(result: Evaluation, json: Path | None) -> None:
    from inkontext.evaluation.kontextbench.report import report_of

    e.tell("kontextbench", lambda: report_of(result.body, result.seconds, result.notes), result.body, json)
