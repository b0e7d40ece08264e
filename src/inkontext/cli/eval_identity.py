"""`inkontext eval identity`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from inkontext.cli import evaluating as e
from inkontext.cli import options as o

if TYPE_CHECKING:
    from inkontext.evaluation.identity.data import Collection
    from inkontext.evaluation.identity.run import View


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
    out: e.Written = None,
    device: o.Device = None,
    json: e.Rows = None,
) -> None:
    """Is it still the same person or thing after one edit, or after many in turn?"""
    e.check_places(json, out, [*(pictures or ()), *(series or ()), *filter(None, (pairs,))])
    collection = _collection(pictures or [], pairs, series or [])
    views = _views(face_model, dino, clip, embedder, device)
    from inkontext.evaluation.identity.report import report_of, write_report
    from inkontext.evaluation.identity.run import evaluate

    with e.watched("series", len(collection.series)) as watch:
        body = evaluate(collection, views, watch)
    e.tell(
        "identity",
        lambda: report_of(body),
        body,
        json,
        out,
        lambda folder: write_report(body, collection.series, folder),
    )


def _collection(pictures: list[str], pairs: str | None, series: list[str]) -> Collection:
    from inkontext.errors import OptionError
    from inkontext.evaluation.identity.data import read_pairs, read_series

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
    from inkontext.evaluation.identity.run import FaceView, FunctionView, WholeView

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
