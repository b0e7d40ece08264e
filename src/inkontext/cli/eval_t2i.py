"""`inkontext eval t2i`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from inkontext.cli import options as o
from inkontext.cli.places import check_places

if TYPE_CHECKING:
    from inkontext.evaluation.problems import Problem
    from inkontext.evaluation.t2i.judges import Judge
    from inkontext.evaluation.t2i.plan import Plan
    from inkontext.evaluation.t2i.run import Evaluation, System


def t2i(
    prompts: Annotated[list[Path], typer.Option(help="DrawBench, PartiPrompts or your own: txt, csv, tsv, json(l).")],
    model: o.Model = None,
    outputs: Annotated[Path | None, typer.Option(help="Score these pictures, KEY.png, instead of a model's.")] = None,
    limit: Annotated[int | None, typer.Option(help="Prompts in all, in the proportions of the categories.")] = None,
    size: Annotated[str | None, typer.Option(help="WIDTHxHEIGHT or a ratio such as 16:9.")] = None,
    clip: Annotated[Path | None, typer.Option(help="Folder of a CLIP model, for prompt following.")] = None,
    aesthetic_head: Annotated[
        Path | None, typer.Option(help="Linear layers over CLIP's vector, .safetensors, for aesthetics.")
    ] = None,
    judge: Annotated[
        list[str] | None, typer.Option(help="Your own: QUESTION=FILE.py:FUNCTION, (picture, prompt) -> float.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", "-s", help="Each picture's noise comes from it and the key.")] = 0,
    steps: o.Steps = None,
    guidance: o.Guidance = None,
    true_cfg: o.TrueCfg = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Folder to keep all in, and to resume from.")] = None,
    device: o.Device = None,
    dtype: o.Dtype = None,
    json: Annotated[Path | None, typer.Option("--json", help="Also write the figures and every row here.")] = None,
) -> None:
    """Pictures from words: prompt following, aesthetics, realism, typography and speed."""
    check_places(json, out)
    _check(outputs, any(value is not None for value in (steps, guidance, true_cfg, size)), seed, size)
    from inkontext.evaluation.t2i.plan import read_plan

    plan = read_plan(prompts, limit)
    from inkontext.evaluation.t2i.judges import judges_for

    judges, problems = judges_for(clip, aesthetic_head, judge or (), device)
    system = _system(model, outputs, device, dtype, (steps, guidance, true_cfg), seed, size)
    result = _run(plan, system, judges, problems, seed, out)
    from rich.console import Console

    from inkontext.evaluation.t2i.report import report_of

    report_of(result.body, result.speed, result.notes).show(Console())
    if json is not None:
        from inkontext.storage import write_json

        write_json(json, result.body)


def _check(outputs: Path | None, sampled: bool, seed: int, size: str | None) -> None:
    """Find what is wrong with the options before anything heavy is imported."""
    from inkontext.errors import OptionError

    if sampled and outputs is not None:
        raise OptionError("--steps, --guidance, --true-cfg and --size belong to a model; leave them out with --outputs")
    if not 0 <= seed < 2**63:
        raise OptionError(f"the seed is {seed}; it must be a whole number from 0")
    if size is not None:
        from inkontext.geometry import parse_size

        parse_size(size, 1024)  # its mistakes before the model's


def _system(
    name: str | None, outputs: Path | None, device: str | None, dtype: str | None,
    sampling: tuple[int | None, float | None, float | None], seed: int, size: str | None,
) -> System:  # fmt: skip
    from inkontext.evaluation.t2i.run import Generator, Given
    from inkontext.evaluation.world.systems import ModelSystem

    if outputs is not None:
        return Given(outputs)
    return Generator(ModelSystem(o.load(name, device, dtype, None, None), *sampling), seed, size)


def _run(
    plan: Plan, system: System, judges: list[Judge], problems: list[Problem], seed: int, out: Path | None
) -> Evaluation:
    """Evaluate under a progress bar; an interruption says what is kept."""
    from rich.console import Console
    from rich.progress import Progress

    from inkontext.errors import Cancelled
    from inkontext.evaluation.t2i.run import evaluate

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("prompts", total=len(plan.tasks))
        try:
            return evaluate(
                plan, system, judges, problems, seed, out,
                lambda done, total: bar.update(task, completed=done, total=total),
            )  # fmt: skip
        except KeyboardInterrupt:
            kept = f"what was done is kept in '{out}', run the same again to go on" if out else "nothing was written"
            raise Cancelled(f"interrupted; {kept}") from None
