"""`inkontext session STEP FOLDER`: editing in many turns, for scripts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from inkontext.cli import options as o

if TYPE_CHECKING:
    from inkontext.session import Session

app = typer.Typer(name="session", help="Edit in many turns, each from the latents of the one before.")
Folder = Annotated[Path, typer.Argument(help="The session's folder.")]


@app.callback(no_args_is_help=True)
def root() -> None:
    """Edit in many turns, kept in a folder as a tree that can be walked, branched and made again."""


@app.command()
def new(
    folder: Folder,
    picture: Annotated[Path, typer.Argument(help="The picture to begin with.")],
    model: o.Model = None,
    device: o.Device = None,
    dtype: o.Dtype = None,
    autoencoder: o.Autoencoder = None,
    text: o.Text = None,
) -> None:
    """Begin with a picture, in a new folder."""
    from inkontext.safety.pictures import read_picture

    read_picture(picture)  # what is wrong with it should not wait for the model to load
    from inkontext.session import Session

    with Session.new(folder, picture, o.load(model, device, dtype, autoencoder, text)) as session:
        _tell(session)


@app.command()
def edit(
    folder: Folder,
    prompt: Annotated[str, typer.Argument(help="What to change, in a sentence.")],
    ref: Annotated[list[str] | None, typer.Option("--ref", "-r", help="A further reference picture; repeat.")] = None,
    mask: Annotated[str | None, typer.Option(help="Picture of what may change; the rest keeps its bytes.")] = None,
    mask_edits: Annotated[str, typer.Option(help="Part of the mask to edit: white, black, transparent.")] = "white",
    anchor: Annotated[bool, typer.Option("--anchor", help="Give the first picture as a further reference.")] = False,
    keep: Annotated[bool, typer.Option(help="Put back what the edit left alone.")] = True,
    seed: Annotated[int | None, typer.Option("--seed", "-s", help="Of the noise; else the turn's number.")] = None,
    steps: o.Steps = None,
    guidance: o.Guidance = None,
    negative: o.Negative = None,
    true_cfg: o.TrueCfg = None,
    model: o.Model = None,
    device: o.Device = None,
    dtype: o.Dtype = None,
    autoencoder: o.Autoencoder = None,
    text: o.Text = None,
) -> None:
    """A new turn from the current one."""
    with _open(folder, (model, device, dtype, autoencoder, text)) as session:
        session.edit(
            prompt, seed=seed, steps=steps, guidance=guidance, negative=negative, true_cfg=true_cfg, mask=mask,
            mask_edits=mask_edits, references=ref or (), anchor=anchor, keep=keep,
        )  # fmt: skip
        _tell(session)


@app.command()
def undo(folder: Folder) -> None:
    """Back to the turn before."""
    with _open(folder) as session:
        session.undo()
        _tell(session)


@app.command()
def redo(folder: Folder) -> None:
    """Forward again after an undo."""
    with _open(folder) as session:
        session.redo()
        _tell(session)


@app.command()
def goto(folder: Folder, place: Annotated[str, typer.Argument(help="A turn's number, or a branch.")]) -> None:
    """To any turn, or to a branch, along which later turns then go."""
    with _open(folder) as session:
        session.goto(place)
        _tell(session)


@app.command()
def branch(
    folder: Folder,
    name: Annotated[str, typer.Argument(help="Its name, a word.")],
    at: Annotated[str | None, typer.Option(help="A turn's number, or a branch; by default the current turn.")] = None,
) -> None:
    """A new branch, along which later turns go."""
    with _open(folder) as session:
        session.branch(name, at)
        _tell(session)


@app.command()
def merge(
    folder: Folder,
    count: Annotated[int, typer.Argument(help="How many of the last turns.")],
    prompt: Annotated[str | None, typer.Option(help="One sentence for all; by default theirs, joined.")] = None,
    model: o.Model = None,
    device: o.Device = None,
    dtype: o.Dtype = None,
    autoencoder: o.Autoencoder = None,
    text: o.Text = None,
) -> None:
    """The last turns as one edit from the picture before them."""
    with _open(folder, (model, device, dtype, autoencoder, text)) as session:
        session.merge(count, prompt)
        _tell(session)


@app.command()
def replay(
    folder: Folder,
    into: Annotated[Path, typer.Argument(help="Folder of the new session.")],
    picture: Annotated[Path | None, typer.Option(help="Another picture to begin with.")] = None,
    model: o.Model = None,
    device: o.Device = None,
    dtype: o.Dtype = None,
    autoencoder: o.Autoencoder = None,
    text: o.Text = None,
) -> None:
    """Make the turns up to the current one again in a new session, perhaps of another picture or with another model."""
    with _open(folder) as session:
        pipeline = o.load(model, device, dtype, autoencoder, text)
        with session.replay(into, picture, pipeline) as again:
            _tell(again)


@app.command()
def export(
    folder: Folder,
    path: Annotated[Path, typer.Argument(help="A .png, .jpg or .webp; or a folder for all pictures on the way.")],
    turn: Annotated[str | None, typer.Option(help="A turn's number, or a branch; by default the current turn.")] = None,
) -> None:
    """Write the picture, or all that led to it."""
    with _open(folder) as session:
        print(session.export(path, turn))


@app.command()
def show(folder: Folder, json: o.Json = None) -> None:
    """The tree; also while the session is open elsewhere."""
    from inkontext.session.manifest import as_json
    from inkontext.session.store import read_manifest
    from inkontext.session.tree import tree_text
    from inkontext.storage import write_json

    manifest = read_manifest(folder)
    print(tree_text(manifest))
    if json is not None:
        write_json(json, as_json(manifest))


def _open(folder: Path, model: tuple[Any, ...] | None = None) -> Session:
    """The session, found wrong before a model is loaded."""
    from inkontext.session import Session

    if model is None:
        return Session.open(folder)
    Session.open(folder).close()
    return Session.open(folder, o.load(*model))


def _tell(session: Session) -> None:
    """Where the session stands, and its picture's file."""
    print(f"turn {session.current.id} on {session.manifest.branch}: {session.picture_file()}")
