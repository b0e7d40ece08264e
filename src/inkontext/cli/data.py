"""`inkontext data VERB`: check, make, precompute, report and learn the words of training data."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from inkontext.cli import options as o
from inkontext.cli.places import check_file, check_folder, check_places

if TYPE_CHECKING:
    from inkontext.data.check import Checked

app = typer.Typer(help="Check, make, precompute and measure training data.", no_args_is_help=True)
Folder = Annotated[Path, typer.Argument(help="A .jsonl, .csv or .tar file, or a folder in one of the formats.")]
Photos = Annotated[Path | None, typer.Option(help="Folder of photographs for the world's backgrounds.")]
Emoji = Annotated[Path | None, typer.Option(help="Folder of stickers with names.json.")]
_SHOWN = 8  # names of one kind of problem that the table shows; --json has them all


@app.command()
def check(
    path: Folder,
    size: Annotated[int, typer.Option(help="Pixels a side that training will use.")] = 128,
    headers: Annotated[
        bool, typer.Option("--headers", help="Read headers only: fast, blind to cut-off files.")
    ] = False,
    json: o.Json = None,
) -> None:
    """List by name what is wrong with a data set; exit code 2 if it would stop training."""
    check_places(json, None, [path])
    from inkontext.data.check import check as examine

    with _bar("checking") as tick:
        checked = examine(path, size, not headers, tick)
    _write(json, checked.as_dict())
    _show_check(checked)
    checked.require()


def _show_check(checked: Checked) -> None:
    from itertools import groupby

    from rich.console import Console

    from inkontext.data.rows import FATAL, MILD

    console = Console()
    counts = ", ".join(f"{rows} with {n}" for n, rows in sorted(checked.references.items())) or "none"
    console.print(f"[bold]{checked.rows}[/] rows ({checked.format}); references: {counts}", highlight=False)
    for layout, rows in list(checked.layouts.items())[:_SHOWN]:
        canvases = "  <-  ".join(" ".join(f"{w}x{h}" for w, h in part) for part in (layout[:1], layout[1:]) if part)
        console.print(f"  {rows:6d}  {canvases}", highlight=False)
    if not checked.problems:
        console.print("nothing wrong")
        return
    groups = {kind: list(group) for kind, group in groupby(checked.problems, key=lambda p: p.kind)}
    table = _table("problem", "count", "stops training")
    for kind, problems in groups.items():
        table.add_row(kind, str(len(problems)), "yes" if problems[0].fatal else "no")
    console.print(table)
    for kind, problems in groups.items():
        console.print(f"[bold]{kind}[/]: {(FATAL | MILD)[kind]}", highlight=False)
        for problem in problems[:_SHOWN]:
            detail = f"  ({problem.detail})" if problem.detail else ""
            console.print(f"  {problem.name}{detail}", highlight=False, markup=False, soft_wrap=True)
        if len(problems) > _SHOWN:
            console.print(f"  ... and {len(problems) - _SHOWN} more; --json FILE names them all", highlight=False)


@app.command()
def make(
    out: Annotated[Path, typer.Argument(help="A new folder, or one to go on with.")],
    count: Annotated[int, typer.Option("--count", "-n", help="Pairs to make.")] = 1000,
    size: Annotated[int, typer.Option(help="Pixels a side.")] = 128,
    format: Annotated[str, typer.Option(help="jsonl, twin or shards.")] = "jsonl",
    task: Annotated[list[str] | None, typer.Option(help="One task of the world; repeat for more.")] = None,
    seed: Annotated[int, typer.Option("--seed", "-s", min=0, help="Another seed gives other pairs.")] = 0,
    split: Annotated[str, typer.Option(help="train or test.")] = "train",
    photos: Photos = None,
    emoji: Emoji = None,
    bench: Annotated[bool, typer.Option("--bench", help="The held-out bench of 1,026 pairs instead.")] = False,
) -> None:
    """Write pairs of the procedural world; the same options give the same bytes."""
    check_folder(out)
    from inkontext.data.make import Order
    from inkontext.data.make import make as write

    if bench:
        from inkontext.data.world import Outside
        from inkontext.data.world.bench import write_bench

        print(write_bench(out, seed, size, Outside(photos, emoji) if photos or emoji else None), "pairs")
        return
    places = (str(place) if place else None for place in (photos, emoji))
    with _bar("making") as tick:
        rows = write(out, Order(count, size, format, tuple(task or ()), seed, split, *places), tick)
    print(rows, "pairs")


@app.command()
def report(
    path: Folder,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first rows.")] = None,
    json: o.Json = None,
) -> None:
    """Measure the quality of pairs: how much changes, what moved, what repeats.

    changed: median share of pixels. same: rows in which nothing changes. moved: rows whose unchanged part is shifted
    by more than half a pixel. rest: median PSNR where nothing should change. twice: rows that repeat another.
    """
    check_places(json, None, [path])
    from inkontext.data.report import report as measure

    with _bar("measuring") as tick:
        body = measure(path, limit, tick)
    _write(json, body)
    _show_report(body)


def _show_report(body: dict[str, Any]) -> None:
    from rich.console import Console

    console = Console()
    table = _table("category", "rows", "changed", "same", "moved", "rest dB", "twice", "words")
    for name, part in [*body["by_category"].items(), ("all", body["all"])]:
        table.add_row(
            name, str(part["rows"]), _number(part["changed"], "{:.1%}"), str(part["unchanged_rows"]),
            str(part["moved_rows"]), _number(part["psnr_outside"], "{:.1f}"), str(part["duplicates"]),
            f"{_number(part['words'], '{:.0f}')}, max {part['longest_words']}",
        )  # fmt: skip
    console.print(table)
    for name, what in (("unchanged", "nothing changed"), ("moved", "what should have stayed is shifted")):
        if keys := body[name]:
            console.print(f"{what}: {', '.join(keys[:_SHOWN])}{' ...' * (len(keys) > _SHOWN)}", highlight=False)
    for sentence in body["broken"][:_SHOWN]:
        console.print(sentence, highlight=False, markup=False)


@app.command()
def precompute(
    source: Annotated[Path, typer.Argument(help="A data set, or a .toml whose sources name a `cache`.")],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Folder for the latents of a data set.")] = None,
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="Run or model folder; a .toml has its own.")
    ] = None,
    size: Annotated[int | None, typer.Option(help="Pixels a side; a .toml has its own.")] = None,
    text: Annotated[bool | None, typer.Option("--text/--no-text", help="Embeddings of the instructions.")] = None,
    batch: Annotated[int, typer.Option(min=1, help="Pictures or prompts at a time.")] = 8,
    device: o.Device = None,
    dtype: Annotated[str | None, typer.Option(help="float32 or bfloat16, as the run will train.")] = None,
    json: o.Json = None,
) -> None:
    """Encode a data set once: latents, and text embeddings for frozen towers. Run again to go on or to update."""
    check_places(json, out, [source])
    from inkontext.data.jobs import jobs_of, run_job

    done = []
    for job in jobs_of(source, out, model, size, text, dtype):
        with _bar(f"encoding {job.path}") as tick:
            outcome = run_job(job, device, batch, lambda what, n, total, tick=tick: tick(n, total, what))  # type: ignore[misc]
        done.append(outcome)
        print(
            f"{job.out}: {outcome['rows']} rows, {outcome['made']} pictures encoded and {outcome['kept']} kept, "
            f"{outcome['texts_made']} instructions encoded and {outcome['texts_kept']} kept"
        )
    _write(json, {"sets": done})


@app.command()
def tokenizer(
    out: Annotated[Path, typer.Argument(help="A tokenizer.json to write.")],
    size: Annotated[int, typer.Option(help="Pieces at most.")] = 4096,
    corpus: Annotated[list[Path] | None, typer.Option(help=".txt, .json, .tsv or .jsonl; repeat for more.")] = None,
    world: Annotated[int, typer.Option(min=0, help="Instructions of the world to learn from.")] = 60000,
    photos: Photos = None,
    emoji: Emoji = None,
    json: o.Json = None,
) -> None:
    """Learn a tokenizer's pieces from instructions, and say how long held-out ones become."""
    check_file(out, corpus or ())
    check_places(json, None, [out, *(corpus or ())])
    from inkontext.data import tokenizer as t

    extra = [line for path in corpus or () for line in t.corpus_lines(path)]
    with _bar("drawing instructions") as tick:
        texts = list(t.world_instructions(world, "train", photos, emoji, tick))
    pieces = t.make_tokenizer(out, size, texts + extra)
    held_out = list(t.world_instructions(max(200, world // 15), "test", photos, emoji))
    body = {"pieces": pieces.get_vocab_size(), "world": world, "extra": len(extra)} | t.lengths(pieces, held_out)
    _write(json, body)
    print(
        f"{out}: {body['pieces']} pieces; tokens of {body['texts']} held-out instructions: mean {body['mean']:.1f}, "
        f"95th {body['p95']:.0f}, 99th {body['p99']:.0f}, max {body['max']}"
    )


@contextmanager
def _bar(what: str) -> Iterator[Callable[..., None]]:
    """A progress bar on stderr; gives `tick(done, total, description)`."""
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(what, total=None)

        def tick(done: int, total: int, what: str | None = None) -> None:
            progress.update(task, completed=done, total=total, **({"description": what} if what else {}))  # type: ignore[arg-type]

        yield tick


def _table(*columns: str) -> Any:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD)
    for column in columns:
        table.add_column(column, no_wrap=True)
    return table


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else form.format(value)


def _write(path: Path | None, body: dict[str, Any]) -> None:
    if path is not None:
        from inkontext.storage import write_json

        write_json(path, body)
