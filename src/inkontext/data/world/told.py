"""Scenes that words alone determine: for captions, new scenes of a character, and style references.

Layouts, sizes and places are the ones the words mean, so that the target is nearly fixed by them.
"""

from __future__ import annotations

from dataclasses import replace

from inkontext.data.world.layout import (
    CELLS,
    PLACE_NAMES,
    at_cell,
    draw_drawn,
    new_figure,
    new_shape,
    new_sign,
    stands_out,
)
from inkontext.data.world.refer import caption, describe, mention, setting_phrase
from inkontext.data.world.scene import Figure, Scene, Shape, Sticker, Thing, box_of, is_free
from inkontext.data.world.stock import Ask, Edit, Proposal
from inkontext.data.world.vocabulary import PLACE_PHRASES, POSE_WORDS, cell_of, noun


def told_setting(ask: Ask) -> Scene:
    """An empty scene with the standard layout of its place."""
    dice, level = ask.dice, ask.level
    back = replace(draw_drawn(dice, level), variant=0)
    outdoors = back.kind in PLACE_NAMES and back.kind not in ("room", "space")
    light = dice.pick(level.lights[1:]) if outdoors and dice.chance(level.told_light_share) else "day"
    weather = dice.pick(level.weathers[1:]) if outdoors and dice.chance(level.told_weather_share) else "clear"
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
    kind = dice.weighted(ask.level.told)
    if kind == "figure":
        return new_figure(dice, scene, ask.stock, 215)
    if kind == "sign":
        return new_sign(dice, scene, ask.stock, 620)
    return new_shape(dice, scene, ask.level)


def caption_only(ask: Ask) -> Proposal | None:
    """A picture from words alone."""
    dice, scene = ask.dice, told_setting(ask)
    for _ in range(dice.weighted(ask.level.told_crowd)):
        scene = placed(ask, scene, told_thing(ask, scene)) or scene
    if not scene.things:
        return None
    scene = replace(scene, style=dice.pick(ask.level.styles) if dice.chance(ask.level.told_style_share) else "flat")
    text, template = ask.phrase("t2i", {"scene": caption(scene, ask.words)})
    return Proposal((), scene, text, Edit("t2i", 0, "caption", "", "", template), base=-1, whole=True)


def same_character(ask: Ask, scene: Scene) -> Proposal | None:
    """The first character or sticker of the scene, somewhere else."""
    dice, words = ask.dice, ask.words
    heroes = [t for t in scene.things if isinstance(t, Figure | Sticker)]
    if not heroes:
        return None
    hero = heroes[0]
    said = mention(scene, hero, words)
    setting = told_setting(ask)
    if not stands_out(hero, setting, ask.level):
        return None
    pose = dice.pick(ask.level.poses) if dice.chance(ask.level.new_pose_share) else ""
    changed = replace(hero, pose=pose) if isinstance(hero, Figure) and pose else hero
    after = placed(ask, setting, changed)
    if after is None or said is None:
        return None
    act = f"{words.pick(POSE_WORDS[pose])}, " if isinstance(hero, Figure) and pose else ""
    here = after.things[0]
    told = f"{act}{words.pick(PLACE_PHRASES[cell_of(here.x, here.y)])}, {setting_phrase(after, words)}"
    if dice.chance(ask.level.company_share) and (more := placed(ask, after, new_shape(dice, after, ask.level))):
        other = more.things[-1]
        after = more
        told += f", with {describe(other, words)} {words.pick(PLACE_PHRASES[cell_of(other.x, other.y)])}"
    kind = noun(hero.who.kind, words) if isinstance(hero, Figure) else hero.name
    text, template = ask.phrase("character", {"it": said.text, "kind": kind, "scene": told})
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
    text, template = ask.phrase("style reference", {"scene": caption(after, ask.words, style=False)})
    edit = Edit("style reference", 0, "manner", "", scene.style, template)
    return Proposal((scene,), after, text, edit, whole=True)
