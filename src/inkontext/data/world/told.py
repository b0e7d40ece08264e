"""Scenes that words alone determine: for captions, new scenes of a character, and style references.

Layouts, sizes and places are the ones the words mean, so that the target is nearly fixed by them.
"""

from __future__ import annotations

from dataclasses import replace

from inkontext.data.world.layout import (
    CELLS,
    PLACE_NAMES,
    STYLED,
    at_cell,
    draw_drawn,
    new_figure,
    new_shape,
    new_sign,
    stands_out,
)
from inkontext.data.world.palette import LIGHTS
from inkontext.data.world.phrases import phrase
from inkontext.data.world.refer import caption, describe, mention, setting_phrase
from inkontext.data.world.scene import POSES, Figure, Scene, Shape, Sticker, Thing, box_of, is_free
from inkontext.data.world.stock import Ask, Edit, Proposal
from inkontext.data.world.vocabulary import PLACE_PHRASES, POSE_WORDS, cell_of, noun
from inkontext.data.world.weather import WEATHERS


def told_setting(ask: Ask) -> Scene:
    """An empty scene with the standard layout of its place."""
    dice, back = ask.dice, replace(draw_drawn(ask.dice), variant=0)
    outdoors = back.kind in PLACE_NAMES and back.kind not in ("room", "space")
    light = dice.pick(LIGHTS[1:]) if outdoors and dice.chance(35) else "day"
    weather = dice.pick(WEATHERS[1:]) if outdoors and dice.chance(20) else "clear"
    return Scene(back, light=light, weather=weather)


def placed(ask: Ask, scene: Scene, thing: Thing, tries: int = 8) -> Scene | None:
    """The scene with the thing in the middle of a free ninth; None where there is none."""
    for _ in range(tries):
        cell = ask.dice.pick(CELLS)
        if isinstance(thing, Figure) and scene.background.kind in PLACE_NAMES:
            cell = (cell[0], max(1, cell[1]))
        here = at_cell(replace(thing, id=scene.next_id()), cell)
        if cell_of(here.x, here.y) == cell and is_free(scene, box_of(here)):
            return scene.plus(here)
    return None


def told_thing(ask: Ask, scene: Scene) -> Thing:
    """A thing whose description says all there is to see."""
    dice = ask.dice
    if name := ask.stock.sticker(dice):
        return Sticker(0, 500, 500, 150, name)
    roll = dice.below(100)
    if roll < 34:
        who = new_figure(dice, scene, ask.stock, 215)
        return replace(who, who=replace(who.who, ears=who.who.ears))
    if roll < 50:
        return new_sign(dice, scene, ask.stock, 620)
    return new_shape(dice, scene)


def caption_only(ask: Ask) -> Proposal | None:
    """A picture from words alone."""
    dice, scene = ask.dice, told_setting(ask)
    for _ in range(dice.weighted({1: 35, 2: 45, 3: 20})):
        scene = placed(ask, scene, told_thing(ask, scene)) or scene
    if not scene.things:
        return None
    scene = replace(scene, style=dice.pick(STYLED) if dice.chance(28) else "flat")
    text, template = phrase("t2i", dice, ask.stock.split, {"scene": caption(scene, dice)})
    return Proposal((), scene, text, Edit("t2i", 0, "caption", "", "", template), base=-1, whole=True)


def same_character(ask: Ask, scene: Scene) -> Proposal | None:
    """The first character or sticker of the scene, somewhere else."""
    dice = ask.dice
    heroes = [t for t in scene.things if isinstance(t, Figure | Sticker)]
    if not heroes:
        return None
    hero = heroes[0]
    said = mention(scene, hero, dice)
    setting = told_setting(ask)
    if not stands_out(hero, setting):
        return None
    pose = dice.pick(POSES) if dice.chance(50) else ""
    changed = replace(hero, pose=pose) if isinstance(hero, Figure) and pose else hero
    after = placed(ask, setting, changed)
    if after is None or said is None:
        return None
    act = f"{dice.pick(POSE_WORDS[pose])}, " if isinstance(hero, Figure) and pose else ""
    here = after.things[0]
    words = f"{act}{dice.pick(PLACE_PHRASES[cell_of(here.x, here.y)])}, {setting_phrase(after, dice)}"
    if dice.chance(30) and (more := placed(ask, after, new_shape(dice, after))):
        other = more.things[-1]
        after = more
        words += f", with {describe(other, dice)} {dice.pick(PLACE_PHRASES[cell_of(other.x, other.y)])}"
    kind = noun(hero.who.kind, dice) if isinstance(hero, Figure) else hero.name
    text, template = phrase("character", dice, ask.stock.split, {"it": said.text, "kind": kind, "scene": words})
    edit = Edit("character", here.id, "identity", scene.background.kind, after.background.kind, template)
    return Proposal((scene,), after, text, edit, whole=True)


def same_style(ask: Ask, scene: Scene) -> Proposal | None:
    """New content in the style of the reference."""
    if scene.style == "flat":
        return None
    # Weather would hide the strokes that make the style.
    dice, after = ask.dice, replace(told_setting(ask), weather="clear")
    for _ in range(1 + dice.below(2)):
        thing = told_thing(ask, after)
        after = placed(ask, after, replace(thing, size=172) if isinstance(thing, Shape) else thing) or after
    if not after.things:
        return None
    after = replace(after, style=scene.style)
    text, template = phrase("style reference", dice, ask.stock.split, {"scene": caption(after, dice, style=False)})
    edit = Edit("style reference", 0, "manner", "", scene.style, template)
    return Proposal((scene,), after, text, edit, whole=True)
