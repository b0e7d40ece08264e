"""Options that several verbs share, and the steps around sampling that edit and generate have in common."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from inkontext.pipeline import Pipeline
    from inkontext.result import Callback, Result

Model = Annotated[
    str | None,
    typer.Option("--model", "-m", envvar="INKONTEXT_MODEL", help="tiny, a folder, a .safetensors file or a hub id."),
]
Device = Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1, mps; the best there is by default.")]
Dtype = Annotated[str | None, typer.Option(help="float32, bfloat16 or float16.")]
Autoencoder = Annotated[str | None, typer.Option(help="Another autoencoder: a file or a folder.")]
Text = Annotated[str | None, typer.Option(help="Folder of the text encoders and tokenizers.")]
Seed = Annotated[int, typer.Option("--seed", "-s", help="Seed of the noise; --count uses the ones that follow.")]
Steps = Annotated[int | None, typer.Option(help="Sampling steps; the model's own by default.")]
Guidance = Annotated[float | None, typer.Option("--guidance", "-g", help="Guidance scale fed to the model.")]
Negative = Annotated[str | None, typer.Option(help="What to avoid; acts through --true-cfg.")]
TrueCfg = Annotated[float | None, typer.Option("--true-cfg", help="Classifier-free guidance, two passes a step.")]
Solver = Annotated[
    str | None, typer.Option(help="euler, heun, midpoint, multistep, or consistency; the model's own by default.")
]
Ref = Annotated[list[str] | None, typer.Option("--ref", "-r", help="A further picture, FILE or NAME=FILE; repeat.")]
Mask = Annotated[str | None, typer.Option(help="Picture of what may change; the rest keeps its bytes.")]
MaskEdits = Annotated[str, typer.Option(help="Part of the mask to edit: white, black, transparent.")]
Strength = Annotated[float, typer.Option(help="With a mask: below 1 starts from the picture.")]
Cue = Annotated[list[str] | None, typer.Option(help="Drawn for the model: ellipse:x,y,w,h or FILE.json.")]
Size = Annotated[str, typer.Option(help="match, WIDTHxHEIGHT, or a ratio such as 16:9.")]
Resolution = Annotated[
    int | None, typer.Option(help="Side of the square the model works at, pixels; less is a draft. Else its own.")
]
ContextResolution = Annotated[
    int | None, typer.Option(help="The same for the pictures it is given; else as --resolution.")
]
CheckText = Annotated[bool, typer.Option("--check-text", help="Read the words in quotation marks back.")]
Retries = Annotated[int, typer.Option(help="With --check-text: further seeds where they are wrong.")]
Embedder = Annotated[
    str | None, typer.Option(help="Your own, picture -> vector; drift then has its cosine: FILE.py:FUNCTION.")
]
Numerics = Annotated[str | None, typer.Option(help="Round as 'bfl' or 'diffusers' do.")]
Count = Annotated[int, typer.Option("--count", "-n", help="Pictures to make.")]
Quality = Annotated[str | None, typer.Option(help="max: a better solver and several candidates, 8 times as slow.")]
Candidates = Annotated[int | None, typer.Option(help="Seeds tried for every picture, of which the best is kept.")]
Scorer = Annotated[
    str | None, typer.Option(help="Who chooses: agreement, an installed one, or FILE.py:FUNCTION, MODULE:FUNCTION.")
]
Out = Annotated[Path | None, typer.Option("--out", "-o", help="Where to write: .png, .jpg or .webp.")]
Json = Annotated[Path | None, typer.Option("--json", help="Also write the record and the timings here.")]

ModelOptions = tuple[str | None, str | None, str | None, str | None, str | None]  # the first five of `load`
Sides = tuple[int | None, int | None]  # resolution, context resolution


def load(
    model: str | None, device: str | None, dtype: str | None, autoencoder: str | None, text: str | None,
    resolution: int | None = None, context_resolution: int | None = None,
) -> Pipeline:  # fmt: skip
    """Load the pipeline for work at these resolutions, saying so on stderr."""
    from rich.console import Console

    from inkontext.pipeline import Pipeline

    console = Console(stderr=True)
    with console.status("loading the model"):
        pipeline = Pipeline.from_pretrained(
            model, device, dtype, autoencoder=autoencoder, text=text, resolution=resolution,
            context_resolution=context_resolution,
        )  # fmt: skip
    if not pipeline.model["trained"]:
        console.print(
            f"[yellow]note:[/] model '{pipeline.model['name']}' has random weights; its pictures are noise. "
            "Give trained weights with --model.",
            soft_wrap=True,
        )
    return pipeline


def check_resolutions(resolution: int | None, context_resolution: int | None = None) -> None:
    """Raises OptionError for one that cannot be, before a model is loaded."""
    from inkontext.geometry import read_resolution

    read_resolution(resolution)
    read_resolution(context_resolution, "context_resolution")


@dataclass(frozen=True)
class Target:
    """Where pictures go; a name that nobody gave never overwrites a file."""

    path: Path
    given: bool

    def save(self, result: Result) -> list[Path]:
        """Write the pictures; a record that is shortened in them is told on stderr."""
        from inkontext.safety.provenance import is_whole

        paths = result.save(self.path, overwrite=self.given)
        if not all(is_whole(path, record) for path, record in zip(paths, result.records, strict=True)):
            print(f"note: the record is too long for '{paths[0]}' and stands there shortened; --json FILE has it whole",
                  file=sys.stderr)  # fmt: skip
        return paths


def check_outputs(
    out: Path | None, default: str, json: Path | None, count: int, reads: Iterable[str | Path] = ()
) -> Target:
    """Where to write, found wrong before the work and not after it.

    Args:
        reads: files that are read, which no output may replace.

    Raises:
        OptionError: it cannot be written, or two files are the same.
    """
    from inkontext.cli.places import check_apart, check_file
    from inkontext.result import numbered
    from inkontext.safety.provenance import check_suffix

    path = out or Path(default)
    check_suffix(path)
    pictures = numbered(path, max(count, 1))
    for file in (*pictures[-1:], *filter(None, (json,))):
        check_file(file)
    check_apart([*(pictures if out else ()), *filter(None, (json,))], reads)
    return Target(path, out is not None)


def files_read(
    image: Path | None, ref: Iterable[str] | None, mask: str | None, cue: Iterable[str] | None
) -> list[str | Path]:
    """The files that an edit reads, for `check_outputs`."""
    from inkontext.roles import read_reference

    given = [image, mask, *(read_reference(text).path for text in ref or ()), *(cue or ())]
    return [file for file in given if file is not None]


def run(make: Callable[[Callback], Result], target: Target, json: Path | None) -> None:
    """Sample with a progress bar, write the pictures, print where they are, write the JSON."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn(),
    )  # fmt: skip
    marks: list[float] = []
    started = time.perf_counter()
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("sampling", total=None)

        def show(progress: Any) -> None:
            marks.append(time.perf_counter())
            bar.update(task, total=progress.steps * progress.images,
                       completed=(progress.image - 1) * progress.steps + progress.step,
                       description=f"picture {progress.image}/{progress.images}")  # fmt: skip

        result = make(show)
    seconds = time.perf_counter() - started
    for path in target.save(result):
        print(path)
    if json is not None:
        from inkontext.storage import write_json

        steps = [b - a for a, b in pairwise(marks)]
        timing = {"total": seconds, "step_median": sorted(steps)[len(steps) // 2] if steps else None}
        write_json(json, {"seconds": timing} | result.metadata)
