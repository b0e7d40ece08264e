"""What the verbs of `inkontext eval` share: options, a progress bar that may be interrupted, where figures go."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from inkontext.cli import options as o
from inkontext.cli.places import check_places
from inkontext.errors import Cancelled, OptionError

if TYPE_CHECKING:
    from inkontext.evaluation.report import Report
    from inkontext.evaluation.world.systems import Best, ModelSystem

Watch = Callable[[int, int], None]
Sampling = tuple[int | None, float | None, float | None]  # steps, guidance, true CFG

Outputs = Annotated[Path | None, typer.Option(help="Score these pictures, KEY.png, instead of a model's.")]
Kept = Annotated[Path | None, typer.Option("--out", "-o", help="Folder to keep all in, and to resume from.")]
Written = Annotated[Path | None, typer.Option("--out", "-o", help="Folder for report.html and results.json.")]
Rows = Annotated[Path | None, typer.Option("--json", help="Also write the figures and every row here.")]
Figures = Annotated[Path | None, typer.Option("--json", help="Also write all figures here.")]
KeySeed = Annotated[int, typer.Option("--seed", "-s", help="The noise of a row comes from it and the row's key.")]


def listed(text: str) -> tuple[str, ...]:
    """Words with commas between them."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def check_source(outputs: Path | None, sampling: Sampling, *more: tuple[str, Any]) -> None:
    """Raises OptionError where options of sampling, or `more` (name, value), meet pictures that are there already."""
    names = [*zip(("--steps", "--guidance", "--true-cfg"), sampling, strict=True), *more]
    if outputs is not None and any(value is not None for _, value in names):
        *first, last = (name for name, _ in names)
        raise OptionError(f"{', '.join(first)} and {last} belong to a model; leave them out with --outputs")


def load_system(
    name: str | None, device: str | None, dtype: str | None, sampling: Sampling, sides: o.Sides = (None, None),
    best: Best | None = None,
) -> ModelSystem:  # fmt: skip
    """A model to be measured, loaded for work at these resolutions."""
    from inkontext.evaluation.world.systems import ModelSystem

    pipeline = o.load(name, device, dtype, None, None, *sides)
    return ModelSystem(pipeline, *sampling, best, *sides)


def check_seed(seed: int | None) -> None:
    """Raises OptionError for a seed that is none."""
    if seed is not None and not 0 <= seed < 2**63:
        raise OptionError(f"the seed is {seed}; it must be a whole number from 0")


@contextmanager
def watched(what: str, total: int | None, out: Path | None = None, kept: str = "what was done is") -> Iterator[Watch]:
    """A progress bar on stderr; an interruption says that `kept` is kept in `out`, or that nothing was written."""
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=total)
        try:
            yield lambda done, of: bar.update(task, completed=done, total=of, description=what)
        except KeyboardInterrupt:
            told = f"{kept} kept in '{out}', run the same again to go on" if out else "nothing was written"
            raise Cancelled(f"interrupted; {told}") from None


def tell(
    what: str, report: Callable[[], Report], body: dict[str, Any], json: Path | None, out: Path | None = None,
    page: Callable[[Path], Any] | None = None,
) -> None:  # fmt: skip
    """Write the figures into `json` and `out`, where these are given; then print the tables and write the page.

    In this order, so that a report that cannot be made takes no figures along.

    Args:
        what: the evaluation.
        report: makes it.
        page: writes the page into `out` where the report itself is not all of it.
    """
    from rich.console import Console

    from inkontext.evaluation.keeping import kept
    from inkontext.storage import write_json

    with kept(what, lambda: body):
        if json is not None:
            write_json(json, body)
        if out is not None:
            write_json(out / "results.json", body)
    with kept(what, lambda: body, json or out):
        made = report()
        made.show(Console())
        if out is not None:
            page(out) if page is not None else made.write(out)


__all__ = [
    "Figures",
    "Kept",
    "KeySeed",
    "Outputs",
    "Rows",
    "Sampling",
    "Watch",
    "Written",
    "check_places",
    "check_seed",
    "check_source",
    "listed",
    "load_system",
    "tell",
    "watched",
]  # fmt: skip
