"""What the page can do, without a page: conversations in a folder, edits in threads, nothing of gradio.

A conversation is a session (`inkontext.session`) in a folder of its own. It is opened for a step and closed after it,
so that pages, the command line and other processes can share a folder; who comes second is told so.
"""

from __future__ import annotations

import re
import shutil
import threading
import zipfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from PIL import Image

from inkontext.errors import InKontextError, OptionError, SessionError, StorageError
from inkontext.geometry import Size, parse_size, read_resolution
from inkontext.masking import read_mask
from inkontext.pipeline import Pipeline
from inkontext.request import read_prompts
from inkontext.result import Callback
from inkontext.roles import Reference, assign
from inkontext.safety.pictures import MAX_PIXELS, Picture, PictureLike, read_picture
from inkontext.safety.provenance import read_metadata
from inkontext.server.ui.job import Job
from inkontext.server.ui.marks import read_marks
from inkontext.server.ui.settings import MATCH
from inkontext.session import Embedder, Manifest, Session, Turn, read_manifest
from inkontext.session.store import MANIFEST, PICTURE, Store, turn_folder

PAGE_PIXELS: Final = 40_000_000  # a larger picture is slow in every browser and a hundred megabytes a turn
_NAME: Final = re.compile(r"\w[\w.-]{0,99}")
T = TypeVar("T")


@dataclass(frozen=True)
class Wish:
    """What an edit is asked to do; None is the model's own, or the session's.

    Attributes:
        drawn, written: marks on the current picture, as `read_marks` takes them.
        mask: a file with what may change, instead of a brushed one.
    """

    prompt: str
    seed: int | None = None
    steps: int | None = None
    guidance: float | None = None
    negative: str | None = None
    true_cfg: float | None = None
    solver: str | None = None
    size: str = MATCH
    resolution: int | None = None
    context_resolution: int | None = None
    keep: bool = True
    anchor: bool = False
    references: Sequence[Reference] = ()
    drawn: str = ""
    written: str = ""
    mask: PictureLike | None = None


