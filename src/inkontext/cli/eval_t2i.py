"""`inkontext eval t2i`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from inkontext.cli import evaluating as e
from inkontext.cli import options as o

if TYPE_CHECKING:
    from inkontext.evaluation.problems import Problem
    from inkontext.evaluation.t2i.judges import Judge
    from inkontext.evaluation.t2i.plan import Plan
    from inkontext.evaluation.t2i.run import Evaluation, System


def t2i(
    prompts: Annotated[list[Path], typer.Option(help="DrawBench, PartiPrompts or your own: txt, csv, tsv, json(l).")],
    model: o.Model = None,
    outputs: e.Outputs = None,
    limit: Annotated[int | None, typer.Option(help="Prompts in all, in the proportions of the categories.")] = None,
    size: Annotated[str | None, typer.Option(help="WIDTHxHEIGHT or a ratio such as 16:9.")] = None,
    clip: Annotated[Path | None, typer.Option(help="Folder of a CLIP model, for prompt following.")] = None,
    aesthetic_head: Annotated[
        Path | None, typer.Option(help="Linear layers over CLIP's vector, .safetensors, for aesthetics.")
    ] = None,
    judge: Annotated[
        list[str] | None, typer.Option(help="Your own: QUESTION=FILE.py:FUNCTION, (picture, prompt) -> float.")
    ] = None,
    seed: e.KeySeed = 0,
    steps: o.Steps = None,
    guidance: o.Guidance = None,
    true_cfg: o.TrueCfg = None,
    resolution: o.Resolution = None,
    out: e.Kept = None,
    device: o.Device = None,
    dtype: o.Dtype = None,
    json: e.Rows = None,
) -> None:
    """Pictures from words: prompt following, aesthetics, realism, typography and speed."""
    e.check_places(json, out, prompts)
    sampling = steps, guidance, true_cfg
    o.check_resolutions(resolution)
    e.check_source(outputs, sampling, ("--resolution", resolution), ("--size", size))
    e.check_seed(seed)
    if size is not None:
        from inkontext.geometry import parse_size

        parse_size(size, 1024)  # its mistakes before the model's
    from inkontext.evaluation.t2i.plan import read_plan

    plan = read_plan(prompts, limit)
    from inkontext.evaluation.t2i.judges import judges_for

    judges, problems = judges_for(clip, aesthetic_head, judge or (), device)
    system = _system(model, outputs, device, dtype, sampling, resolution, seed, size)
    result = _run(plan, system, judges, problems, seed, out)
    from inkontext.evaluation.t2i.report import report_of

    e.tell("t2i", lambda: report_of(result.body, result.speed, result.notes), result.body, json)


def _system(
    name: str | None, outputs: Path | None, device: str | None, dtype: str | None,
    sampling: e.Sampling, resolution: int | None, seed: int, size: str | None,
) -> System:  # fmt: skip
    from inkontext.evaluation.keyed import Given
    from inkontext.evaluation.t2i.run import Generator

    if outputs is not None:
        return Given(outputs)
    return Generator(e.load_system(name, device, dtype, sampling, (resolution, None)), seed, size)


def _run(
    plan: Plan, system: System, judges: list[Judge], problems: list[Problem], seed: int, out: Path | None
) -> Evaluation:
    """Evaluate under a progress bar; an interruption says what is kept."""
    from inkontext.evaluation.t2i.run import evaluate

    with e.watched("prompts", len(plan.tasks), out) as watch:
        return evaluate(plan, system, judges, problems, seed, out, watch)
