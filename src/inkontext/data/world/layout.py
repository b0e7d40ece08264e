"""Sampling base scenes: what there is, and where, without one thing touching another."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Final, TypeVar

from inkontext.data.world.dice import Dice
from inkontext.data.world.lettering import text_width
from inkontext.data.world.levels import Level
from inkontext.data.world.palette import COLOURS, PALE, alike, contrasting, legible, luma
from inkontext.data.world.places import PLACES
from inkontext.data.world.scene import (
    Background,
    Figure,
    Paint,
    Scene,
    Shape,
    Sign,
    Sticker,
    Thing,
    Wear,
    box_of,
    half_extent,
    is_free,
)
from inkontext.data.world.shapes import FORMS
from inkontext.data.world.stock import Stock
from inkontext.data.world.styles import COARSE, COLOUR_SAFE
from inkontext.data.world.vocabulary import COLUMNS, ROWS, cell_of
from inkontext.data.world.words import misspelt

AnyThing = TypeVar("AnyThing", Shape, Figure, Sign, Sticker, Thing)

NAMES: Final = tuple(COLOURS)
FORM_NAMES: Final = tuple(FORMS)
PLACE_NAMES: Final = tuple(PLACES)
SLOTS: Final = (130, 315, 500, 685, 870)  # where the things of a row stand
CELLS: Final = tuple((column, row) for row in range(3) for column in range(3))


def draw_colour(dice: Dice, level: Level, avoid: Collection[str] = ()) -> str:
    """A colour that nobody takes for one of those to avoid."""
    return dice.pick([c for c in level.colours if not any(alike(c, other) for other in avoid)])


def draw_place(dice: Dice, level: Level) -> Background:
    return Background(dice.pick(level.places), variant=dice.below(level.variants))


def draw_drawn(dice: Dice, level: Level) -> Background:
    """A background of our own: plain, gradient, pattern or place."""
    kind = dice.weighted(level.backgrounds)
    if kind == "place":
        return draw_place(dice, level)
    first = dice.pick(level.colours)
    if kind == "plain":
        return Background("plain", first)
    if kind == "gradient":
        return Background("gradient", first, draw_colour(dice, level, (first,)))
    # Both colours pale or both deep: a pattern behind things should not shout.
    calm = [c for c in level.colours if (c in PALE) == (first in PALE) and not alike(c, first)]
    return Background(dice.pick([p for p in level.patterns[1:] if p != "gradient"]), first, dice.pick(calm))


def draw_background(dice: Dice, stock: Stock) -> Background:
    return stock.photo(dice) or draw_drawn(dice, stock.level)


def _draw_scene(dice: Dice, stock: Stock, styled: bool = False) -> Scene:
    """An empty scene with its light, weather and style."""
    back, level = draw_background(dice, stock), stock.level
    outdoors = (back.kind in PLACES and back.kind not in ("room", "space")) or bool(back.photo)
    rare = 2 if back.photo else 1  # a photograph has light and weather of its own
    light = dice.pick(level.lights[1:]) if outdoors and dice.chance(level.light_share // rare) else "day"
    weather = dice.pick(level.weathers[1:]) if outdoors and dice.chance(level.weather_share // rare) else "clear"
    if styled:
        style = dice.pick(level.styles)
    else:
        style = dice.pick(COLOUR_SAFE) if dice.chance(level.safe_style_share) else "flat"
    return Scene(back, light=light, weather=weather, style=style)


def colours_behind(scene: Scene, level: Level) -> tuple[str, ...]:
    """Colours in which a thing would be hard to see on this background."""
    back = scene.background
    return level.behind.get(back.kind, tuple(c for c in (back.colour, back.second) if c))


def stands_out(thing: Thing, scene: Scene, level: Level) -> bool:
    """Whether the thing can be seen on that scene's background."""
    behind = colours_behind(scene, level)
    match thing:
        case Shape():
            return not any(alike(thing.paint.colour, c) for c in behind)
        case Figure():
            return not any(alike(thing.who.colour, c) for c in behind)
        case Sign():
            return thing.board != "letters" or all(legible(thing.ink, c) for c in behind)
        case Sticker():
            return True


def patterns_for(colour: str, level: Level) -> tuple[str, ...]:
    """Patterns in which the colour keeps its name: black shading into white would be grey."""
    if colour in ("black", "grey", "white"):
        return tuple(p for p in level.patterns if p != "gradient")
    return level.patterns


def new_paint(dice: Dice, level: Level, avoid: Collection[str]) -> Paint:
    colour = draw_colour(dice, level, avoid)
    pattern = dice.pick(patterns_for(colour, level)[1:]) if dice.chance(level.pattern_share) else "plain"
    expected = dice.chance(level.usual_second_share) or pattern == "gradient"
    return Paint(colour, pattern, contrasting(colour) if expected else draw_colour(dice, level, (colour,)))


