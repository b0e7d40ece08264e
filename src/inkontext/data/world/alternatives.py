"""What else might have been done: scenes to tell the right answer from wrong ones.

For every attribute an edit can change there is a list of scenes that differ from the target in that
attribute only: other colours, other words, the thing absent, another character, another style.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from inkontext.data.world.dice import Dice
from inkontext.data.world.dressing import dressed, worn
from inkontext.data.world.identity import draw_identity
from inkontext.data.world.layout import FORM_NAMES, NAMES, PLACE_NAMES, SLOTS, at_cell
from inkontext.data.world.lettering import FONTS
from inkontext.data.world.moving import rows_of
from inkontext.data.world.pair import Pair
from inkontext.data.world.palette import LIGHTS
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
)
from inkontext.data.world.styles import STYLES
from inkontext.data.world.weather import ADJUSTS, WEATHERS
from inkontext.data.world.words import draw_word, misspelt

_Variants = Callable[[Thing, Dice], list[Thing]]


def alternatives(pair: Pair) -> list[Scene]:
    """Scenes that differ from `pair.scene_after` in what the edit was about."""
    scene, edit, dice = pair.scene_after, pair.edit, Dice(3, pair.seed)
    if edit.attribute in _WHOLE:
        return _WHOLE[edit.attribute](scene, dice)
    if edit.attribute == "identity":
        return _portraits(scene, edit.subject, dice)
    if edit.attribute == "count":
        return _counts(scene, edit.subject)
    subject = next((t for t in scene.things if t.id == edit.subject), None)
    if subject is None:  # it was removed: the wrong answers still show it, or have lost something else
        return [scene.without(t.id) for t in scene.things]
    if edit.attribute in ("presence", "thing"):
        return [scene.without(subject.id), *(scene.swap(t) for t in _others(subject, dice))]
    return [scene.swap(t) for t in _VARIANTS[edit.attribute](subject, dice)]


def _others(thing: Thing, dice: Dice) -> list[Thing]:
    """Things of the same place and size that are not this one."""
    match thing:
        case Shape():
            return _colours(thing, dice)[::3] + _forms(thing, dice)[::3]
        case Figure():
            return _identities(thing, dice)
        case Sign():
            return _texts(thing, dice) + _inks(thing, dice)[::4]
        case Sticker():
            return [Shape(thing.id, thing.x, thing.y, thing.size, "circle", Paint(c)) for c in ("red", "grey")]


def _colours(thing: Thing, dice: Dice) -> list[Thing]:
    match thing:
        case Shape():
            return [replace(thing, paint=replace(thing.paint, colour=c)) for c in NAMES if c != thing.paint.colour]
        case Figure():
            return [replace(thing, who=replace(thing.who, colour=c)) for c in NAMES if c != thing.who.colour]
        case Sign():
            return [replace(thing, colour=c) for c in NAMES if c != thing.colour]
        case Sticker():
            return []


def _patterns(thing: Thing, dice: Dice) -> list[Thing]:
    assert isinstance(thing, Shape)
    kept = thing.paint
    return [replace(thing, paint=replace(kept, pattern=p)) for p in PATTERNS if p != kept.pattern]


def _forms(thing: Thing, dice: Dice) -> list[Thing]:
    assert isinstance(thing, Shape)
    return [replace(thing, form=f) for f in FORM_NAMES if f != thing.form]


def _outlines(thing: Thing, dice: Dice) -> list[Thing]:
    assert isinstance(thing, Shape)
    return [replace(thing, outline=c) for c in ("", *NAMES) if c != thing.outline]


def _positions(thing: Thing, dice: Dice) -> list[Thing]:
    there = [at_cell(thing, (column, row)) for column in range(3) for row in range(3)]
    return [t for t in there if abs(t.x - thing.x) + abs(t.y - thing.y) > 150]


def _sizes(thing: Thing, dice: Dice) -> list[Thing]:
    return [replace(thing, size=thing.size * part // 100) for part in (66, 150)]


def _worn(slot: str, kinds: tuple[str, ...]) -> _Variants:
    def variants(thing: Thing, dice: Dice) -> list[Thing]:
        assert isinstance(thing, Figure)
        now = worn(thing, slot)
        if not now.kind:
            return [dressed(thing, slot, Wear(kind, "red")) for kind in kinds]
        other = [Wear(kind, now.colour) for kind in kinds] + [Wear(now.kind, c) for c in NAMES[::2]]
        return [dressed(thing, slot, wear) for wear in (Wear(), *other) if wear != now]

    return variants


def _moods(thing: Thing, dice: Dice) -> list[Thing]:
    assert isinstance(thing, Figure)
    return [replace(thing, mood=m) for m in MOODS if m != thing.mood]


def _poses(thing: Thing, dice: Dice) -> list[Thing]:
    assert isinstance(thing, Figure)
    return [replace(thing, pose=p) for p in POSES if p != thing.pose]


def _inks(thing: Thing, dice: Dice) -> list[Thing]:
    assert isinstance(thing, Sign)
    return [replace(thing, ink=c) for c in NAMES if c not in (thing.ink, thing.colour)]


def _fonts(thing: Thing, dice: Dice) -> list[Thing]:
    assert isinstance(thing, Sign)
    return [replace(thing, font=f) for f in FONTS if f != thing.font]


def _texts(thing: Thing, dice: Dice) -> list[Thing]:
    """Other words, the empty board, and the right word with one slip."""
    assert isinstance(thing, Sign)
    words = [draw_word(dice, "train", 6) for _ in range(4)]
    words += [misspelt(thing.text, dice)] if len(thing.text) > 3 and "\n" not in thing.text else []
    words += [thing.text.split("\n")[0]] if "\n" in thing.text else [""]
    return [replace(thing, text=w) for w in words if w != thing.text]


def _identities(thing: Thing, dice: Dice) -> list[Thing]:
    """The same scene with somebody else: strangers, and near relations."""
    if not isinstance(thing, Figure):
        return _others(thing, dice)
    strangers = [replace(thing, who=draw_identity(dice, "train")) for _ in range(5)]
    return strangers + _colours(thing, dice)[::4]


def _portraits(scene: Scene, subject: int, dice: Dice) -> list[Scene]:
    """Somebody else, or the same one elsewhere."""
    hero = scene.thing(subject)
    moved = _positions(hero, dice)[::2]
    return [scene.swap(t) for t in _identities(hero, dice) + moved] + _backgrounds(scene, dice)[::3]


def _manners(scene: Scene, dice: Dice) -> list[Scene]:
    """Every other style of the same content, and other content in the same style."""
    return _styles(scene, dice) + [scene.swap(t) for thing in scene.things for t in _others(thing, dice)]


def _captions(scene: Scene, dice: Dice) -> list[Scene]:
    """One thing other than told, or absent, or elsewhere; another setting; another style."""
    out: list[Scene] = []
    for thing in scene.things:
        out += [scene.swap(t) for t in _others(thing, dice)]
        out += [scene.without(thing.id), *(scene.swap(t) for t in _positions(thing, dice)[::3])]
    return out + _backgrounds(scene, dice)[::3] + _styles(scene, dice)[::3]


def _counts(scene: Scene, subject: int) -> list[Scene]:
    """The row with one fewer and with one more."""
    row = rows_of(scene)
    more = replace(scene.thing(subject), id=scene.next_id(), x=SLOTS[min(len(row), len(SLOTS) - 1)])
    return [scene.without(row[-1].id if row else subject), scene.plus(more)]


def _backgrounds(scene: Scene, dice: Dice) -> list[Scene]:
    plain = [Background("plain", c) for c in NAMES]
    places = [Background(p) for p in PLACE_NAMES]
    return [replace(scene, background=b) for b in plain + places if b != scene.background]


def _lights(scene: Scene, dice: Dice) -> list[Scene]:
    return [replace(scene, light=v) for v in LIGHTS if v != scene.light]


def _weathers(scene: Scene, dice: Dice) -> list[Scene]:
    return [replace(scene, weather=v) for v in WEATHERS if v != scene.weather]


def _styles(scene: Scene, dice: Dice) -> list[Scene]:
    return [replace(scene, style=v) for v in STYLES if v != scene.style]


def _adjusts(scene: Scene, dice: Dice) -> list[Scene]:
    return [replace(scene, adjust=v) for v in ADJUSTS if v != scene.adjust]


_WHOLE: Final[dict[str, Callable[[Scene, Dice], list[Scene]]]] = {
    "caption": _captions,
    "manner": _manners,
    "background": _backgrounds,
    "light": _lights,
    "weather": _weathers,
    "style": _styles,
    "adjust": _adjusts,
}

_VARIANTS: Final[dict[str, _Variants]] = {
    "colour": _colours,
    "pattern": _patterns,
    "form": _forms,
    "outline": _outlines,
    "position": _positions,
    "size": _sizes,
    "hat": _worn("hat", HATS),
    "glasses": _worn("glasses", GLASSES),
    "scarf": _worn("scarf", ("scarf",)),
    "mood": _moods,
    "pose": _poses,
    "ink": _inks,
    "font": _fonts,
    "text": _texts,
}


def told_alternatives(pair: Pair) -> list[tuple[str, list[Scene]]]:
    """For every attribute that a caption tells: its name, and the target scene with that attribute wrong."""
    scene, dice = pair.scene_after, Dice(4, pair.seed)
    out = [(name, _WHOLE[name](scene, dice)) for name in ("background", "light", "weather", "style")]
    for thing in scene.things:
        out.append(("presence", [scene.without(thing.id)]))
        for name in _told(thing):
            variants = _others if name == "thing" else _identities if name == "identity" else _VARIANTS[name]
            out.append((name, [scene.swap(t) for t in variants(thing, dice)]))
    return [(name, scenes) for name, scenes in out if scenes]


def _told(thing: Thing) -> tuple[str, ...]:
    """What a description says of such a thing, beside that it is there."""
    match thing:
        case Shape():
            return ("position", "colour", "form", "pattern", "outline")
        case Figure():
            worn_now = tuple(slot for slot in ("hat", "glasses", "scarf") if worn(thing, slot).kind)
            return ("position", "colour", "identity", "mood", "pose", *worn_now)
        case Sign():
            board = () if thing.board == "letters" else ("colour",)
            return ("position", "text", "ink", "font", *board)
        case Sticker():
            return ("position", "thing")
