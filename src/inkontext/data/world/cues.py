"""Edits whose subject is not named but marked: an ellipse, a box, an arrow or a cross on the reference."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from inkontext.cues.cue import INKS
from inkontext.data.world.dice import Dice
from inkontext.data.world.dressing import figure_edit
from inkontext.data.world.layout import CELLS, at_cell, colours_behind, new_thing, settle, told_size
from inkontext.data.world.lettered import change, recolour_letters, wipe
from inkontext.data.world.moving import subject_edit
from inkontext.data.world.palette import alike
from inkontext.data.world.refer import describe
from inkontext.data.world.scene import Box, Cue, Figure, Scene, Shape, Sign, Sticker, Thing, box_of, is_free
from inkontext.data.world.stock import Ask, Edit, Proposal

_ROOM: Final = 22  # between the thing and the marker around it


def cue_edit(ask: Ask, scene: Scene) -> Proposal | None:
    """A local edit whose subject is marked; more than one like it makes the mark needful."""
    dice = ask.dice
    if dice.chance(16) or not scene.things:
        return _add_inside(ask, scene)
    thing = dice.pick(scene.things)
    if dice.chance(55) and not isinstance(thing, Sign):
        twin = settle(scene, replace(thing, id=scene.next_id()), dice)
        scene = scene.plus(twin) if twin else scene
    cue = _mark(ask, scene, thing)
    if cue is None:
        return None
    it = _named(cue, ask.words)
    proposal = _edit(ask, scene, thing, it)
    if proposal is None or proposal.edit.kind == "swap":
        return None
    return replace(proposal, references=(replace(scene, cues=(cue,)),))


def _edit(ask: Ask, scene: Scene, thing: Thing, it: str) -> Proposal | None:
    if isinstance(thing, Sign) and thing.text and ask.dice.chance(65):
        return ask.dice.pick((change, change, recolour_letters, wipe))(ask, scene, thing, it)
    if isinstance(thing, Figure) and ask.dice.chance(ask.level.dress_share):
        return figure_edit(ask, scene, thing, it)
    return subject_edit(ask, scene, thing, it)


def _ink(ask: Ask, scene: Scene, thing: Thing | None) -> str:
    """A marker colour that is seen on the background and is not the thing's own."""
    avoid = [*colours_behind(scene, ask.level)]
    if isinstance(thing, Shape):
        avoid.append(thing.paint.colour)
    elif isinstance(thing, Figure):
        avoid.append(thing.who.colour)
    elif isinstance(thing, Sign):
        avoid.append(thing.colour)
    inks = [c for c in INKS if c in ask.level.colours and not any(alike(c, o) for o in avoid)]
    return ask.dice.pick(inks or ask.level.colours)


def _mark(ask: Ask, scene: Scene, thing: Thing) -> Cue | None:
    """A marker on the thing that comes near no other."""
    dice = ask.dice
    kind = dice.weighted({"ellipse": 38, "box": 32, "arrow": 30})
    ink = _ink(ask, scene, thing)
    x0, y0, x1, y1 = box_of(thing)
    if kind == "arrow":
        return _pointing(scene, thing, ink, dice)
    grow = _ROOM if kind == "box" or isinstance(thing, Shape | Sticker) else _ROOM * 2
    box = (max(12, x0 - grow), max(12, y0 - grow), min(988, x1 + grow), min(988, y1 + grow))
    others = replace(scene, things=tuple(t for t in scene.things if t.id != thing.id))
    return Cue(kind, ink, box) if is_free(others, box, gap=0) else None


def _pointing(scene: Scene, thing: Thing, ink: str, dice: Dice) -> Cue | None:
    """A level or upright arrow that ends at the thing, on a side with room."""
    x0, y0, x1, y1 = box_of(thing)
    x, y, near, far = thing.x, thing.y, 26, 170
    shafts: dict[str, Box] = {
        "left": (x0 - far, y, x0 - near, y),
        "right": (x1 + far, y, x1 + near, y),
        "above": (x, y0 - far, x, y0 - near),
        "below": (x, y1 + far, x, y1 + near),
    }
    for side in dice.shuffled(tuple(shafts)):
        a, b, c, d = shafts[side]
        around = (min(a, c) - 30, min(b, d) - 30, max(a, c) + 30, max(b, d) + 30)
        if is_free(scene, around, thing.id, gap=0):
            return Cue("arrow", ink, shafts[side])
    return None


def _named(cue: Cue, dice: Dice) -> str:
    """How the instruction speaks of what is marked."""
    if cue.kind == "arrow":
        return dice.pick(
            (
                f"the object the {cue.colour} arrow points at",
                "the object at the arrow",
                "what the arrow points at",
                "the marked object",
            )
        )
    shape = dice.pick({"ellipse": ("circle", "ellipse"), "box": ("box", "rectangle")}[cue.kind])
    return dice.pick(
        (
            f"the object in the {cue.colour} {shape}",
            f"the object inside the {shape}",
            "the marked object",
            f"what is in the {cue.colour} {shape}",
        )
    )


def _add_inside(ask: Ask, scene: Scene) -> Proposal | None:
    """Something new where an empty place is marked."""
    dice = ask.dice
    new = told_size(new_thing(dice, scene, ask.stock, 2))
    cell = dice.pick(CELLS)
    here = at_cell(new, cell)
    x0, y0, x1, y1 = box_of(here)
    box = (x0 - 14, y0 - 14, x1 + 14, y1 + 14)
    if not is_free(scene, box, gap=4):
        return None
    kind = dice.pick(("ellipse", "box", "cross"))
    ink = _ink(ask, scene, None)
    if kind == "cross":
        cue = Cue("cross", ink, (here.x - 55, here.y - 55, here.x + 55, here.y + 55))
        where = ask.words.pick((f"at the {ink} cross", "where the cross is", "at the marked place"))
    else:
        cue = Cue(kind, ink, box)
        shape = ask.words.pick({"ellipse": ("circle", "ellipse"), "box": ("box", "rectangle")}[kind])
        where = ask.words.pick((f"in the {ink} {shape}", f"inside the {shape}", "in the marked place"))
    text, template = ask.phrase("add", {"new": describe(here, ask.words), "where": where})
    edit = Edit("add", here.id, "presence", "", "thing", template)
    return Proposal((replace(scene, cues=(cue,)),), scene.plus(here), text, edit)
