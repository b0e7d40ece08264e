"""`inkontext eval autoencoder`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from inkontext.cli import evaluating as e
from inkontext.cli import options as o
from inkontext.errors import OptionError

if TYPE_CHECKING:
    from inkontext.evaluation.autoencoder.metrics import VGGDistance
    from inkontext.evaluation.autoencoder.pictures import PictureList
    from inkontext.evaluation.autoencoder.run import Evaluation
    from inkontext.evaluation.autoencoder.systems import System

Models = Annotated[
    list[str] | None,
    typer.Option("--model", "-m", help="A model, a run, an AutoencoderKL folder or ae.safetensors; may be repeated."),
]


def autoencoder(
    model: Models = None,
    data: Annotated[Path | None, typer.Option(help="Folder of pictures.")] = None,
    world: Annotated[bool, typer.Option("--world", help="Held-out pictures of the procedural world.")] = False,
    listed: Annotated[Path | None, typer.Option("--list", help="Measure the pictures of this list.json.")] = None,
    size: Annotated[int | None, typer.Option(help="Side of the pictures, pixels; 256 by default.")] = None,
    limit: Annotated[int | None, typer.Option(help="How many pictures; all, or 100 of the world, by default.")] = None,
    seed: Annotated[int | None, typer.Option("--seed", "-s", help="Which pictures; 0 by default.")] = None,
    vgg: Annotated[Path | None, typer.Option(help="torchvision's VGG-16 weights, for PDist.")] = None,
    out: e.Kept = None,
    device: o.Device = None,
    dtype: Annotated[str | None, typer.Option(help="float32 (default), bfloat16 or float16.")] = None,
    json: e.Rows = None,
) -> None:
    """What pictures lose on their way through an autoencoder: PDist, SSIM, PSNR (the paper's table 1)."""
    _check(data, world, listed, (size, limit, seed), json, out)
    from rich.console import Console

    from inkontext.evaluation.autoencoder.systems import beside, networks
    from inkontext.runtime.device import choose_device, choose_dtype
    from inkontext.weights.source import model_from_environment

    console = Console(stderr=True)
    chosen = choose_device(device)
    kind = choose_dtype(dtype or "float32", chosen, 0)
    distance = _distance(vgg, chosen)
    with console.status("loading"):
        systems = networks(model or [model_from_environment()], chosen, kind)
    with console.status("reading the pictures"):
        pictures = _pictures(data, listed, (size, limit, seed), out)
    _show(_run(pictures, data, [*systems, *beside(pictures.size)], distance, out), json)


def _check(
    data: Path | None, world: bool, listed: Path | None, chosen: tuple[int | None, int | None, int | None],
    json: Path | None, out: Path | None,
) -> None:  # fmt: skip
    """Find what is wrong with the options before anything heavy is imported."""
    if (data is not None) == world:
        raise OptionError("say which pictures: --data FOLDER or --world, one of them")
    if listed is not None and any(value is not None for value in chosen):
        raise OptionError("--list says which pictures and at which size; leave out --size, --limit and --seed")
    e.check_seed(chosen[2])
    e.check_places(json, out, filter(None, (listed,)))


def _pictures(
    data: Path | None, listed: Path | None, chosen: tuple[int | None, int | None, int | None], out: Path | None
) -> PictureList:
    """The list asked for; one that is given is checked against the pictures."""
    from inkontext.evaluation.autoencoder import pictures as lists

    if listed is not None:
        found = lists.read_list(listed)
        if (found.source == lists.WORLD) != (data is None):
            raise OptionError(f"'{listed}' lists {found.source} pictures; give {_source_option(found.source)} with it")
        if data is not None and not data.is_dir():
            raise OptionError(f"there is no folder '{data}'; give --data the list's pictures")
        found.check(data)
        return found
    size, limit, seed = chosen
    side = lists.SIZE if size is None else size
    if data is None:
        return lists.from_world(side, limit, seed or 0)
    earlier = out / "list.json" if out is not None else None
    known = lists.read_list(earlier).entries if earlier is not None and earlier.is_file() else ()
    return lists.from_folder(data, side, limit, seed or 0, known)


def _source_option(source: str) -> str:
    return "--world" if source == "world" else "--data FOLDER"


def _distance(vgg: Path | None, device: object) -> VGGDistance | None:
    from inkontext.evaluation.autoencoder.metrics import VGGDistance, find_vgg

    path = find_vgg(vgg)
    return VGGDistance(path, device) if path is not None else None  # type: ignore[arg-type]


def _run(
    pictures: PictureList, data: Path | None, systems: list[System], distance: VGGDistance | None, out: Path | None
) -> Evaluation:
    """Evaluate under a progress bar; an interruption says what is kept."""
    from inkontext.evaluation.autoencoder.run import evaluate

    with e.watched("pictures", len(pictures.entries), out) as watch:
        return evaluate(pictures, data, systems, distance, out, watch)


def _show(result: Evaluation, json: Path | None) -> None:
    from inkontext.evaluation.autoencoder.report import report_of

    e.tell("autoencoder", lambda: report_of(result.body, result.notes), result.body, json)