def new_shape(dice: Dice, scene: Scene, level: Level, size: int = 0) -> Shape:
    """A shape that stands out from the background, its place still to be chosen."""
    paint = new_paint(dice, level, colours_behind(scene, level))
    outline = ""
    if dice.chance(40 if scene.background.photo else level.outline_share):
        outline = contrasting(paint.colour)
    return Shape(scene.next_id(), 500, 500, size or dice.pick(level.sizes), dice.pick(level.forms), paint, outline)


def new_wear(dice: Dice, level: Level, kinds: tuple[str, ...], avoid: Collection[str]) -> Wear:
    kind = dice.pick(kinds)
    if kind.endswith("glasses"):
        return Wear(kind, dice.pick(("black", "red", "blue")))
    return Wear(kind, draw_colour(dice, level, avoid))


def new_figure(dice: Dice, scene: Scene, stock: Stock, size: int = 0) -> Figure:
    """A character, now and then dressed up, in a colour that the background does not swallow."""
    level, behind = stock.level, colours_behind(scene, stock.level)
    who = stock.identity(dice)
    for _ in range(6):
        if not any(alike(who.colour, c) for c in behind):
            break
        who = stock.identity(dice)
    skin = (who.colour,)
    return Figure(
        scene.next_id(), 500, 560, size or dice.between(*level.figure_sizes), who,
        hat=new_wear(dice, level, level.hats, skin) if dice.chance(level.hat_share) else Wear(),
        glasses=new_wear(dice, level, level.glasses, skin) if dice.chance(level.glasses_share) else Wear(),
        scarf=new_wear(dice, level, ("scarf",), skin) if dice.chance(level.scarf_share) else Wear(),
        mood=dice.pick(level.moods) if dice.chance(level.mood_share) else "happy",
        pose=dice.pick(level.poses),
    )  # fmt: skip


