"""Edits with two or three references: a thing, a colour, a setting or a style goes from one to another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from inkontext.data.world.layout import CELLS, at_cell, colours_behind, draw_base, stands_out
from inkontext.data.world.moving import BESIDE, free_side
from inkontext.data.world.palette import alike
from inkontext.data.world.refer import mention
from inkontext.data.world.scene import Scene, Shape, Thing, box_of, is_free
from inkontext.data.world.stock import Ask, Edit, Proposal
from inkontext.data.world.vocabulary import PLACE_PHRASES, cell_of

Several = Callable[[Ask, Scene], Proposal | None]


def several_edit(ask: Ask, scene: Scene) -> Proposal | None:
    """One of the edits below, `scene` being the picture that is changed."""
    return _SEVERAL[ask.dice.weighted(ask.level.several)](ask, replace(scene, style="flat"))


def _source(ask: Ask) -> Scene:
    """A picture to take something from, in plain light and style."""
    scene = draw_base(ask.dice.pick(("objects", "character")), ask.dice, ask.stock)
    return replace(scene, light="day", weather="clear", style="flat")


def _propose(
    ask: Ask,
    kind: str,
    references: tuple[Scene, ...],
    base: int,
    after: Scene,
    subject: int,
    attribute: str,
    new: str,
    whole: bool = False,
    /,
    **slots: str,
) -> Proposal:
    text, template = ask.phrase(kind, slots)
    return Proposal(references, after, text, Edit(kind, subject, attribute, "", new, template), base, whole)


def _taken(ask: Ask, scene: Scene, source: Scene) -> tuple[Thing, str] | None:
    """A thing of the source with its mention, fit to be put into the scene."""
    thing = ask.dice.pick(source.things)
    said = mention(source, thing, ask.words)
    if said is None or not stands_out(thing, scene, ask.level):
        return None
    return replace(thing, id=scene.next_id(), size=min(thing.size, 200)), said.text


def _in_cell(ask: Ask, scene: Scene, thing: Thing) -> tuple[Thing, str] | None:
    cell = ask.dice.pick(CELLS)
    here = at_cell(thing, cell)
    if cell_of(here.x, here.y) != cell or not is_free(scene, box_of(here)):
        return None
    return here, ask.words.pick(PLACE_PHRASES[cell])


def put_beside(ask: Ask, scene: Scene) -> Proposal | None:
    """A thing of the first picture next to one of the second."""
    source = _source(ask)
    taken, other = _taken(ask, scene, source), ask.dice.pick(scene.things)
    said = mention(scene, other, ask.words)
    if taken is None or said is None:
        return None
    found = free_side(scene, taken[0], other, ask.dice)
    if found is None:
        return None
    here, side = found
    where, after = ask.words.pick(BESIDE[side]), scene.plus(here)
    return _propose(
        ask, "put beside", (source, scene), 1, after, here.id, "presence", side,
        it=taken[1], where=where, other=said.text,
    )  # fmt: skip


def put_into(ask: Ask, scene: Scene) -> Proposal | None:
    """A thing of the first picture in a free place of the second."""
    source = _source(ask)
    taken = _taken(ask, scene, source)
    found = _in_cell(ask, scene, taken[0]) if taken else None
    if taken is None or found is None:
        return None
    here, where = found
    return _propose(
        ask,
        "put into",
        (source, scene),
        1,
        scene.plus(here),
        here.id,
        "presence",
        where,
        it=taken[1],
        where=where,
    )


def put_both(ask: Ask, scene: Scene) -> Proposal | None:
    """One thing each of two pictures in a third."""
    first, second = _source(ask), _source(ask)
    scene = replace(scene, things=scene.things[:1])
    one = _taken(ask, scene, first)
    spot = _in_cell(ask, scene, one[0]) if one else None
    if one is None or spot is None:
        return None
    half = scene.plus(spot[0])
    two = _taken(ask, half, second)
    place = _in_cell(ask, half, two[0]) if two else None
    if two is None or place is None:
        return None
    return _propose(
        ask,
        "put both",
        (first, second, scene),
        2,
        half.plus(place[0]),
        spot[0].id,
        "presence",
        "two",
        it=one[1],
        where=spot[1],
        other=two[1],
        place=place[1],
    )


def take_colour(ask: Ask, scene: Scene) -> Proposal | None:
    """A shape of the first picture in the colour of a shape of the second."""
    source = _source(ask)
    ours = [t for t in scene.things if isinstance(t, Shape)]
    theirs = [t for t in source.things if isinstance(t, Shape)]
    if not ours or not theirs:
        return None
    ours, theirs = ask.dice.pick(ours), ask.dice.pick(theirs)
    it, other = mention(scene, ours, ask.words), mention(source, theirs, ask.words)
    new = theirs.paint.colour
    behind = (*colours_behind(scene, ask.level), ours.paint.colour, ours.paint.second)
    if it is None or other is None or theirs.paint.pattern != "plain" or any(alike(new, c) for c in behind):
        return None
    after = scene.swap(replace(ours, paint=replace(ours.paint, colour=new)))
    return _propose(ask, "take colour", (scene, source), 0, after, ours.id, "colour", new, it=it.text, other=other.text)


def take_setting(ask: Ask, scene: Scene) -> Proposal | None:
    """The things of the first picture before the background of the second."""
    source = _source(ask)
    after = replace(scene, background=source.background, light="day", weather="clear")
    if source.background == scene.background or not all(stands_out(t, after, ask.level) for t in scene.things):
        return None
    said = mention(scene, scene.things[0], ask.words) if len(scene.things) == 1 else None
    it = said.text if said else "everything"
    before = replace(scene, light="day", weather="clear")
    return _propose(
        ask, "take setting", (before, source), 0, after, 0, "background", source.background.kind, True, it=it
    )


def take_style(ask: Ask, scene: Scene) -> Proposal | None:
    """The first picture in the style of the second."""
    style = ask.dice.pick(ask.level.styles)
    source = replace(_source(ask), style=style)
    return _propose(ask, "take style", (scene, source), 0, replace(scene, style=style), 0, "style", style, True)


_SEVERAL: Final[dict[str, Several]] = {
    edit.__name__: edit for edit in (put_beside, put_into, put_both, take_colour, take_setting, take_style)
}
