"""What happens when something is done on the page: each handler asks the desk, then shows how things stand."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import gradio as gr

from inkontext.errors import InKontextError, one_line
from inkontext.roles import Reference
from inkontext.server.ui import views
from inkontext.server.ui.desk import Desk, Wish
from inkontext.server.ui.examples import Example
from inkontext.server.ui.job import Job, data_uri
from inkontext.server.ui.layout import Parts
from inkontext.server.ui.settings import MATCH, Recalled, read_seed, read_side, recall, speeds

_SETTINGS: Final = 13  # values that `Hands._settings` gives
_DRAWS: Final = 2**31  # of new seeds: short enough to be copied by hand
Shown = list[Any]  # name, stage, tree, message, picker: what every handler gives back first
_DRAWN: Final = "(...given) => { given[0] = window.inkontext.drawn(); return given; }"


def wire(page: gr.Blocks, desk: Desk, parts: Parts, examples: tuple[Example, ...]) -> None:
    """Connect everything."""
    hands = Hands(desk, examples)
    shown: list[Any] = [parts.name, parts.stage, parts.tree, parts.message, parts.picker]
    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}

    # Built open and shut here: Gradio draws what is built shut anew just after its first opening, and what was typed is
    # lost.
    folds = [parts.by_keyboard, parts.more]
    page.load(lambda: [gr.Accordion(open=False) for _ in folds], None, folds, **quiet).then(
        hands.load, None, shown, **quiet
    )
    parts.source.upload(hands.begin, [parts.source, parts.name], [*shown, parts.source], **quiet)
    parts.stage.example(hands.example, parts.name, [*shown, parts.prompt], **quiet)
    parts.picker.input(hands.open, [parts.picker, parts.name], shown, **quiet)
    parts.tree.goto(hands.goto, parts.name, shown, **quiet)
    parts.tree.undo(hands.undo, parts.name, shown, **quiet)
    parts.tree.redo(hands.redo, parts.name, shown, **quiet)
    parts.tree.branch(hands.branch, parts.name, shown, **quiet)
    parts.tree.switch(hands.switch, parts.name, shown, **quiet)
    parts.tree.merge(hands.merge, parts.name, shown, concurrency_limit=16, **quiet)
    parts.tree.delete(hands.delete, parts.name, shown, **quiet)
    parts.tree.told(hands.told, None, parts.message, **quiet)

    kept = [parts.references, parts.references_list]
    settings = [parts.prompt, parts.seed, parts.locked, parts.steps, parts.solver, parts.guidance, parts.true_cfg,
                parts.negative, parts.size, parts.resolution, parts.context_resolution, parts.keep,
                parts.anchor]  # fmt: skip
    parts.tree.use(hands.use, [parts.name, parts.references], [*shown, *kept, *settings], **quiet)
    parts.references_drop.upload(
        hands.add_references, [parts.references_drop, parts.references],
        [*kept, parts.message, parts.references_drop], **quiet,
    )  # fmt: skip
    parts.references_list.rename(hands.rename, parts.references, kept, **quiet)
    parts.references_list.remove(hands.remove, parts.references, kept, **quiet)
    parts.recall.upload(hands.recall, parts.recall, [parts.message, parts.recall, *settings], **quiet)
    parts.dice.click(hands.roll, None, [parts.seed, parts.locked], **quiet)
    parts.speed.input(lambda name: speeds(desk.pipeline.sampling)[name], parts.speed, parts.steps, **quiet)
    parts.edit.click(
        hands.edit, [parts.drawn, parts.name, parts.references, parts.written, parts.mask, *settings],
        [*shown, parts.seed, parts.written, parts.mask], js=_DRAWN, concurrency_limit=16, **quiet,
    )  # fmt: skip
    parts.cancel.click(hands.cancel, parts.name, None, queue=False, **quiet)


class Hands:
    """The handlers. Each gives back values in the order of its outputs in `wire`."""

    def __init__(self, desk: Desk, examples: tuple[Example, ...]) -> None:
        self.desk, self.examples = desk, examples
        self.invited = views.example_rows(examples)

    def shown(self, name: str | None, told: str = "", kind: str = "") -> Shown:
        """How a conversation stands; nothing, with a sentence, where it cannot be read."""
        try:
            parts = [views.stage(self.desk, name, self.invited), views.tree(self.desk, name)]
            names = self.desk.names()
        except InKontextError as error:
            name, told, kind = None, one_line(error), "error"
            parts, names = [views.stage(self.desk, None, self.invited), views.tree(self.desk, None)], []
        return [name, *parts, views.message(told, kind), gr.update(choices=names, value=name)]

    def _try(self, name: str | None, do: Callable[[], Any], told: str = "") -> Shown:
        try:
            do()
        except InKontextError as error:
            return self.shown(name, one_line(error), "error")
        return self.shown(name, told)

    def load(self, request: gr.Request) -> Iterator[Shown]:
        """The conversation of the address, and the edit that may be under way in it."""
        name = request.query_params.get("session") or None
        yield self.shown(name)
        if name is not None and (job := self.desk.job(name)) is not None:
            yield from self._follow(name, job)

    def begin(self, file: str | None, name: str | None) -> list[Any]:
        return [*self._begin(Path(file) if file else None, name), None]

    def _begin(self, picture: Path | None, name: str | None, title: str | None = None) -> Shown:
        if picture is None:
            return self.shown(name)
        try:
            name = self.desk.begin(picture, title or picture.stem)
        except InKontextError as error:
            return self.shown(name, _without_path(error, picture), "error")
        return self.shown(name, "say what should change")

    def example(self, name: str | None, event: gr.EventData) -> list[Any]:
        number = event.number
        if not isinstance(number, int) or not 0 <= number < len(self.examples):
            return [*self.shown(name), gr.skip()]
        example = self.examples[number]
        try:
            name = self.desk.begin(example.picture, "example")
        except InKontextError as error:
            return [*self.shown(name, one_line(error), "error"), gr.skip()]
        return [*self.shown(name, "an example with a sentence for it; edit it, or say something else"), example.prompt]

    def open(self, chosen: str | None, name: str | None) -> Shown:
        if not chosen:
            return self.shown(name)
        try:
            self.desk.manifest(chosen)
        except InKontextError as error:
            return self.shown(name, one_line(error), "error")
        return self.shown(chosen)

    def goto(self, name: str, event: gr.EventData) -> Shown:
        turn = event.turn
        return self._try(
            name, lambda: self.desk.goto(name, str(turn)), f"at turn {turn}; an edit from here is a new way"
        )

    def switch(self, name: str, event: gr.EventData) -> Shown:
        return self._try(name, lambda: self.desk.goto(name, str(event.label)), f"on the branch {event.label}")

    def undo(self, name: str) -> Shown:
        return self._try(name, lambda: self.desk.undo(name), "undone; nothing is lost, redo brings it back")

    def redo(self, name: str) -> Shown:
        return self._try(name, lambda: self.desk.redo(name), "done again")

    def branch(self, name: str, event: gr.EventData) -> Shown:
        return self._try(
            name, lambda: self.desk.branch(name, str(event.label)), "a new branch; later turns go along it"
        )

    def merge(self, name: str, event: gr.EventData) -> Iterator[Shown]:
        """The last turns in one edit, shown until it ends."""
        try:
            job = self.desk.merge(name, int(event.count), str(event.prompt))
        except InKontextError as error:
            yield self.shown(name, one_line(error), "error")
            return
        yield from self._follow(name, job)

    def delete(self, name: str) -> Shown:
        try:
            self.desk.delete(name)
        except InKontextError as error:
            return self.shown(name, one_line(error), "error")
        return self.shown(None, f"the conversation “{name}” is deleted")

    def told(self, event: gr.EventData) -> dict[str, str]:
        """What went wrong in the browser, in the place where everything is told."""
        return views.message(str(event.text), "error")

    def use(self, name: str, references: list[dict[str, str]], event: gr.EventData) -> list[Any]:
        """A turn's picture as a reference, as the start of a new conversation, or for its settings."""
        same: list[Any] = [gr.skip()] * 2
        still: list[Any] = [gr.skip()] * _SETTINGS
        wanted = getattr(event, "as")
        try:
            file = self.desk.picture_file(name, int(event.turn))
            if wanted == "start":
                return [*self._begin(file, name, f"{name}-turn-{event.turn}"), *same, *still]
            if wanted == "settings":
                return [*self.shown(name), *same, *self._settings(recall(file))]
            references = [*references, self._reference(file)]
        except InKontextError as error:
            return [*self.shown(name, one_line(error), "error"), *same, *still]
        return [*self.shown(name, "added as a reference; name it to speak of it"), *_kept(references), *still]

    def add_references(self, files: list[str] | None, references: list[dict[str, str]]) -> list[Any]:
        added, told = list(references), views.message("")
        for file in map(Path, files or []):
            try:
                added.append(self._reference(file))
            except InKontextError as error:
                told = views.message(_without_path(error, file), "error")
        return [*_kept(added), told, None]

    def _reference(self, file: Path) -> dict[str, str]:
        return {"path": str(file), "name": "", "thumb": data_uri(self.desk.check(file).rgb, views.THUMB)}

    def rename(self, references: list[dict[str, str]], event: gr.EventData) -> list[Any]:
        name = str(event.name).strip().lstrip("@").lower().replace(" ", "-")
        return _kept([row | {"name": name} if n == event.number else row for n, row in enumerate(references)])

    def remove(self, references: list[dict[str, str]], event: gr.EventData) -> list[Any]:
        return _kept([row for n, row in enumerate(references) if n != event.number])

    def recall(self, file: str | None) -> list[Any]:
        try:
            found = recall(Path(file or ""))
        except InKontextError as error:
            return [views.message(_without_path(error, Path(file or "")), "error"), None, *[gr.skip()] * _SETTINGS]
        told = found.sentence(self.desk.pipeline.model["fingerprint"])
        return [views.message(told), None, *self._settings(found)]

    def _settings(self, found: Recalled) -> list[Any]:
        """In the order of `settings` in `wire`; the seed is locked, for that is what one recalls it for."""
        how, sampling = found.how, self.desk.pipeline.sampling
        guidance = how.guidance if how.guidance is not None else sampling.guidance or 1.0
        return [how.said or how.prompt, str(how.seed), True, how.steps or sampling.steps, how.solver or sampling.solver,
                guidance, how.true_cfg or 1, how.negative or "", how.size or MATCH, str(how.resolution or ""),
                str(how.context_resolution or ""), how.keep, how.anchor]  # fmt: skip

    def roll(self) -> list[Any]:
        return [str(secrets.randbelow(_DRAWS)), True]

    def cancel(self, name: str | None) -> None:
        if name:
            self.desk.cancel(name)

    def edit(
        self, drawn: str, name: str | None, references: list[dict[str, str]], written: str, mask: str | None,
        prompt: str, seed: str, locked: bool, steps: float, solver: str, guidance: float, true_cfg: float,
        negative: str, size: str, resolution: str, context_resolution: str, keep: bool, anchor: bool,
    ) -> Iterator[list[Any]]:  # fmt: skip
        """Begin an edit and show it until it ends. What was drawn goes when it is done, and stays when it failed."""
        stay: list[Any] = [gr.skip(), gr.skip(), gr.skip()]
        if name is None:
            yield [*self.shown(None, "there is no picture yet; choose one first", "error"), *stay]
            return
        guided = self.desk.pipeline.transformer.cfg.guidance_embed
        try:
            number = read_seed(seed) if locked else secrets.randbelow(_DRAWS)
            side, seen = read_side(resolution), read_side(context_resolution, "context_resolution")
        except InKontextError as error:
            yield [*self.shown(name, one_line(error), "error"), *stay]
            return
        stay[0] = str(number)
        wish = Wish(
            prompt=prompt, seed=number, steps=int(steps), guidance=guidance if guided else None,
            negative=negative or None, true_cfg=true_cfg if true_cfg > 1 else None, solver=solver, size=size,
            resolution=side, context_resolution=seen, keep=keep, anchor=anchor,
            references=[Reference(row["path"], row["name"] or None) for row in references],
            drawn=drawn, written=written, mask=mask,
        )  # fmt: skip
        try:
            job = self.desk.edit(name, wish)
        except InKontextError as error:
            yield [*self.shown(name, _without_path(error, Path(mask or "")), "error"), *stay]
            return
        for shown in self._follow(name, job):
            yield [*shown, *stay]
        if job.standing.phase == "done":
            yield [*[gr.skip()] * 5, str(number), "", None]

    def _follow(self, name: str, job: Job) -> Iterator[Shown]:
        shown = self.shown(name)
        for standing in job.follow():
            if not standing.ended:
                stage = views.busy(shown[1], standing, job.said)
                yield [gr.skip(), stage, gr.skip(), views.message(""), gr.skip()]
        yield self.shown(name, job.standing.told, "error" if job.standing.phase == "failed" else "")


def _kept(references: list[dict[str, str]]) -> list[Any]:
    """The state, and what the list shows of it; paths stay on this side."""
    return [references, [{k: row[k] for k in ("name", "thumb")} for row in references]]


def _without_path(error: InKontextError, file: Path) -> str:
    """An error's sentence with the name of an upload instead of the place where it lies here."""
    return one_line(error).replace(str(file), file.name) if file.name else one_line(error)