def new_sign(dice: Dice, scene: Scene, stock: Stock, widest: int = 860, slips: bool = False) -> Sign:
    """Words on a board, as large as fits into `widest`; with `slips` perhaps misspelt."""
    word, level = stock.word(dice), stock.level
    meant = ""
    if slips and len(word) > 3 and dice.chance(level.slip_share):
        meant, word = word, misspelt(word, dice)
    font = dice.pick(level.fonts) if dice.chance(level.font_share) else "plain"
    board = dice.weighted(level.boards)
    if scene.background.kind != "plain" and board == "letters":
        board = "plate"
    colour = scene.background.colour if board == "letters" else draw_colour(dice, level, colours_behind(scene, level))
    ink = contrasting(colour) if dice.chance(45) else dice.pick([c for c in level.colours if legible(c, colour)])
    if font in ("outlined", "dotted"):  # thin ink needs all the contrast there is
        ink = "white" if luma(colour) < 128 else "black"
    edges = {"banner": 1700, "letters": 0}.get(board, 800)  # what the board adds, as `half_extent` has it
    size = min(dice.pick(level.letter_sizes), (widest // 2 - 12) * 1000 // (text_width(word, font) + edges))
    wide = text_width(word, font) * size // 1000
    return Sign(scene.next_id(), 500, 500, size, word, font, ink, board, colour, wide, meant)


def told_size(thing: Thing) -> Thing:
    """The thing as large as an instruction means that does not speak of size."""
    match thing:
        case Figure():
            return replace(thing, size=190)
        case Sticker():
            return replace(thing, size=150)
        case _:
            return thing


def new_thing(dice: Dice, scene: Scene, stock: Stock, crowd: int = 1) -> Thing:
    """Any thing; the larger the crowd it joins, the smaller."""
    if name := stock.sticker(dice):
        return Sticker(scene.next_id(), 500, 500, dice.pick((120, 150, 190)) if crowd < 3 else 120, name)
    level = stock.level
    if dice.chance(level.figure_share):
        return new_figure(dice, scene, stock, 0 if crowd < 2 else dice.between(*level.crowded_figures))
    return new_shape(dice, scene, level, 0 if crowd < 3 else dice.pick(level.sizes[:-1]))


def at_cell(thing: AnyThing, cell: tuple[int, int], dx: int = 0, dy: int = 0) -> AnyThing:
    """The thing in that ninth of the picture, moved inwards where it would stick out."""
    left, up, right, down = half_extent(thing)
    x = max(left + 14, min(986 - right, COLUMNS[cell[0]] + dx))
    y = max(up + 14, min(986 - down, ROWS[cell[1]] + dy))
    return replace(thing, x=x, y=y)


def settle(scene: Scene, thing: AnyThing, dice: Dice, grounded: bool = True) -> AnyThing | None:
    """The thing at a free place; characters in a landscape keep to the ground."""
    for _ in range(10):
        cell = dice.pick(CELLS)
        if grounded and isinstance(thing, Figure) and scene.background.kind in PLACES:
            cell = (cell[0], 2 if cell[1] else 1)
        here = at_cell(thing, cell, dice.between(-60, 60), dice.between(-60, 60))
        if cell_of(here.x, here.y) == cell and is_free(scene, box_of(here)):
            return here
    return None


def _objects(dice: Dice, stock: Stock, scene: Scene) -> Scene:
    crowd = dice.weighted(stock.level.crowd)
    for _ in range(crowd):
        if here := settle(scene, new_thing(dice, scene, stock, crowd), dice):
            scene = scene.plus(here)
    if crowd > 1 and dice.chance(
        stock.level.twin_share
    ):  # a twin in another colour, size or place asks for exact words
        scene = _with_twin(dice, stock.level, scene)
    return scene


def _with_twin(dice: Dice, level: Level, scene: Scene) -> Scene:
    shapes = [t for t in scene.things if isinstance(t, Shape)]
    if not shapes:
        return scene
    twin = replace(dice.pick(shapes), id=scene.next_id())
    if dice.chance(70):
        colour = draw_colour(dice, level, (*colours_behind(scene, level), twin.paint.colour))
        twin = replace(twin, paint=Paint(colour, twin.paint.pattern, contrasting(colour)))
    here = settle(scene, twin, dice)
    return scene.plus(here) if here else scene


def _group(dice: Dice, stock: Stock, scene: Scene) -> Scene:
    """A row of like shapes, and perhaps something else above or below."""
    one = replace(new_shape(dice, scene, stock.level, 78), y=dice.pick(ROWS), outline="")
    row = tuple(replace(one, id=i + 1, x=x) for i, x in enumerate(SLOTS[: dice.between(2, 5)]))
    walls = tuple(replace(one, id=90 + i, x=x) for i, x in enumerate(SLOTS))
    others = [t for t in (settle(replace(scene, things=walls), new_thing(dice, scene, stock, 3), dice),) if t]
    scene = replace(scene, things=row)
    return scene.plus(replace(others[0], id=scene.next_id())) if others and dice.chance(60) else scene


def _signs(dice: Dice, stock: Stock, scene: Scene) -> Scene:
    """A sign, now and then a second one, and perhaps a thing beside it."""
    if scene.style in COARSE:  # letters would not survive its cells
        scene = replace(scene, style="flat")
    for _ in range(1 + dice.chance(25)):
        for _ in range(3):
            sign = new_sign(dice, scene, stock, slips=not scene.things)
            here = at_cell(sign, (1, dice.below(3)), dice.between(-90, 90), dice.between(-50, 50))
            if is_free(scene, box_of(here)):
                scene = scene.plus(here)
                break
    for _ in range(dice.below(3)):
        if here := settle(scene, new_thing(dice, scene, stock, 3), dice):
            scene = scene.plus(here)
    return scene


def _character(dice: Dice, stock: Stock, scene: Scene) -> Scene:
    """One character or sticker, large, with at most one thing beside it."""
    if name := stock.sticker(dice):
        hero: Thing = Sticker(1, 500, 500, dice.pick((180, 220)), name)
    else:
        hero = new_figure(dice, scene, stock, dice.between(215, 275))
    here = settle(scene, hero, dice) or at_cell(hero, (1, 1))
    scene = replace(scene, weather="clear", style="flat").plus(here)  # to be known again, it must be seen
    if dice.chance(35) and (other := settle(scene, new_shape(dice, scene, stock.level), dice)):
        scene = scene.plus(other)
    return scene


def _empty(dice: Dice, stock: Stock, scene: Scene) -> Scene:
    """A photograph or a landscape with nothing put into it."""
    if scene.background.photo or scene.background.kind in PLACES:
        return scene
    place = draw_place(dice, stock.level)
    return replace(scene, background=stock.photo(dice) or place)


THEMES: Final[dict[str, Callable[[Dice, Stock, Scene], Scene]]] = {
    "objects": _objects,
    "group": _group,
    "sign": _signs,
    "character": _character,
    "styled": _objects,
    "empty": _empty,
}


def draw_base(theme: str, dice: Dice, stock: Stock) -> Scene:
    """A base scene of that theme, with at least one thing in it where the theme is not "empty"."""
    while True:
        scene = THEMES[theme](dice, stock, _draw_scene(dice, stock, theme == "styled"))
        if scene.things or theme == "empty":
            return scene
