"""Options that several verbs share, and the steps around sampling that edit and generate have in common."""

from __future__ import annotations

import time
from collections.abc import Callable
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


def load(
    model: str | None, device: str | None, dtype: str | None, autoencoder: str | None, text: str | None
) -> Pipeline:
    """Load the pipeline, saying so on stderr."""
    from rich.console import Console

    from inkontext.pipeline import Pipeline

    console = Console(stderr=True)
    with console.status("loading the model"):
        pipeline = Pipeline.from_pretrained(model, device, dtype, autoencoder=autoencoder, text=text)
    if not pipeline.model["trained"]:
        console.print(
            f"[yellow]note:[/] model '{pipeline.model['name']}' has random weights; its pictures are noise. "
            "Give trained weights with --model.",
            soft_wrap=True,
        )
    return pipeline


def check_outputs(out: Path | None, default: str, json: Path | None, count: int) -> Path:
    """The path to write to, found wrong before the work and not after it."""
    from inkontext.errors import OptionError
    from inkontext.safety.provenance import check_suffix

    try:
        path = out or _free(Path(default), count)
    except OSError as error:
        raise OptionError(f"cannot write there ({error.strerror}); name another file with --out") from error
    check_suffix(path)
    for file in filter(None, (path, json)):
        check_file(file)
    return path


def check_file(file: Path) -> None:
    """Raises OptionError where no file can be written there."""
    from inkontext.errors import OptionError

    try:
        folder = next(p for p in file.absolute().parents if p.exists())
        if file.is_dir() or not folder.is_dir():
            raise OptionError(f"cannot write '{file}', a folder or inside a file; name a file in a folder")
    except OSError as error:
        raise OptionError(f"cannot write there ({error.strerror}); name another file with --out") from error


def _free(path: Path, count: int) -> Path:
    """`path`, or the first numbered variant that does not exist: a default name never overwrites."""
    from inkontext.result import numbered

    number = 2
    candidate = path
    while any(p.exists() for p in numbered(candidate, count)):
        candidate = path.with_stem(f"{path.stem}-{number}")
        number += 1
    return candidate


def run(make: Callable[[Callback], Result], out: Path, json: Path | None) -> None:
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
    for path in result.save(out):
        print(path)
    if json is not None:
        from inkontext.storage import write_json

        steps = [b - a for a, b in pairwise(marks)]
        timing = {"total": seconds, "step_median": sorted(steps)[len(steps) // 2] if steps else None}
        write_json(json, {"seconds": timing} | result.metadata)
