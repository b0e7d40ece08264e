"""`inkontext chat IMAGE`: a conversation with a picture, at a terminal or piped."""

from __future__ import annotations

import io
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from inkontext.cli import options as o

if TYPE_CHECKING:
    from PIL import Image

    from inkontext.session import Embedder, Session
    from inkontext.session.chat import Chat, Message


def chat(
    image: Annotated[Path, typer.Argument(help="The picture to talk about.")],
    session: Annotated[
        Path | None, typer.Option(help="The session's folder, new or to go on with; else a new one beside the picture.")
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", "-s", help="Of the noise; else each turn's number.")] = None,
    steps: o.Steps = None,
    anchor: Annotated[bool, typer.Option("--anchor", help="Give the first picture as a further reference.")] = False,
    keep: Annotated[bool, typer.Option(help="Put back what an edit left alone.")] = True,
    resolution: o.Resolution = None,
    context_resolution: o.ContextResolution = None,
    check_text: o.CheckText = False,
    model: o.Model = None,
    device: o.Device = None,
    dtype: o.Dtype = None,
    autoencoder: o.Autoencoder = None,
    text: o.Text = None,
    embedder: o.Embedder = None,
) -> None:
    """Edit a picture in a conversation: a line is an instruction, or a command such as /undo; /help lists them."""
    from inkontext.cli.checks import need_reader
    from inkontext.cli.likeness import load_embedder
    from inkontext.cli.places import check_folder
    from inkontext.reading import Reader
    from inkontext.session.chat import Chat, check_numbers

    folder = session or _free(image)
    # What is wrong with the picture, the folder, a number or the embedder should not wait for the model to load.
    sides = (resolution, context_resolution)
    check_numbers(seed, steps)
    o.check_resolutions(*sides)
    if check_text:
        need_reader()
    check_folder(folder)
    first = _check(image, folder)
    own = load_embedder(embedder, lambda: first)
    meter = _Meter()
    with _begin(first, folder, (model, device, dtype, autoencoder, text), own, sides) as opened:
        reader = Reader() if check_text else None
        talk = Chat(
            opened, seed=seed, steps=steps, anchor=anchor, keep=keep, reader=reader, callback=meter,
            resolution=resolution, context_resolution=context_resolution,
        )  # fmt: skip
        _tell(talk.here())
        if _typed():
            print(f"kept in {folder} as you go; /help lists the commands, Ctrl-D ends")
        try:
            _converse(talk, meter)
        except KeyboardInterrupt:
            print()


def _converse(talk: Chat, meter: _Meter) -> None:
    """Every line until the end of input, /quit, or Ctrl-C between two turns."""
    # A byte that is no text spoils its line, not the conversation.
    if isinstance(sys.stdin, io.TextIOWrapper):
        encoding = None if sys.stdin.isatty() else "utf-8-sig"  # a file's, which may begin with a mark
        sys.stdin.reconfigure(encoding=encoding, errors="surrogateescape")
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    if _typed():
        _remember(talk.session)
    while not talk.ended and (line := _line(talk)) is not None:
        with meter.listening():
            message = talk.say(line)
        if message is not None:
            _tell(message)
            if meter.stopped and not message.error and not line.startswith("/"):
                print("it was finished when you stopped it; /undo takes it back", file=sys.stderr)


def _typed() -> bool:
    """Whether somebody is there; a prompt would otherwise stand among the answers in a file."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def _line(talk: Chat) -> str | None:
    """What is typed or piped in; None at the end of it."""
    if not _typed():
        return sys.stdin.readline() or None
    try:
        return input(f"{talk.session.current.id}> ")
    except EOFError:
        print()
        return None


def _remember(session: Session) -> None:
    """Give `input` editing of the line and the session's instructions as its history."""
    try:
        import readline
    except ImportError:  # not everywhere; then lines are plain
        return
    for turn in session.manifest.turns:
        if turn.how is not None:
            readline.add_history(turn.how.prompt)


def _tell(message: Message) -> None:
    """Say it, on stderr where it is an error, and show its picture where the terminal can."""
    if message.error:
        print("inkontext:", message.text, file=sys.stderr, flush=True)
        return
    print(message.text, flush=True)
    if message.picture is not None and sys.stdout.isatty():
        from rich.console import Console

        from inkontext.cli.terminal_pictures import show
        from inkontext.errors import PictureError
        from inkontext.safety.pictures import open_image

        try:
            show(open_image(message.picture), Console(), os.environ)
        except PictureError as error:  # deleted or damaged meanwhile, by somebody else
            print("inkontext:", error, file=sys.stderr, flush=True)


class _Meter:
    """The bar during an edit, and its ear for Ctrl-C: the first cancels at the next step, a second at once.

    Attributes:
        stopped: whether Ctrl-C came during the last line.
    """

    def __init__(self) -> None:
        self.stopped = False
        self._bar: Any = None

    def __call__(self, progress: Any) -> bool:
        """The edit's callback."""
        if self._bar is None:
            from rich.console import Console
            from rich.progress import Progress

            console = Console(stderr=True)
            self._bar = Progress(console=console, transient=True, disable=not sys.stderr.isatty())
            self._bar.start()
            self._bar.add_task("sampling")
        self._bar.update(self._bar.task_ids[0], total=progress.steps, completed=progress.step)
        return not self.stopped

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Take Ctrl-C as a wish to end this line only."""
        self.stopped = False
        ours = threading.current_thread() is threading.main_thread()  # only there can signals be taken
        before = signal.signal(signal.SIGINT, self._stop) if ours else None
        try:
            yield
        finally:
            if self._bar is not None:
                self._bar.stop()
                self._bar = None
            if ours:
                signal.signal(signal.SIGINT, before)

    def _stop(self, number: int, frame: Any) -> None:
        if self.stopped:
            raise KeyboardInterrupt
        self.stopped = True
        # Not print: the signal may have come inside another write to the same stream, which Python refuses.
        os.write(2, b"\ncancelling after this step; Ctrl-C again stops at once\n")


def _free(image: Path) -> Path:
    """A folder beside the picture that is not there yet."""
    folder, number = image.parent / f"{image.stem}-session", 2
    while folder.exists():
        folder = image.parent / f"{image.stem}-session-{number}"
        number += 1
    return folder


def _check(image: Path, folder: Path) -> Image.Image:
    """The first picture. Raises PictureError, or SessionError where the folder's session began with another."""
    from inkontext.errors import SessionError
    from inkontext.session import Session
    from inkontext.session.session import first_picture

    first = first_picture(image)
    if (folder / "session.json").exists():
        with Session.open(folder) as old:
            was = old.picture(0)
        if (was.mode, was.size, was.tobytes()) != (first.mode, first.size, first.tobytes()):
            raise SessionError(f"the session '{folder}' began with another picture; give that, or name a new folder")
    return first


def _begin(
    first: Image.Image, folder: Path, model: o.ModelOptions, embedder: Embedder | None, sides: o.Sides
) -> Session:
    """The session in the folder, or a new one at these resolutions."""
    from inkontext.cli.making import sides_in
    from inkontext.session import Session
    from inkontext.session.store import read_manifest

    if (folder / "session.json").exists():
        return Session.open(folder, o.load(*model, *sides_in(read_manifest(folder), sides)), embedder)
    return Session.new(folder, first, o.load(*model, *sides), embedder, *sides)
