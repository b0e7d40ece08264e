"""Sampling base scenes: what there is, and where, without one thing touching another."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Final, TypeVar

from inkontext.data.world.dice import Dice
from inkontext.data.world.lettering import FONTS, text_width
from inkontext.data.world.palette import COLOURS, LIGHTS, PALE, alike, contrasting, legible, luma
from inkontext.data.world.places import PLACES, VARIANTS
from inkontext.data.world.scene import (
    GLASSES,
    HATS,
    MOODS,
    PATTERNS,
    POSES,
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
from inkontext.data.world.styles import COARSE, COLOUR_SAFE, STYLES
from inkontext.data.world.vocabulary import COLUMNS, ROWS, cell_of
from inkontext.data.world.words import misspelt

AnyThing = TypeVar("AnyThing", Shape, Figure, Sign, Sticker, Thing)

NAMES: Final = tuple(COLOURS)
FORM_NAMES: Final = tuple(FORMS)
PLACE_NAMES: Final = tuple(PLACES)
STYLED: Final = tuple(s for s in STYLES if s != "flat")
SIZES: Final = (95, 132, 172)  # half heights of shapes
SLOTS: Final = (130, 315, 500, 685, 870)  # where the things of a row stand
CELLS: Final = tuple((column, row) for row in range(3) for column in range(3))


def draw_colour(dice: Dice, avoid: Collection[str] = ()) -> str:
    """A colour that nobody takes for one of those to avoid."""
    return dice.pick([c for c in NAMES if not any(alike(c, other) for other in avoid)])


def draw_drawn(dice: Dice) -> Background:
    """A background of our own: plain, gradient, pattern or place."""
    kind = dice.weighted({"plain": 34, "gradient": 11, "pattern": 8, "place": 47})
    if kind == "place":
        return Background(dice.pick(PLACE_NAMES), variant=dice.below(VARIANTS))
    first = dice.pick(NAMES)
    if kind == "plain":
        return Background("plain", first)
    if kind == "gradient":
        return Background("gradient", first, draw_colour(dice, (first,)))
    # Both colours pale or both deep: a pattern behind things should not shout.
    calm = [c for c in NAMES if (c in PALE) == (first in PALE) and not alike(c, first)]
    return Background(dice.pick(PATTERNS[1:5]), first, dice.pick(calm))


def draw_background(dice: Dice, stock: Stock) -> Background:
    return stock.photo(dice) or draw_drawn(dice)


def _draw_scene(dice: Dice, stock: Stock, styled: bool = False) -> Scene:
    """An empty scene with its light, weather and style."""
    back = draw_background(dice, stock)
    outdoors = (back.kind in PLACES and back.kind not in ("room", "space")) or bool(back.photo)
    rare = 2 if back.photo else 1  # a photograph has light and weather of its own
    light = dice.pick(LIGHTS[1:]) if outdoors and dice.chance(22 // rare) else "day"
    weather = dice.pick(("rain", "snow", "fog")) if outdoors and dice.chance(14 // rare) else "clear"
    style = dice.pick(STYLED) if styled else dice.pick(COLOUR_SAFE) if dice.chance(9) else "flat"
    return Scene(back, light=light, weather=weather, style=style)


def colours_behind(scene: Scene) -> tuple[str, ...]:
    """Colours in which a thing would be hard to see on this background."""
    back = scene.background
    by_place = {"hills": ("green",), "sea": ("blue",), "forest": ("green",), "desert": ("orange",),
                "room": ("brown",), "city": ("grey",), "space": ("navy",),
                "mountains": ("grey", "green")}  # fmt: skip
    return by_place.get(back.kind, tuple(c for c in (back.colour, back.second) if c))


def stands_out(thing: Thing, scene: Scene) -> bool:
    """Whether the thing can be seen on that scene's background."""
    behind = colours_behind(scene)
    match thing:
        case Shape():
            return not any(alike(thing.paint.colour, c) for c in behind)
        case Figure():
            return not any(alike(thing.who.colour, c) for c in behind)
        case Sign():
            return thing.board != "letters" or all(legible(thing.ink, c) for c in behind)
        case Sticker():
            return True


def patterns_for(colour: str) -> tuple[str, ...]:
    """Patterns in which the colour keeps its name: black shading into white would be grey."""
    return PATTERNS[:-1] if colour in ("black", "grey", "white") else PATTERNS


def new_paint(dice: Dice, avoid: Collection[str]) -> Paint:
    colour = draw_colour(dice, avoid)
    pattern = dice.pick(patterns_for(colour)[1:]) if dice.chance(32) else "plain"
    expected = dice.chance(60) or pattern == "gradient"
    return Paint(colour, pattern, contrasting(colour) if expected else draw_colour(dice, (colour,)))


