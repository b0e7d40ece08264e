"""Chains of edits over one scene: two things are changed in turn, a character looks on and stays as it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from PIL import Image

from inkontext.data.world.dice import Dice
from inkontext.data.world.layout import draw_base
from inkontext.data.world.local import recolour, repattern
from inkontext.data.world.refer import mention
from inkontext.data.world.render import change_mask, difference, render
from inkontext.data.world.scene import Figure, Scene, Shape, Sign, Thing
from inkontext.data.world.stock import Ask, Edit, Stock

_LASTING: Final = 12  # draws for a phrase that fits whatever colour the thing has by then
_CLEAR: Final = 0.25  # of the picture; things that change more than this leave too little to measure
_SEEN: Final = 0.01  # of the picture that the character covers at least


@dataclass(frozen=True, slots=True)
class Turn:
    """One edit of a chain.

    scene: what the picture should then show. target: that, drawn. mask: bool `[H, W]`, where it may differ from the
    turn before. instruction, edit: what is asked.
    """

    instruction: str
    edit: Edit
    scene: Scene
    target: Image.Image
    mask: np.ndarray


@dataclass(frozen=True, slots=True)
class Chain:
    """A first picture and the edits that follow each other.

    first: the picture, with its scene. hero: number of the character that nobody asks anything of.
    silhouette: bool `[H, W]`, the pixels it covers.
    """

    seed: int
    size: int
    scene: Scene
    first: Image.Image
    hero: int
    silhouette: np.ndarray
    turns: tuple[Turn, ...]

    def untouched(self, turn: int) -> np.ndarray:
        """Bool `[H, W]`: outside every mask up to that turn, counted from 1."""
        return ~np.any([t.mask for t in self.turns[:turn]], axis=0)


def sample_chain(seed: int, turns: int, size: int, split: str = "test") -> Chain:
    """The chain of that seed, the same on every machine."""
    dice, stock = Dice(5, seed), Stock(split)
    while True:
        scene = draw_base("objects", dice, stock)
        figures = [t for t in scene.things if isinstance(t, Figure)]
        others = [t for t in scene.things if isinstance(t, Shape) or (isinstance(t, Sign) and t.board != "letters")]
        if scene.style != "flat" or not figures or len(others) < 2:
            continue
        names = [_lasting(scene, thing, dice) for thing in others[:2]]
        if None in names:
            continue
        first = render(scene, size)
        silhouette = np.asarray(difference(first, render(scene.without(figures[0].id), size))) > 0
        # The edits have dice of their own.
        asked = _turns(Ask(Dice(6, seed), stock), scene, first, others[:2], names, turns)
        if asked is None or silhouette.mean() < _SEEN:
            continue
        chain = Chain(seed, size, scene, first, figures[0].id, silhouette, asked)
        touched = ~chain.untouched(turns)
        if touched.mean() <= _CLEAR and not (touched & silhouette).any():
            return chain


def _lasting(scene: Scene, thing: Thing, dice: Dice) -> str | None:
    """A phrase for the thing that stays true when colours and patterns change; None where none was drawn."""
    for _ in range(_LASTING):
        said = mention(scene, thing, dice)
        if said is not None and not {"colour", "pattern"} & {name for name, _ in said.facts}:
            return said.text
    return None


def _turns(
    ask: Ask, scene: Scene, picture: Image.Image, things: Sequence[Thing], names: Sequence[str | None], count: int
) -> tuple[Turn, ...] | None:
    """The two things in turn recoloured or given another pattern; None where one of them allows neither."""
    out = []
    for number in range(count):
        name = names[number % 2]
        thing = scene.thing(things[number % 2].id)
        assert name is not None
        kinds = (repattern, recolour) if isinstance(thing, Shape) and ask.dice.chance(30) else (recolour,)
        proposal = kinds[0](ask, scene, thing, name)
        if proposal is None:
            return None
        scene = replace(proposal.after, cues=())
        target = render(scene, picture.width)
        mask = np.asarray(change_mask(difference(picture, target))) > 0
        out.append(Turn(proposal.instruction, proposal.edit, scene, target, mask))
        picture = target
    return tuple(out)
