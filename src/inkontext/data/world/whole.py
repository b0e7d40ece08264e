"""Global edits: background, light, weather, style, and adjustments of the whole picture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from inkontext.data.world.layout import PLACE_NAMES, colours_behind, draw_drawn
from inkontext.data.world.palette import alike
from inkontext.data.world.refer import backdrop_words
from inkontext.data.world.scene import Figure, Scene, Shape
from inkontext.data.world.stock import Ask, Proposal
from inkontext.data.world.vocabulary import PLACE_WORDS, STYLE_WORDS, a

WholeEdit = Callable[[Ask, Scene], Proposal | None]


def _outdoors(scene: Scene) -> bool:
    return bool(scene.background.photo) or (
        scene.background.kind in PLACE_NAMES and (scene.background.kind not in ("room", "space"))
    )


def background(ask: Ask, scene: Scene) -> Proposal | None:
    """A plain colour, a gradient, a pattern or a place behind the things."""
    new = replace(draw_drawn(ask.dice, ask.level), variant=0)
    after = replace(scene, background=new, light="day")
    shown = [t.paint.colour for t in scene.things if isinstance(t, Shape)]
    shown += [t.who.colour for t in scene.things if isinstance(t, Figure)]
    if not scene.things or any(alike(c, b) for c in shown for b in colours_behind(after, ask.level)):
        return None
    if (scene.light != "day" and new.kind in PLACE_NAMES) or new == replace(scene.background, variant=0):
        return None
    if new.kind in PLACE_NAMES:
        words = ask.words.pick(PLACE_WORDS[new.kind])
        return ask.propose("place", scene, after, 0, "background", scene.background.kind, new.kind, new=words)
    told = backdrop_words(after, ask.words)
    words = (
        f"{ask.words.pick(('plain', 'solid'))} {told.removeprefix('plain ')}"
        if new.kind == "plain"
        else a(told)
        if new.kind == "gradient"
        else a(told + " pattern")
    )
    return ask.propose(
        "background",
        scene,
        replace(after, light=scene.light),
        0,
        "background",
        scene.background.kind,
        new.kind,
        new=words,
    )


def light(ask: Ask, scene: Scene) -> Proposal | None:
    """Another time of day; a photograph, whose light nobody knows, only gets darker."""
    if not _outdoors(scene):
        return None
    new = ask.dice.pick([v for v in ask.level.lights if v != scene.light])
    if new == "night" and any(isinstance(t, Shape) and t.paint.colour in ask.level.lost_at_night for t in scene.things):
        return None
    return ask.propose(new, scene, replace(scene, light=new), 0, "light", scene.light, new)


def weather(ask: Ask, scene: Scene) -> Proposal | None:
    """Rain, snow or fog comes, or goes."""
    if not _outdoors(scene):
        return None
    if scene.weather != "clear":
        return ask.propose(
            "clear",
            scene,
            replace(scene, weather="clear"),
            0,
            "weather",
            scene.weather,
            "clear",
            old=scene.weather,
        )
    new = ask.dice.pick(ask.level.weathers[1:])
    return ask.propose(new, scene, replace(scene, weather=new), 0, "weather", "clear", new)


def style(ask: Ask, scene: Scene) -> Proposal | None:
    """The picture in a style, or, where it has one already, in none."""
    old = scene.style
    if old != "flat":
        if scene.background.photo:
            return None
        return ask.propose(
            "unstyle",
            scene,
            replace(scene, style="flat"),
            0,
            "style",
            old,
            "flat",
            new=ask.words.pick(STYLE_WORDS["flat"]),
        )
    new = ask.dice.pick(ask.level.styles)
    return ask.propose(
        "style", scene, replace(scene, style=new), 0, "style", old, new, new=ask.words.pick(STYLE_WORDS[new])
    )


def adjust(ask: Ask, scene: Scene) -> Proposal | None:
    """Brightness, colour, sharpness, or a reflection."""
    new = ask.dice.pick(ask.level.adjusts)
    return ask.propose(new, scene, replace(scene, adjust=new), 0, "adjust", "none", new)


_WHOLE_EDITS: Final[dict[str, WholeEdit]] = {
    edit.__name__: edit for edit in (background, light, weather, style, adjust)
}


def whole_edit(ask: Ask, scene: Scene) -> Proposal | None:
    """One edit of the whole picture."""
    proposal = _WHOLE_EDITS[ask.dice.weighted(ask.level.whole_edits)](ask, scene)
    return replace(proposal, whole=True) if proposal else None