def new_shape(dice: Dice, scene: Scene, size: int = 0) -> Shape:
    """A shape that stands out from the background, its place still to be chosen."""
    paint = new_paint(dice, colours_behind(scene))
    outline = ""
    if dice.chance(40 if scene.background.photo else 10):
        outline = contrasting(paint.colour)
    return Shape(scene.next_id(), 500, 500, size or dice.pick(SIZES), dice.pick(FORM_NAMES), paint, outline)


def new_wear(dice: Dice, kinds: tuple[str, ...], avoid: Collection[str]) -> Wear:
    kind = dice.pick(kinds)
    return Wear(kind, dice.pick(("black", "red", "blue")) if kind.endswith("glasses") else draw_colour(dice, avoid))


def new_figure(dice: Dice, scene: Scene, stock: Stock, size: int = 0) -> Figure:
    """A character, now and then dressed up, in a colour that the background does not swallow."""
    behind = colours_behind(scene)
    who = stock.identity(dice)
    for _ in range(6):
        if not any(alike(who.colour, c) for c in behind):
            break
        who = stock.identity(dice)
    skin = (who.colour,)
    return Figure(
        scene.next_id(), 500, 560, size or dice.between(185, 265), who,
        hat=new_wear(dice, HATS, skin) if dice.chance(24) else Wear(),
        glasses=new_wear(dice, GLASSES, skin) if dice.chance(14) else Wear(),
        scarf=new_wear(dice, ("scarf",), skin) if dice.chance(14) else Wear(),
        mood=dice.pick(MOODS) if dice.chance(45) else "happy",
        pose=dice.pick(POSES),
    )  # fmt: skip


def new_sign(dice: Dice, scene: Scene, stock: Stock, widest: int = 860, slips: bool = False) -> Sign:
    """Words on a board, as large as fits into `widest`; with `slips` perhaps misspelt."""
    word = stock.word(dice)
    meant = ""
    if slips and len(word) > 3 and dice.chance(30):
        meant, word = word, misspelt(word, dice)
    font = dice.pick(tuple(FONTS)) if dice.chance(60) else "plain"
    board = dice.weighted({"sign": 24, "banner": 16, "plate": 24, "bubble": 20, "letters": 16})
    if scene.background.kind != "plain" and board == "letters":
        board = "plate"
    colour = scene.background.colour if board == "letters" else draw_colour(dice, colours_behind(scene))
    ink = contrasting(colour) if dice.chance(45) else dice.pick([c for c in NAMES if legible(c, colour)])
    if font in ("outlined", "dotted"):  # thin ink needs all the contrast there is
        ink = "white" if luma(colour) < 128 else "black"
    edges = {"banner": 1700, "letters": 0}.get(board, 800)  # what the board adds, as `half_extent` has it
    size = min(dice.pick((70, 84, 100)), (widest // 2 - 12) * 1000 // (text_width(word, font) + edges))
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
    if dice.chance(38):
        return new_figure(dice, scene, stock, 0 if crowd < 2 else dice.between(170, 205))
    return new_shape(dice, scene, 0 if crowd < 3 else dice.pick(SIZES[:2]))


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
    crowd = dice.weighted({1: 22, 2: 34, 3: 28, 4: 16})
    for _ in range(crowd):
        if here := settle(scene, new_thing(dice, scene, stock, crowd), dice):
            scene = scene.plus(here)
    if crowd > 1 and dice.chance(18):  # a twin in another colour, size or place asks for exact words
        scene = _with_twin(dice, scene)
    return scene


def _with_twin(dice: Dice, scene: Scene) -> Scene:
    shapes = [t for t in scene.things if isinstance(t, Shape)]
    if not shapes:
        return scene
    twin = replace(dice.pick(shapes), id=scene.next_id())
    if dice.chance(70):
        colour = draw_colour(dice, (*colours_behind(scene), twin.paint.colour))
        twin = replace(twin, paint=Paint(colour, twin.paint.pattern, contrasting(colour)))
    here = settle(scene, twin, dice)
    return scene.plus(here) if here else scene


def _group(dice: Dice, stock: Stock, scene: Scene) -> Scene:
    """A row of like shapes, and perhaps something else above or below."""
    one = replace(new_shape(dice, scene, 78), y=dice.pick(ROWS), outline="")
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
    if dice.chance(35) and (other := settle(scene, new_shape(dice, scene), dice)):
        scene = scene.plus(other)
    return scene


def _empty(dice: Dice, stock: Stock, scene: Scene) -> Scene:
    """A photograph or a landscape with nothing put into it."""
    if scene.background.photo or scene.background.kind in PLACES:
        return scene
    place = Background(dice.pick(PLACE_NAMES), variant=dice.below(VARIANTS))
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
