"""Editing in many turns, each from the latents of the one before, all kept in a folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from PIL import Image
from torch import Tensor

from inkontext.best_of import BestOf, solver_of
from inkontext.cues import Cue
from inkontext.data.latents import fingerprint_of
from inkontext.errors import OptionError, SessionError
from inkontext.geometry import Size, read_resolution, told_size
from inkontext.masking import MaskFinding, read_mask
from inkontext.numbers import as_whole, read_seed, real, whole
from inkontext.pipeline import Pipeline
from inkontext.reading import Reader, need_letters
from inkontext.request import read_strength
from inkontext.result import Callback
from inkontext.safety.pictures import PictureLike, read_picture
from inkontext.safety.provenance import check_suffix, save_picture
from inkontext.session.drift import Embedder, incomparable, measure
from inkontext.session.manifest import Choice, How, Manifest, Model, Turn, read_how
from inkontext.session.merging import merged_how, merged_mask
from inkontext.session.step import Parent, make
from inkontext.session.store import PICTURE, Store, need_free, read_manifest
from inkontext.storage import write_json


class Session:
    """A tree of turns; the first is the picture it began with.

    Made by `Session.new` or `Session.open`, and closed by `close` or as a context manager. Every step is on disk when
    it returns, and a step that fails leaves the session as it was.

    Attributes:
        manifest: the tree.
        folder: where it is kept.
    """

    def __init__(
        self, store: Store, manifest: Manifest, pipeline: Pipeline | None, embedder: Embedder | None = None
    ) -> None:
        self._store, self.manifest, self.pipeline, self.embedder = store, manifest, pipeline, embedder
        self._decoded: dict[int, Image.Image] = {}  # the canvas of the last turn that was used or made

    @classmethod
    def new(
        cls, folder: str | Path, picture: PictureLike, pipeline: Pipeline, embedder: Embedder | None = None,
        resolution: int | None = None, context_resolution: int | None = None,
    ) -> Session:  # fmt: skip
        """Begin with a picture, in a new or empty folder.

        Args:
            resolution, context_resolution: as in `Pipeline.edit`, for all turns that name none.

        Raises:
            SessionError: the folder holds something. OptionError, PictureError, StorageError.
        """
        side, seen = read_resolution(resolution), read_resolution(context_resolution, "context_resolution")
        first = first_picture(picture)
        store = Store(Path(folder))
        try:
            need_free(store.folder)
            latents, _ = pipeline.encode(first, side)
            store.save(0, first, {"task": "session", "model": pipeline.model}, latents)
            manifest = Manifest(
                model=_model_of(pipeline), resolution=side, context_resolution=seen, turns=[Turn(id=0)]
            )  # fmt: skip
            store.commit(manifest)
        except BaseException:
            store.close()
            raise
        return cls(store, manifest, pipeline, embedder)

    @classmethod
    def open(
        cls, folder: str | Path, pipeline: Pipeline | None = None, embedder: Embedder | None = None
    ) -> Session:  # fmt: skip
        """Go on with a session; without a pipeline all steps but edits can be taken.

        Raises:
            SessionError: no session, a damaged one, one of another model, or one that is open elsewhere.
        """
        read_manifest(Path(folder))  # nothing is made in a folder that holds no session
        store = Store(Path(folder))
        try:
            manifest = read_manifest(store.folder)
            store.check(manifest)
            session = cls(store, manifest, None, embedder)
            if pipeline is not None:
                session.use(pipeline)
        except BaseException:
            store.close()
            raise
        return session

    def use(self, pipeline: Pipeline) -> None:
        """Edit with this model from now on. Raises SessionError where the session was made with another."""
        ours, theirs = _model_of(pipeline), self.manifest.model
        if not ours.is_same(theirs):
            raise SessionError(
                f"the session '{self.folder}' was made with model '{theirs.name}' ({theirs.fingerprint}, autoencoder "
                f"{theirs.autoencoder}), not with '{ours.name}' ({ours.fingerprint}, autoencoder "
                f"{ours.autoencoder}); open it with that model, or replay it with this one into a new folder"
            )
        self.pipeline = pipeline

    @property
    def folder(self) -> Path:
        return self._store.folder

    @property
    def current(self) -> Turn:
        return self.manifest.turns[self.manifest.current]

    def picture(self, turn: int | str | None = None) -> Image.Image:
        """A turn's picture, by default the current one's."""
        return self._store.picture(self.manifest.current if turn is None else self.manifest.number(turn))

    def size(self) -> Size:
        """(width, height) of the current picture, which is not decoded."""
        return self._store.size(self.manifest.current)

    def picture_file(self) -> Path:
        """The file of the current picture."""
        return self._store.turn(self.manifest.current) / PICTURE

    def latents(self, turn: int | str | None = None) -> Tensor:
        """A turn's latents `[1, C, h, w]`, float32."""
        return self._store.latents(self.manifest.current if turn is None else self.manifest.number(turn))

    def edit(
        self,
        prompt: str,
        *,
        seed: int | None = None,
        steps: int | None = None,
        guidance: float | None = None,
        negative: str | None = None,
        true_cfg: float | None = None,
        solver: str | None = None,
        size: str | Size | None = None,
        resolution: int | None = None,
        context_resolution: int | None = None,
        mask: PictureLike | MaskFinding | None = None,
        mask_edits: str = "white",
        strength: float = 1.0,
        references: Sequence[PictureLike] = (),
        cues: Sequence[Cue] = (),
        position: int = 0,
        said: str | None = None,
        anchor: bool = False,
        keep: bool = True,
        words: Sequence[str] = (),
        reader: Reader | None = None,
        best: BestOf | None = None,
        parent: int | None = None,
        callback: Callback | None = None,
    ) -> Turn:
        """A new turn from the current one, or from `parent`, which the present branch moves to.

        Args:
            seed: of the noise; the new turn's number where None.
            mask: what may change; every byte outside is kept. `mask_edits` and `strength` as in `Pipeline.edit`.
            size: of the new picture, as in `Pipeline.edit`; another than the present one ends `keep` and drift here.
            resolution, context_resolution: as in `Pipeline.edit`; the session's where None. Latents pass on to a turn
                that sees its parent at their resolution; to another its picture does, encoded anew.
            references: further pictures the prompt may speak of; `position` of them before the picture itself.
            cues: drawn on the picture for the model to see; whether they are gone from the result is in the turn.
            said: the prompt as the user wrote it, for the manifest, where `prompt` is a translation of it.
            anchor: give the first picture as a further reference.
            keep: put back what the edit left alone: the parent's bytes, and its latents.
            words: looked for in the new picture by a `reader`; the turn's `text` says what was found, or that the
                reader failed.
            best: several are made and one is kept (`best_of.read_best_of`); the turn has its seed and its solver,
                so that making it again needs no scorer.

        Raises:
            InKontextError: a subclass for each mistake; the session is as it was.
        """
        if best is not None:
            solver = solver_of(best.quality, solver, self._model().sampling)
        how = read_how(
            prompt=prompt, seed=len(self.manifest.turns) if seed is None else read_seed(seed),
            steps=None if steps is None else whole(steps, "steps", 1, 1000),
            guidance=None if guidance is None else real(guidance, "guidance", 0, 100), negative=negative,
            true_cfg=None if true_cfg is None else real(true_cfg, "true_cfg", 1, 100), solver=solver,
            size=told_size(size), resolution=read_resolution(resolution) or self.manifest.resolution,
            context_resolution=read_resolution(context_resolution, "context_resolution")
            or self.manifest.context_resolution, strength=read_strength(strength, mask is not None),
            cues=[cue.as_dict() for cue in cues], position=whole(position, "position", 0, len(references)), said=said,
            anchor=anchor, keep=keep,
        )  # fmt: skip
        start = self.manifest.current if parent is None else self.manifest.number(parent)
        white = None if mask is None else read_mask(mask, self._store.size(start), mask_edits)
        extra = [read_picture(r).rgb for r in references]
        if words:
            need_letters(words)
            if reader is None and (missing := Reader.available()):
                raise OptionError(f"the words cannot be read back; {missing}")
        return self._take(start, how, white, extra, callback=callback, words=words, reader=reader, best=best)

    def settle_on(self, turn: int) -> Turn:
        """To another turn of the same parent, and the present branch with it: after several tries, to the best."""
        return self._commit(self.manifest.settle_on(turn))

    def undo(self) -> Turn:
        """Back to the parent. Raises SessionError at the first picture."""
        return self._commit(self.manifest.undo())

    def redo(self) -> Turn:
        """Forward again to where the last undo came from. Raises SessionError where there was none since."""
        return self._commit(self.manifest.redo_one())

    def goto(self, place: int | str) -> Turn:
        """To a turn by number, or to a branch by name, along which later turns then go."""
        return self._commit(self.manifest.goto(place))

    def branch(self, name: str, at: int | str | None = None) -> Turn:
        """A new branch at the current turn, or at another; later turns go along it."""
        return self._commit(self.manifest.new_branch(name, at))

    def merge(self, count: int, prompt: str | None = None, callback: Callback | None = None) -> Turn:
        """The last `count` turns as one edit from the picture before them.

        The instructions are joined, unless `prompt` says it in one; the rest is as in the last of them. There is a mask
        where all have one: all of theirs together. So are their cues and references.

        Raises:
            SessionError: there are not so many, or their pictures would be numbered otherwise than their prompts say.
        """
        path, number = self.manifest.path(), as_whole(count)
        if number is None or not 2 <= number < len(path):
            raise SessionError(f"{count} turns cannot be merged; there are {len(path) - 1} here, and it takes two")
        turns = path[-number:]
        whole = merged_mask([self._store.mask(turn) for turn in turns])
        how = merged_how(turns, prompt, whole is not None)
        references = [image for turn in turns for image in self._store.references(turn)]
        return self._take(path[-number - 1].id, how, whole, references, [turn.id for turn in turns], callback)

    def replay(
        self, folder: str | Path, picture: PictureLike | None = None, pipeline: Pipeline | None = None,
        callback: Callback | None = None, each: Callable[[Session], None] | None = None,
        resolution: int | None = None, context_resolution: int | None = None,
    ) -> Session:  # fmt: skip
        """Make the turns up to the current one again, in a new session: of another picture, or with another model.

        With neither it gives the same bytes again. A turn that fails ends it; those before stay in the new session.

        Args:
            each: called with the new session when its first picture is kept, and after every turn.
            resolution, context_resolution: of all turns, instead of their own.
        """
        need_free(Path(folder))  # of this session itself, a lock would say that it is open elsewhere
        asked = {"resolution": read_resolution(resolution),
                 "context_resolution": read_resolution(context_resolution, "context_resolution")}  # fmt: skip
        changed = {name: side for name, side in asked.items() if side is not None}
        made = Session.new(
            folder, self.picture(0) if picture is None else picture, pipeline or self._model(), self.embedder,
            **{name: getattr(self.manifest, name) for name in asked} | changed,
        )  # fmt: skip
        told = each or (lambda session: None)
        try:
            told(made)
            for turn in self.manifest.path()[1:]:
                assert turn.how is not None
                mask, references = self._store.mask(turn), self._store.references(turn)
                how = turn.how.model_copy(update=changed)
                made._take(made.current.id, how, mask, references, callback=callback)
                told(made)
        except BaseException:
            made.close()
            raise
        return made

    def export(self, path: str | Path, turn: int | str | None = None) -> Path:
        """Write a turn's picture, by default the current one's, with its record inside, into a file; or, into a folder,
        all pictures up to it, numbered, with `story.json`.

        Raises:
            OptionError: the folder holds something already, or the suffix is of no picture.
        """
        target = Path(path)
        number = self.manifest.current if turn is None else self.manifest.number(turn)
        story = self.manifest.path(number)
        body = {"model": self.manifest.model.model_dump(), "turns": [t.model_dump() for t in story]}
        if target.suffix:
            check_suffix(target)
            save_picture(self.picture(number), target, body)
            return target
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise OptionError(f"'{target}' is there already and not an empty folder; name a new one, or a .png file")
        for place, step in enumerate(story):
            save_picture(self.picture(step.id), target / f"{place:04d}.png", {"turn": step.model_dump()})
        write_json(target / "story.json", body)
        return target

    def close(self) -> None:
        """Let others open it."""
        self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _model(self) -> Pipeline:
        if self.pipeline is None:
            raise SessionError("the session was opened without a model; open it with one to edit")
        return self.pipeline

    def _commit(self, manifest: Manifest) -> Turn:
        self._store.commit(manifest)
        self.manifest = manifest
        return self.current

    def _take(
        self, parent: int, how: How, mask: Image.Image | None, references: Sequence[Image.Image],
        merged: Sequence[int] = (), callback: Callback | None = None, words: Sequence[str] = (),
        reader: Reader | None = None, best: BestOf | None = None,
    ) -> Turn:  # fmt: skip
        """Make a turn from a parent and keep it: its files first, then the manifest that names it."""
        pipeline, store = self._model(), self._store
        begin = self._parent(parent, how.resolution)
        first = begin.picture if parent == 0 else store.picture(0)
        shown = [*references, first] if how.anchor and parent else references
        made = make(pipeline, begin, how, mask, shown, callback, words, reader, best)
        choice = None if made.choice is None else Choice(**made.choice)
        how = how if choice is None else how.model_copy(update={"seed": choice.chosen})
        changes = [*(store.change(t.id) for t in self.manifest.path(parent)[1:]), made.change]
        missing = incomparable(first, made.raw, changes)
        turn = Turn(
            id=len(self.manifest.turns), parent=parent, how=how, mask=mask is not None, references=len(references),
            merged=list(merged), cues_gone=made.cues.gone if made.cues else None, text=made.text, best_of=choice,
            drift=None if missing else measure(first, made.raw, made.picture, changes, self.embedder),
            drift_missing=missing,
        )  # fmt: skip
        record = made.record | {"turn": turn.model_dump()}
        store.save(turn.id, made.picture, record, made.latents, made.change, mask, references)
        self._commit(self.manifest.add(turn))
        self._decoded = {turn.id: made.canvas}
        return turn

    def _parent(self, number: int, resolution: int | None) -> Parent:
        """A turn as one at a resolution starts from it: with its own latents, or, at another, encoded anew."""
        pipeline, picture, latents = self._model(), self._store.picture(number), self._store.latents(number)
        theirs = self.manifest.resolution_of(number) or pipeline.resolution
        side = resolution or pipeline.resolution
        known = {theirs: latents}
        if side != theirs:
            known[side], _ = pipeline.encode(picture, side)
            return Parent(picture, known[side], pipeline.decode(known[side]), known)
        if number not in self._decoded:
            self._decoded = {number: pipeline.decode(latents)}
        return Parent(picture, latents, self._decoded[number], known)


def first_picture(picture: PictureLike) -> Image.Image:
    """What a session keeps of the picture it begins with: RGB, or RGBA with the colours under the transparency.

    Raises PictureError.
    """
    read = read_picture(picture)
    first = read.rgb.copy() if read.stored is None else read.stored.copy()
    if read.alpha is not None:
        first.putalpha(read.alpha)
    if read.icc:
        first.info["icc_profile"] = read.icc
    return first


def _model_of(pipeline: Pipeline) -> Model:
    return Model(
        name=pipeline.model["name"],
        fingerprint=pipeline.model["fingerprint"],
        autoencoder=fingerprint_of(pipeline.autoencoder),
    )
