"""`inkontext eval latency`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from inkontext.cli import evaluating as e
from inkontext.cli import options as o

if TYPE_CHECKING:
    from inkontext.evaluation.latency.run import Job, System


def latency(
    model: Annotated[
        list[str] | None, typer.Option("--model", "-m", help="tiny, a folder, a file or a hub id; may be repeated.")
    ] = None,
    sizes: Annotated[
        str | None,
        typer.Option("--sizes", "--resolution", help="Sides it works at, pixels, with commas; by default the model's."),
    ] = None,
    references: Annotated[str, typer.Option(help="Input pictures, with commas; 0 is text-to-image.")] = "0,1",
    steps: o.Steps = None,
    repeats: Annotated[int, typer.Option(help="Calls of each kind that are measured, after one that is not.")] = 10,
    diffusers: Annotated[
        bool | None, typer.Option("--diffusers/--no-diffusers", help="Also its pipeline; where it is installed.")
    ] = None,
    url: Annotated[list[str] | None, typer.Option(help="A server; may be repeated.")] = None,
    dialect: Annotated[
        list[str] | None, typer.Option(help="What it speaks, bfl or openai: one for all, or one for each --url.")
    ] = None,
    served: Annotated[str | None, typer.Option(help="The model that servers are asked for.")] = None,
    device: o.Device = None,
    dtype: o.Dtype = None,
    json: e.Figures = None,
    out: e.Written = None,
) -> None:
    """Seconds a picture, cold and warm, stage by stage, beside the floor of arithmetic.

    Systems are measured in turn: our pipeline, diffusers' on the same folder, and servers.
    """
    e.check_places(json, out)
    wanted = _jobs(sizes, references, steps)
    systems = _servers(url or [], dialect or [], served)
    systems = [*_local(model, bool(url), diffusers, device, dtype), *systems]
    settings: dict[str, Any] = {"sizes": _numbers(sizes, "sizes") if sizes else None, "steps": steps}
    from inkontext.evaluation.latency.report import latency_report
    from inkontext.evaluation.latency.run import measure

    with e.watched("measuring", None) as watch:
        body = measure(systems, wanted, repeats, settings, watch)
    e.tell("latency", lambda: latency_report(body), body, json, out)


def _numbers(text: str, name: str) -> list[int]:
    from inkontext.errors import OptionError

    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not parts or not all(part.isascii() and part.isdigit() for part in parts) or len(set(parts)) < len(parts):
        raise OptionError(f"--{name} is '{text}'; give whole numbers, each once, with commas")
    return [int(part) for part in parts]


def _jobs(sizes: str | None, references: str, steps: int | None) -> list[Job]:
    from inkontext.evaluation.latency.run import Job

    sides: list[int | None] = [None] if sizes is None else [*_numbers(sizes, "sizes")]
    return [Job(side, count, steps) for side in sides for count in _numbers(references, "references")]


def _servers(urls: list[str], dialects: list[str], served: str | None) -> list[System]:
    from inkontext.errors import OptionError
    from inkontext.evaluation.latency.http import http_system

    if len(dialects) not in (1, len(urls)) or (dialects and not urls):
        raise OptionError("give one --dialect (bfl or openai) for all servers, or one for each --url")
    if served is not None and not urls:
        raise OptionError("--served is asked of servers; give a --url, or leave it out")
    return _apart([http_system(url, dialects[n % len(dialects)], served) for n, url in enumerate(urls)])


def _local(
    models: list[str] | None, has_urls: bool, diffusers: bool | None, device: str | None, dtype: str | None
) -> list[System]:
    """Our pipeline and diffusers' for each model; for none where only servers are asked for."""
    from importlib.util import find_spec

    from inkontext.errors import OptionError

    if models is None and has_urls:
        return []
    from inkontext.evaluation.latency.systems import Local
    from inkontext.weights.source import model_from_environment

    installed = find_spec("diffusers") is not None
    if diffusers and not installed:
        raise OptionError("--diffusers needs diffusers; pip install diffusers accelerate")
    kinds = ("ours", "diffusers") if installed and diffusers is not False else ("ours",)
    names = models or [model_from_environment()]
    return _apart([
        Local(f"{kind} {Path(name).name}", kind, name, device, dtype) for name in names for kind in kinds
    ])  # fmt: skip


def _apart(systems: list[Any]) -> list[System]:
    """Names that occur again get a number."""
    seen: dict[str, int] = {}
    for system in systems:
        seen[system.name] = seen.get(system.name, 0) + 1
        if seen[system.name] > 1:
            system.name = f"{system.name} #{seen[system.name]}"
    return systems
