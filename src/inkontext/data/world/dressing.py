"""Local edits of characters: what they wear, how they feel, what they do."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from inkontext.data.world.layout import new_wear
from inkontext.data.world.local import Subject
from inkontext.data.world.palette import alike
from inkontext.data.world.refer import wear_words
from inkontext.data.world.scene import (
    Figure,
    Scene,
    Thing,
    Wear,
    box_of,
    is_free,
)
from inkontext.data.world.stock import Ask, Proposal
from inkontext.data.world.vocabulary import MOOD_WORDS, colour_word

_DOING: Final[dict[str, tuple[str, ...]]] = {
    "down": ("lower its arms", "put its arms down"),
    "up": ("raise both arms", "put both arms up"),
    "wave": ("wave", "wave with one hand"),
}


def worn(figure: Figure, slot: str) -> Wear:
    return {"hat": figure.hat, "glasses": figure.glasses, "scarf": figure.scarf}[slot]


def dressed(figure: Figure, slot: str, wear: Wear) -> Figure:
    """The figure with `wear` in that slot."""
    match slot:
        case "hat":
            return replace(figure, hat=wear)
        case "glasses":
            return replace(figure, glasses=wear)
        case _:
            return replace(figure, scarf=wear)


def _slot(ask: Ask, figure: Figure, full: bool) -> str:
    """A slot that is taken, or one that is not; empty where there is none."""
    slots = [s for s in ask.level.worn if bool(worn(figure, s).kind) == full]
    return ask.dice.pick(slots) if slots else ""


def wear(ask: Ask, scene: Scene, thing: Thing, it: str) -> Proposal | None:
    """A hat, glasses or a scarf for a character without."""
    if not isinstance(thing, Figure) or not (slot := _slot(ask, thing, False)):
        return None
    kinds = {"hat": ask.level.hats, "glasses": ask.level.glasses, "scarf": ("scarf",)}[slot]
    new = new_wear(ask.dice, ask.level, kinds, (thing.who.colour,))
    after = dressed(thing, slot, new)
    if not is_free(scene, box_of(after), thing.id, gap=0):
        return None
    return ask.propose(
        "wear",
        scene,
        scene.swap(after),
        thing.id,
        slot,
        "",
        f"{new.colour} {new.kind}",
        it=it,
        new=wear_words(new, ask.words),
    )


def unwear(ask: Ask, scene: Scene, thing: Thing, it: str) -> Proposal | None:
    """Off with the hat, the glasses or the scarf."""
    if not isinstance(thing, Figure) or not (slot := _slot(ask, thing, True)):
        return None
    old = worn(thing, slot)
    return ask.propose(
        "unwear",
        scene,
        scene.swap(dressed(thing, slot, Wear())),
        thing.id,
        slot,
        f"{old.colour} {old.kind}",
        "",
        it=it,
        old=old.kind,
    )


def rewear(ask: Ask, scene: Scene, thing: Thing, it: str) -> Proposal | None:
    """Another colour for what the character wears."""
    if not isinstance(thing, Figure) or not (slot := _slot(ask, thing, True)):
        return None
    old = worn(thing, slot)
    colour = ask.dice.pick(
        [c for c in ask.level.colours if not alike(c, old.colour) and not alike(c, thing.who.colour)]
    )
    after = scene.swap(dressed(thing, slot, Wear(old.kind, colour)))
    return ask.propose(
        "rewear",
        scene,
        after,
        thing.id,
        slot,
        f"{old.colour} {old.kind}",
        f"{colour} {old.kind}",
        it=it,
        old=old.kind,
        new=colour_word(colour, ask.words),
    )


def mood(ask: Ask, scene: Scene, thing: Thing, it: str) -> Proposal | None:
    """Another expression."""
    if not isinstance(thing, Figure):
        return None
    new = ask.dice.pick([m for m in ask.level.moods if m != thing.mood])
    return ask.propose(
        "mood",
        scene,
        scene.swap(replace(thing, mood=new)),
        thing.id,
        "mood",
        thing.mood,
        new,
        it=it,
        new=ask.words.pick(MOOD_WORDS[new]),
    )


def pose(ask: Ask, scene: Scene, thing: Thing, it: str) -> Proposal | None:
    """Another position of the arms."""
    if not isinstance(thing, Figure):
        return None
    new = ask.dice.pick([p for p in ask.level.poses if p != thing.pose])
    return ask.propose(
        "pose",
        scene,
        scene.swap(replace(thing, pose=new)),
        thing.id,
        "pose",
        thing.pose,
        new,
        it=it,
        new=ask.words.pick(_DOING[new]),
    )


_FIGURE_EDITS: Final[dict[str, Subject]] = {edit.__name__: edit for edit in (wear, unwear, rewear, mood, pose)}


def figure_edit(ask: Ask, scene: Scene, thing: Thing, it: str) -> Proposal | None:
    """One of the level's edits of characters."""
    return _FIGURE_EDITS[ask.dice.weighted(ask.level.figure_edits)](ask, scene, thing, it)
