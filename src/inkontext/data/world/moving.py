"""Local edits that change where things are, how many and how large: add, remove, move, resize, count."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from inkontext.data.world.dice import Dice
from inkontext.data.world.layout import CELLS, SLOTS, at_cell, new_thing, told_size
from inkontext.data.world.local import Subject, name_of, outline, recolour, repattern, replace_thing, reshape
from inkontext.data.world.refer import describe, mention
from inkontext.data.world.scene import Figure, Scene, Shape, Sign, Thing, box_of, half_extent, is_free
from inkontext.data.world.stock import Ask, Proposal
from inkontext.data.world.vocabulary import NUMBERS, PLACE_PHRASES, cell_of, colour_word, noun, plural

_DIRECTIONS: Final = {"to the left": (-1, 0), "to the right": (1, 0), "up": (0, -1), "down": (0, 1)}
_BETWEEN: Final = 40  # between things that stand beside each other
_SHIFT: Final = 220  # how far "further to the left" is
BESIDE: Final[dict[str, tuple[str, ...]]] = {
    "left": ("to the left of", "left of"),
    "right": ("to the right of", "right of"),
    "above": ("above", "over"),
    "below": ("below", "under"),
}


def add(ask: Ask, scene: Scene) -> Proposal | None:
    """A new thing in a free ninth of the picture."""
    cell = ask.dice.pick(CELLS)
    here = at_cell(told_size(new_thing(ask.dice, scene, ask.stock, 2)), cell)
    if cell_of(here.x, here.y) != cell or not is_free(scene, box_of(here)):
        return None
    return _added(ask, scene, here, ask.words.pick(PLACE_PHRASES[cell]))


def add_beside(ask: Ask, scene: Scene, thing: Thing, it: str) -> Proposal | None:
    """A new thing next to one that is there."""
    found = free_side(scene, told_size(new_thing(ask.dice, scene, ask.stock, 2)), thing, ask.dice)
    return _added(ask, scene, found[0], f"{ask.words.pick(BESIDE[found[1]])} {it}") if found else None


def _added(ask: Ask, scene: Scene, here: Thing, where: str) -> Proposal:
    after, told = scene.plus(here), describe(here, ask.words)
    return ask.propose("add", scene, after, here.id, "presence", "", name_of(here), new=told, where=where)


def free_side(scene: Scene, new: Thing, other: Thing, dice: Dice) -> tuple[Thing, str] | None:
    """`new` next to `other` on a side with room, and which side that is."""
    x0, y0, x1, y1 = box_of(other)
    left, up, right, down = half_extent(new)
    spots = {
        "left": (x0 - _BETWEEN - right, other.y),
        "right": (x1 + _BETWEEN + left, other.y),
        "above": (other.x, y0 - _BETWEEN - down),
        "below": (other.x, y1 + _BETWEEN + up),
    }
    for side in dice.shuffled(tuple(spots)):
        here = replace(new, x=spots[side][0], y=spots[side][1])
        if is_free(scene, box_of(here)):
            return here, side
    return None


def remove(ask: Ask, scene: Scene, thing: Thing, it: str) -> Proposal | None:
    """The thing goes; what is behind it shows."""
    return ask.propose("remove", scene, scene.without(thing.id), thing.id, "presence", name_of(thing), "", it=it)


def move(ask: Ask, scene: Scene, thing: Thing, it: str) -> Proposal | None:
    """To the middle of another ninth of the picture."""
    now = cell_of(thing.x, thing.y)
    cell = ask.dice.pick([c for c in CELLS if c != now])
    here = at_cell(thing, cell)
    if cell_of(here.x, here.y) != cell or not is_free(scene, box_of(here), thing.id):
        return None
    if abs(here.x - thing.x) + abs(here.y - thing.y) < 160:
        return None
    return ask.propose(
        "move",
        scene,
        scene.swap(here),
        thing.id,
        "position",
        f"{thing.x},{thing.y}",
        f"{here.x},{here.y}",
        it=it,
        where=ask.words.pick(PLACE_PHRASES[cell]),
    )


def shift(ask: Ask, scene: Scene, thing: Thing, it: str) -> Proposal | None:
    """By about a fifth of the picture in one direction."""
    direction, (dx, dy) = ask.dice.pick(tuple(_DIRECTIONS.items()))
    here = replace(thing, x=thing.x + dx * _SHIFT, y=thing.y + dy * _SHIFT)
    if not is_free(scene, box_of(here), thing.id):
        return None
    return ask.propose(
        "shift",
        scene,
        scene.swap(here),
        thing.id,
        "position",
        f"{thing.x},{thing.y}",
        f"{here.x},{here.y}",
        it=it,
        direction=direction,
    )


def resize(ask: Ask, scene: Scene, thing: Thing, it: str) -> Proposal | None:
    """Half as large again, or five eighths."""
    grow = ask.dice.chance(72)  # for want of room it succeeds less often
    size = thing.size * 150 // 100 if grow else thing.size * 62 // 100
    if isinstance(thing, Sign) or size < (110 if isinstance(thing, Figure) else 52) or size > 330:
        return None
    here = replace(thing, size=size)
    if not is_free(scene, box_of(here), thing.id, gap=6):
        return None
    return ask.propose(
        "bigger" if grow else "smaller",
        scene,
        scene.swap(here),
        thing.id,
        "size",
        str(thing.size),
        str(size),
        it=it,
    )


def swap_places(ask: Ask, scene: Scene, thing: Thing, it: str) -> Proposal | None:
    """Two things change places."""
    others = [t for t in scene.things if t.id != thing.id]
    if not others:
        return None
    other = ask.dice.pick(others)
    said = mention(scene, other, ask.words)
    here, there = replace(thing, x=other.x, y=other.y), replace(other, x=thing.x, y=thing.y)
    after = scene.swap(here).swap(there)
    free = is_free(after, box_of(here), thing.id, gap=4) and is_free(after, box_of(there), other.id, gap=4)
    if said is None or not free or name_of(thing) == name_of(other):
        return None
    return ask.propose(
        "swap",
        scene,
        after,
        thing.id,
        "position",
        f"{thing.x},{thing.y}",
        f"{here.x},{here.y}",
        it=it,
        other=said.text,
    )


def rows_of(scene: Scene) -> list[Shape]:
    """The like shapes that stand in a row, or nothing."""
    for first in scene.things:
        if isinstance(first, Shape):
            like = [
                t for t in scene.things if isinstance(t, Shape) and replace(t, id=0, x=0) == replace(first, id=0, x=0)
            ]
            if len(like) > 1:
                return like
    return []


def count(ask: Ask, scene: Scene) -> Proposal | None:
    """More or fewer things in a row; they come and go at its right end."""
    row, dice = rows_of(scene), ask.dice
    if not row:
        return None
    n = dice.pick([k for k in range(2, 6) if k != len(row)])
    after = scene.without(*(t.id for t in row[n:]))
    for i in range(len(row), n):
        new = replace(row[0], id=after.next_id(), x=SLOTS[i])
        if not is_free(after, box_of(new), *(t.id for t in row), gap=8):
            return None
        after = after.plus(new)
    things = plural(f"{colour_word(row[0].paint.colour, ask.words)} {noun(row[0].form, ask.words)}")
    spell = (lambda k: NUMBERS[k]) if ask.words.chance(65) else str
    return ask.propose(
        "count",
        scene,
        after,
        row[0].id,
        "count",
        str(len(row)),
        str(n),
        things=things,
        n=spell(n),
        old=spell(len(row)),
    )


_SUBJECT_EDITS: Final[dict[str, Subject]] = {
    edit.__name__: edit
    for edit in (
        recolour, repattern, reshape, outline, replace_thing, add_beside, remove, move, shift, resize, swap_places,
    )
}  # fmt: skip


def subject_edit(ask: Ask, scene: Scene, thing: Thing, it: str) -> Proposal | None:
    """One of the level's edits of any thing."""
    return _SUBJECT_EDITS[ask.dice.weighted(ask.level.subject_edits)](ask, scene, thing, it)
