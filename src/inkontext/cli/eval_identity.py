"""`inkontext eval identity`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from inkontext.cli import options as o
from inkontext.cli.places import check_places

if TYPE_CHECKING:
    from inkontext.evaluation.identity import View
    from inkontext.evaluation.identity_data import Collection


def identity(
    pictures: Annotated[
        list[str] | None, typer.Argument(help="BEFORE AFTER...: pictures, or folders with the same names.")
    ] = None,
    pairs: Annotated[str | None, typer.Option(help="FILE.jsonl of pairs, or BEFORE-FOLDER AFTER-FOLDER...")] = None,
    series: Annotated[
        list[str] | None, typer.Option(help="Edits in turn: files, [NAME=]FOLDER of folders, or FILE.jsonl.")
    ] = None,
    face_model: Annotated[Path | None, typer.Option(help="AuraFace's folder: the largest face.")] = None,
    dino: Annotated[Path | None, typer.Option(help="Folder of a DINO model: the whole picture.")] = None,
    clip: Annotated[Path | None, typer.Option(help="Folder of a CLIP model: the whole picture.")] = None,
    embedder: Annotated[
        str | None, typer.Option(help="Your own, picture -> vector: FILE.py:FUNCTION or MODULE:FUNCTION.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Folder for the page and results.json.")] = None,
    device: o.Device = None,
    json: Annotated[Path | None, typer.Option("--json", help="Also write the figures and every row here.")] = None,
) -> None:
    """Is it still the same person or thing after one edit, or after many in turn?"""
    check_places(json, out)
    collection = _collection(pictures or [], pairs, series or [])
    views = _views(face_model, dino, clip, embedder, device)
    from rich.console import Console
    from rich.progress import Progress

    from inkontext.errors import Cancelled
    from inkontext.evaluation.identity import evaluate
    from inkontext.evaluation.identity_report import report_of, write_report
    from inkontext.storage import write_json

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("series", total=len(collection.series))
        try:
            body = evaluate(collection, views, lambda done, total: bar.update(task, completed=done, total=total))
        except KeyboardInterrupt:
            raise Cancelled("interrupted; nothing was written") from None
    report_of(body).show(Console())
    if json is not None:
        write_json(json, body)
    if out is not None:
        write_report(body, collection.series, out)
        write_json(out / "results.json", body)


def _collection(pictures: list[str], pairs: str | None, series: list[str]) -> Collection:
    from inkontext.errors import OptionError
    from inkontext.evaluation.identity_data import read_pairs, read_series

    if pairs is not None and series:
        raise OptionError("--pairs and --series are two kinds of input; give one")
    if series:
        return read_series([*series, *pictures])
    return read_pairs([*([] if pairs is None else [pairs]), *pictures])


def _views(
    face_model: Path | None, dino: Path | None, clip: Path | None, embedder: str | None, device: str | None
) -> list[View]:
    """Those that were given. Raises OptionError where none was."""
    from inkontext.errors import OptionError

    if not any((face_model, dino, clip, embedder)):
        raise OptionError(
            "nothing to compare by was given; give --face-model FOLDER for faces, --dino or --clip FOLDER for "
            "anything else, or --embedder FILE.py:FUNCTION"
        )
    from inkontext.evaluation.identity import FaceView, FunctionView, WholeView

    views: list[View] = []
    if face_model is not None:
        from inkontext.evaluation.faces import AuraFace

        views.append(FaceView(AuraFace(face_model)))
    if dino is not None:
        from inkontext.evaluation.embeddings import Dino

        views.append(WholeView("dino", Dino(dino, device)))
    if clip is not None:
        from inkontext.evaluation.embeddings import Clip

        views.append(WholeView("clip", Clip(clip, device)))
    if embedder is not None:
        from inkontext.plugins import load_function

        views.append(FunctionView(load_function(embedder)))
    return views