class Desk:
    """All conversations of a folder, and the one model that edits them.

    Every method raises an `InKontextError` with one sentence for the page, and leaves the session as it was.
    """

    def __init__(self, pipeline: Pipeline, folder: Path, most_pixels: int = PAGE_PIXELS,
                 embedder: Embedder | None = None,
                 sides: tuple[int | None, int | None] = (None, None)) -> None:  # fmt: skip
        """
        Args:
            folder: of the sessions; made when the first begins.
            most_pixels: of a picture that is taken in.
            embedder: as in `Session`, for every turn.
            sides: resolutions of conversations that begin here, of picture and context.
        """
        self.pipeline, self.folder, self.most_pixels = pipeline, folder, min(most_pixels, MAX_PIXELS)
        self.embedder, self.sides = embedder, sides
        self._model = threading.Lock()
        self._jobs: dict[str, Job] = {}

    def names(self) -> list[str]:
        """The conversations, the one that was changed last first."""
        try:
            found = [(p.stat().st_mtime, p.parent.name) for p in self.folder.glob(f"*/{MANIFEST}")]
        except OSError as error:
            raise StorageError(f"cannot read '{self.folder}' ({error.strerror}); check its permissions") from error
        return [name for _, name in sorted(found, reverse=True) if _NAME.fullmatch(name)]

    def place(self, name: str) -> Path:
        """The folder of a conversation. Raises SessionError for a name that is none."""
        if not _NAME.fullmatch(name) or not (self.folder / name / MANIFEST).is_file():
            raise SessionError(f"there is no conversation '{name}' here; begin one with a picture")
        return self.folder / name

    def manifest(self, name: str) -> Manifest:
        """Its tree of turns; also while it is open elsewhere."""
        return read_manifest(self.place(name))

    def picture_file(self, name: str, turn: int) -> Path:
        """The file of a turn's picture."""
        return turn_folder(self.place(name), self.manifest(name).number(turn)) / PICTURE

    def check(self, picture: PictureLike) -> Picture:
        """The picture decoded, if the page takes it."""
        return read_picture(picture, most=self.most_pixels)

    def begin(self, picture: PictureLike, title: str = "picture") -> str:
        """A new conversation about a picture; gives its name."""
        read = self.check(picture)
        folder = self._new_folder(title)
        try:
            with self._model, Session.new(folder, read, self.pipeline, None, *self.sides):
                return folder.name
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise

    def undo(self, name: str) -> None:
        self._step(name, Session.undo)

    def redo(self, name: str) -> None:
        self._step(name, Session.redo)

    def goto(self, name: str, place: int | str) -> None:
        """To a turn by number, or to a branch by name."""
        self._step(name, lambda session: session.goto(place))

    def branch(self, name: str, label: str) -> None:
        """A new branch at the current turn; without a label it is given one."""
        taken = self.manifest(name).branches
        label = label.strip() or next(free for n in range(2, len(taken) + 3) if (free := f"way-{n}") not in taken)
        self._step(name, lambda session: session.branch(label))

    def job(self, name: str) -> Job | None:
        """The edit that is under way in a conversation."""
        job = self._jobs.get(name)
        return job if job is not None and not job.standing.ended else None

    def cancel(self, name: str) -> None:
        """Stop the edit that is under way, if there is one."""
        if (job := self.job(name)) is not None:
            job.cancel()

    def edit(self, name: str, wish: Wish) -> Job:
        """Begin an edit of the current turn. What is wrong with the wish is found here, before the model is asked."""
        self._idle(name)
        read_prompts(wish.prompt)
        manifest = self.manifest(name)
        with Image.open(self.picture_file(name, manifest.current)) as now:
            size = now.size
        marks = read_marks(wish.drawn, wish.written, size)
        if wish.mask is not None and marks.mask is not None:
            raise OptionError("there are two masks, one painted and one from a file; clear one of them")
        cast = assign(wish.prompt, wish.references)
        references = [self.check(path) for path in cast.references]
        mask = marks.mask if wish.mask is None else read_mask(wish.mask, size)
        side = read_resolution(wish.resolution) or manifest.resolution or self.pipeline.resolution
        read_resolution(wish.context_resolution, "context_resolution")
        shape = parse_size(wish.size, side) or size
        self.pipeline.towers.check(cast.prompt)

        def step(session: Session, callback: Callback) -> Turn:
            return session.edit(
                cast.prompt, seed=wish.seed, steps=wish.steps, guidance=wish.guidance, negative=wish.negative,
                true_cfg=wish.true_cfg, solver=wish.solver, size=wish.size, resolution=wish.resolution,
                context_resolution=wish.context_resolution, mask=mask, references=references,
                cues=marks.cues, position=cast.position, said=wish.prompt if cast.names else None,
                anchor=wish.anchor, keep=wish.keep, callback=callback,
            )  # fmt: skip

        return self._start(name, step, wish.prompt, manifest.current, shape)

    def merge(self, name: str, count: int, prompt: str = "") -> Job:
        """Begin the last `count` turns as one edit from the picture before them; without a prompt theirs are joined."""
        self._idle(name)
        current = self.manifest(name).current
        with Image.open(self.picture_file(name, current)) as now:
            shape = now.size
        if prompt := prompt.strip():
            self.pipeline.towers.check(prompt)

        def step(session: Session, callback: Callback) -> Turn:
            return session.merge(count, prompt or None, callback)

        return self._start(name, step, prompt or f"the last {count} turns in one edit", current, shape)

    def export(self, name: str, turn: int, into: Path) -> Path:
        """All pictures up to a turn, with their story, as one zip file in a folder that is there."""
        self._step(name, lambda session: session.export(into / name, turn))
        packed = into / f"{name}.zip"
        try:
            with zipfile.ZipFile(packed, "w") as file:  # PNGs get no smaller by packing them again
                for path in sorted((into / name).iterdir()):
                    file.write(path, f"{name}/{path.name}")
        except OSError as error:
            raise StorageError(f"cannot write '{packed}' ({error.strerror}); free some space") from error
        return packed

    def delete(self, name: str) -> None:
        """Remove a conversation's folder and nothing else; refused while any process holds it."""
        self._idle(name)
        place = self.place(name)
        if place.is_symlink():
            raise SessionError(f"'{place}' is a link to a folder elsewhere; remove it by hand")
        held = Store(place)
        try:
            (place / MANIFEST).unlink()  # first: what a kill leaves of it is no conversation
            shutil.rmtree(place)
        except OSError as error:
            raise StorageError(f"cannot delete '{place}' ({error.strerror}); remove the folder by hand") from error
        finally:
            held.close()

    def close(self) -> None:
        """Cancel every edit and wait for its end."""
        for job in self._jobs.values():
            job.cancel()
        for job in self._jobs.values():
            job.join(60)

    def _start(
        self, name: str, step: Callable[[Session, Callback], Turn], said: str, current: int, shape: Size
    ) -> Job:  # fmt: skip
        """Take a step that needs the model in a thread, unless `current` is no longer the turn one sees."""

        def work(callback: Callback) -> str:
            with Session.open(self.place(name), self.pipeline, self.embedder) as session:
                if session.manifest.current != current:
                    raise SessionError("the conversation has moved on elsewhere; look at it and try again")
                turn = step(session, callback)
                cued = turn.how is not None and turn.how.cues
                return f"turn {turn.id} is kept" + (_about_cues(session.picture_file()) if cued else "")

        job = Job(work, self._model, said, shape)
        self._jobs[name] = job
        job.start()
        return job

    def _step(self, name: str, step: Callable[[Session], T]) -> T:
        self._idle(name)
        with Session.open(self.place(name)) as session:
            return step(session)

    def _idle(self, name: str) -> None:
        if self.job(name) is not None:
            raise SessionError("an edit of this picture is under way; wait for it, or cancel it")

    def _new_folder(self, title: str) -> Path:
        """An empty folder named after the title, with a number where that is taken."""
        stem = re.sub(r"[^\w]+", "-", title).strip("-_")[:60] or "picture"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            for number in range(1, 1_000_000):
                folder = self.folder / (stem if number == 1 else f"{stem}-{number}")
                with suppress(FileExistsError):
                    folder.mkdir()
                    return folder
        except OSError as error:
            raise StorageError(
                f"cannot write in '{self.folder}' ({error.strerror}); choose another --sessions"
            ) from error
        raise StorageError(f"there are too many conversations called '{stem}' in '{self.folder}'; rename the picture")


def _about_cues(picture: Path) -> str:
    """What the check for ink found, to be added to a sentence."""
    try:
        record = read_metadata(picture) or {}
    except InKontextError:
        return ""
    words = {"gone": "is gone", "left": "is still to be seen, so try another seed"}
    rows = record.get("cue_check", {}).get("cues", [])
    told = [f"the {row['name']} {words.get(row['verdict'], 'may or may not be gone')}" for row in rows]
    return "".join(f"; {sentence}" for sentence in told)
