"""`inkontext inspect FILE`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from inkontext.cli import options as o
from inkontext.cli.places import check_places


def inspect(
    what: Annotated[str, typer.Argument(help="A picture made here, a model, or a LoRA file.")],
    sha256: Annotated[bool, typer.Option("--sha256", help="Also hash the whole weights files.")] = False,
    json: o.Json = None,
) -> None:
    """Say how a picture was made, or what a file of weights is."""
    from inkontext.safety.pictures import is_picture

    check_places(json, None, [what])
    body = _picture(Path(what)) if is_picture(what) else _weights(what, sha256)
    if json is not None:
        from inkontext.storage import write_json

        write_json(json, body)
    _show(body)


def _picture(path: Path) -> dict[str, Any]:
    from inkontext.errors import PictureError
    from inkontext.safety.provenance import read_metadata

    record = read_metadata(path)
    if record is None:
        raise PictureError(f"'{path}' carries no InKontext record; it was not made here, or was saved again elsewhere")
    return {"kind": "picture"} | record


def _weights(what: str, sha256: bool) -> dict[str, Any]:
    from inkontext.weights import describe, hashing
    from inkontext.weights.source import resolve
    from inkontext.weights.tensors import TensorFiles

    path = Path(what)
    if path.is_file():
        files = TensorFiles([path])
        if describe.lora_family(list(files)):
            return describe.describe_lora(files)
    source = resolve(what)
    body = describe.describe_model(source)
    if sha256:
        # By folder and name: in diffusers' layout both parts have files of the same name.
        body["sha256"] = {
            f"{p.parent.name}/{p.name}": hashing.sha256(p) for p in (*source.transformer, *source.autoencoder)
        }
    return body


def _show(body: dict[str, Any], indent: str = "") -> None:
    from rich import print as show
    from rich.markup import escape

    from inkontext.errors import printable

    for key, value in body.items():
        name = escape(printable(str(key)))
        if isinstance(value, dict) and value:
            show(f"{indent}[bold]{name}[/]")
            _show(value, indent + "  ")
        else:
            # What somebody wrote may have lines; nothing else of it may act on the terminal.
            lines = "\n".join(printable(line) for line in str(value).split("\n"))
            show(f"{indent}[bold]{name}[/]  {escape(lines)}")
