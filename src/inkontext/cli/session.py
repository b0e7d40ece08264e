"""`inkontext session STEP FOLDER`: editing in many turns, for scripts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from inkontext.cli import options as o
from inkontext.cli.making import making, where
from inkontext.cli.places import check_folder, check_places

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
    resolution: o.Resolution = None,
    context_resolution: o.ContextResolution = None,
    model: o.Model = None,
    device: o.Device = None,
    dtype: o.Dtype = None,
    autoencoder: o.Autoencoder = None,
    text: o.Text = None,
    embedder: o.Embedder = None,
) -> None:
    """Begin with a picture, in a new folder; its resolutions are those of every turn that names none."""
    from inkontext.cli.likeness import load_embedder
    from inkontext.session import Session
    from inkontext.session.session import first_picture
    from inkontext.session.store import need_free

    check_folder(folder)
    sides = (resolution, context_resolution)
    o.check_resolutions(*sides)
    need_free(folder)
    first = first_picture(picture)  # what is wrong should not wait for the model to load
    own = load_embedder(embedder, lambda: first)
    pipeline = o.load(model, device, dtype, autoencoder, text, *sides)
    with Session.new(folder, first, pipeline, own, *sides) as session:
        print(where(session))


@app.command()
def edit(
    folder: Folder,
    prompt: Annotated[str, typer.Argument(help="What to change, in a sentence.")],
    ref: o.Ref = None,
    mask: o.Mask = None,
    mask_edits: o.MaskEdits = "white",
    strength: o.Strength = 1.0,
    cue: o.Cue = None,
    size: o.Size = "match",
    resolution: o.Resolution = None,
    context_resolution: o.ContextResolution = None,
    anchor: Annotated[bool, typer.Option("--anchor", help="Give the first picture as a further reference.")] = False,
    keep: Annotated[bool, typer.Option(help="Put back what the edit left alone.")] = True,
    seed: Annotated[int | None, typer.Option("--seed", "-s", help="Of the noise; else the turn's number.")] = None,
    steps: o.Steps = None,
    guidance: o.Guidance = None,
    negative: o.Negative = None,
    true_cfg: o.TrueCfg = None,
    solver: o.Solver = None,
    quality: o.Quality = None,
    candidates: o.Candidates = None,
    scorer: o.Scorer = None,
    check_text: o.CheckText = False,
    retries: o.Retries = 0,
    model: o.Model = None,
    device: o.Device = None,
    dtype: o.Dtype = None,
    autoencoder: o.Autoencoder = None,
    text: o.Text = None,
    embedder: o.Embedder = None,
    json: o.Json = None,
) -> None:
    """A new turn from the current one; with --retries perhaps several, of which the best becomes the current."""
    from inkontext.best_of import read_best_of
    from inkontext.cli.asking import read_asked

    # What is wrong with words or pictures should not wait for the model to load.
    check_places(json, None, o.files_read(None, ref, mask, cue))
    best, sides = read_best_of(quality, candidates, scorer), (resolution, context_resolution)
    o.check_resolutions(*sides)
    with _open(folder) as session:
        asked = read_asked(session.size(), prompt, ref, mask, mask_edits, strength, cue, check_text, retries)
        cast = asked.cast
        how: dict[str, Any] = {
            "seed": seed, "steps": steps, "guidance": guidance, "negative": negative, "true_cfg": true_cfg,
            "solver": solver, "size": size, "mask": asked.mask, "strength": strength, "references": asked.references,
            "cues": asked.cues, "position": cast.position, "said": prompt if cast.names else None, "anchor": anchor,
            "keep": keep, "best": best, "resolution": resolution, "context_resolution": context_resolution,
        }  # fmt: skip
        with making(session, (model, device, dtype, autoencoder, text), embedder, json, sides) as report:
            if asked.words:
                from inkontext.session.tries import edit_until_right

                report.tried = edit_until_right(session, cast.prompt, asked.words, retries, **how)
            else:
                session.edit(cast.prompt, **how)


@app.command()
def undo(folder: Folder) -> None:
    """Back to the turn before."""
    with _open(folder) as session:
        session.undo()
        print(where(session))


@app.command()
def redo(folder: Folder) -> None:
    """Forward again after an undo."""
    with _open(folder) as session:
        session.redo()
        print(where(session))


@app.command()
def goto(folder: Folder, place: Annotated[str, typer.Argument(help="A turn's number, or a branch.")]) -> None:
    """To any turn, or to a branch, along which later turns then go."""
    with _open(folder) as session:
        session.goto(place)
        print(where(session))


@app.command()
def branch(
    folder: Folder,
    name: Annotated[str, typer.Argument(help="Its name, a word.")],
    at: Annotated[str | None, typer.Option(help="A turn's number, or a branch; by default the current turn.")] = None,
) -> None:
    """A new branch, along which later turns go."""
    with _open(folder) as session:
        session.branch(name, at)
        print(where(session))


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
    embedder: o.Embedder = None,
    json: o.Json = None,
) -> None:
    """The last turns as one edit from the picture before them."""
    from inkontext.request import read_prompts

    if prompt is not None:
        read_prompts(prompt)
    check_places(json, None)
    with _open(folder) as session:
        last = session.current.how
        sides = (last.resolution, last.context_resolution) if last else (None, None)
        with making(session, (model, device, dtype, autoencoder, text), embedder, json, sides):
            session.merge(count, prompt)


@app.command()
def replay(
    folder: Folder,
    into: Annotated[Path, typer.Argument(help="Folder of the new session.")],
    picture: Annotated[Path | None, typer.Option(help="Another picture to begin with.")] = None,
    resolution: o.Resolution = None,
    context_resolution: o.ContextResolution = None,
    model: o.Model = None,
    device: o.Device = None,
    dtype: o.Dtype = None,
    autoencoder: o.Autoencoder = None,
    text: o.Text = None,
    embedder: o.Embedder = None,
    json: o.Json = None,
) -> None:
    """Make the turns up to the current one again in a new session, perhaps of another picture or with another model.

    With --resolution all turns are at that: a draft's, for example, at the model's own.
    """
    from inkontext.cli.likeness import load_embedder
    from inkontext.cli.making import Remade
    from inkontext.session.session import first_picture
    from inkontext.session.store import need_free

    check_places(json, None)
    o.check_resolutions(resolution, context_resolution)
    with _open(folder) as session:
        check_folder(into)
        need_free(into)
        first = session.picture(0) if picture is None else first_picture(picture)
        session.embedder = load_embedder(embedder, lambda: first)
        hows = [turn.how for turn in session.manifest.path() if turn.how]
        largest = (
            resolution or _largest([session.manifest.resolution, *(how.resolution for how in hows)]),
            context_resolution or _largest([how.context_resolution for how in hows]),
        )
        pipeline = o.load(model, device, dtype, autoencoder, text, *largest)
        remade = Remade(into, len(session.manifest.path()) - 1)
        with remade.stoppable():
            session.replay(
                into, first, pipeline, each=remade, resolution=resolution, context_resolution=context_resolution
            ).close()
    if json is not None:
        remade.write(json)


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

    check_places(json, None)
    manifest = read_manifest(folder)
    print(tree_text(manifest))
    if json is not None:
        write_json(json, as_json(manifest))


def _largest(sides: Sequence[int | None]) -> int | None:
    """None, the model's own or as the result's, where that is among them or there are none."""
    known = [side for side in sides if side is not None]
    return max(known) if known and len(known) == len(sides) else None


def _open(folder: Path) -> Session:
    from inkontext.session import Session

    return Session.open(folder)
