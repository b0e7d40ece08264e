"""Local edits that change a thing where it is: colour, pattern, form, outline, or all of it.

Every edit is a function (ask, scene, thing, it) -> Proposal or None: `it` is the phrase that names
the thing ("the red star", or "the marked object" under a visual cue); None means that the edit
does not suit this thing, and another is tried.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from inkontext.data.world.identity import recoloured
from inkontext.data.world.layout import colours_behind, new_thing, patterns_for
from inkontext.data.world.palette import alike, contrasting, legible
from inkontext.data.world.refer import describe, paint_words
from inkontext.data.world.scene import Figure, Paint, Scene, Shape, Sign, Sticker, Thing, box_of, is_free
from inkontext.data.world.stock import Ask, Proposal
from inkontext.data.world.vocabulary import PATTERN_NOUNS, PATTERN_WORDS, a, colour_word, noun

Subject = Callable[[Ask, Scene, Thing, str], Proposal | None]


def recolour(ask: Ask, scene: Scene, thing: Thing, it: str) -> Proposal | None:
    """Another colour for a shape, a character or a board."""
    dice, behind = ask.dice, colours_behind(scene, ask.level)
    old = _colour(thing)
    kept = (thing.paint.second,) if isinstance(thing, Shape) and thing.paint.pattern != "plain" else ()
    fit = [c for c in ask.level.colours if not any(alike(c, o) for o in (old, *kept, *behind))]
    if isinstance(thing, Sign):
        fit = [c for c in fit if legible(thing.ink, c)]
    if not old or not fit:
        return None
    new = dice.pick(fit)
    match thing:
        case Shape():
            changed: Thing = replace(thing, paint=replace(thing.paint, colour=new))
        case Figure():
            who = recoloured(thing.who, new, ask.stock.split) if new not in ("black", "navy") else None
            if who is None:
                return None
            changed = replace(thing, who=who)
        case Sign():
            changed = replace(thing, colour=new)
        case _:
            return None
    after = scene.swap(changed)
    return ask.propose("recolour", scene, after, thing.id, "colour", old, new, it=it, new=colour_word(new, ask.words))


def _colour(thing: Thing) -> str:
    """The colour people call it by; empty for a sticker and for letters without a board."""
    match thing:
        case Shape():
            return thing.paint.colour
        case Figure():
            return thing.who.colour
        case Sign() if thing.board != "letters":
            return thing.colour
        case _:
            return ""


def repattern(ask: Ask, scene: Scene, thing: Thing, it: str) -> Proposal | None:
    """Another pattern; a second colour is named where it is not the expected one."""
    if not isinstance(thing, Shape):
        return None
    dice, paint = ask.dice, thing.paint
    pattern = dice.pick([p for p in patterns_for(paint.colour, ask.level) if p != paint.pattern])
    second = contrasting(paint.colour)
    if pattern in PATTERN_NOUNS and dice.chance(55):
        second = dice.pick([c for c in ask.level.colours if not alike(c, paint.colour)])
        after = scene.swap(replace(thing, paint=Paint(paint.colour, pattern, second)))
        marks = f"{colour_word(second, ask.words)} {ask.words.pick(PATTERN_NOUNS[pattern])}"
        return ask.propose("stripes", scene, after, thing.id, "pattern", paint.pattern, pattern, it=it, new=marks)
    new = Paint(paint.colour, pattern, second)
    whole = paint_words(new, ask.words)
    if pattern == "plain":
        words = ask.words.pick(("plain", f"solid {whole}"))
    else:
        words = whole if ask.words.chance(50) else ask.words.pick(PATTERN_WORDS[pattern])
    after = scene.swap(replace(thing, paint=new))
    return ask.propose("repattern", scene, after, thing.id, "pattern", paint.pattern, pattern, it=it, new=words)


def reshape(ask: Ask, scene: Scene, thing: Thing, it: str) -> Proposal | None:
    """Another form with the same paint."""
    if not isinstance(thing, Shape):
        return None
    near = {
        "circle": ("oval", "ring"),
        "oval": ("circle", "cloud"),
        "cloud": ("flower", "oval"),
        "flower": ("cloud", "circle"),
        "ring": ("circle",),
        "square": ("hexagon",),
        "hexagon": ("circle", "square"),
    }.get(thing.form, ())
    form = ask.dice.pick([f for f in ask.level.forms if f != thing.form and f not in near])
    after = scene.swap(replace(thing, form=form))
    return ask.propose("reshape", scene, after, thing.id, "form", thing.form, form, it=it, new=a(noun(form, ask.words)))


def outline(ask: Ask, scene: Scene, thing: Thing, it: str) -> Proposal | None:
    """A thick outline around a shape that has none."""
    if not isinstance(thing, Shape) or thing.outline:
        return None
    colour = ask.dice.pick(
        [
            c
            for c in ask.level.colours
            if not any(alike(c, o) for o in (thing.paint.colour, *colours_behind(scene, ask.level)))
        ]
    )
    changed = replace(thing, outline=colour)
    if not is_free(scene, box_of(changed), thing.id, gap=4):
        return None
    return ask.propose(
        "outline",
        scene,
        scene.swap(changed),
        thing.id,
        "outline",
        "",
        colour,
        it=it,
        new=colour_word(colour, ask.words),
    )


def replace_thing(ask: Ask, scene: Scene, thing: Thing, it: str) -> Proposal | None:
    """Something else at the same place, of about the same size."""
    new = new_thing(ask.dice, scene, ask.stock)
    if isinstance(new, Shape) and isinstance(thing, Shape) and new.form == thing.form:
        return None
    if isinstance(new, Sticker) and isinstance(thing, Sticker) and new.name == thing.name:
        return None
    for size in (thing.size * 12 // 10, thing.size, thing.size * 7 // 10, 150, 115):
        floor = 150 if isinstance(new, Figure) else 90
        here = replace(new, id=thing.id, x=thing.x, y=thing.y, size=max(size, floor))
        if is_free(scene, box_of(here), thing.id):
            told = describe(replace(here, size=132) if isinstance(here, Shape) else here, ask.words)
            return ask.propose(
                "replace",
                scene,
                scene.swap(here),
                thing.id,
                "thing",
                name_of(thing),
                name_of(here),
                it=it,
                new=told,
            )
    return None


def name_of(thing: Thing) -> str:
    match thing:
        case Shape():
            return f"{thing.paint.colour} {thing.form}"
        case Figure():
            return f"{thing.who.colour} {thing.who.kind}"
        case Sign():
            return thing.text
        case Sticker():
            return thing.name
