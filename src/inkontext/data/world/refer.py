"""Saying which thing is meant, and describing things and scenes.

A mention carries the facts it relies on, so that a test can count what else they fit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from inkontext.data.world.dice import Dice
from inkontext.data.world.palette import contrasting
from inkontext.data.world.scene import Figure, Paint, Scene, Shape, Sign, Sticker, Thing, Wear
from inkontext.data.world.vocabulary import (
    CLASSES,
    LIGHT_WORDS,
    MOOD_WORDS,
    PATTERN_WORDS,
    PLACE_PHRASES,
    PLACE_WORDS,
    POSE_WORDS,
    STYLE_WORDS,
    WEATHER_WORDS,
    a,
    cell_of,
    colour_word,
    noun,
)

Facts = dict[str, str]

# Which facts to name together, plainest first.
_MIXES: Final[tuple[tuple[str, ...], ...]] = (
    ("noun",),
    ("colour", "noun"),
    ("class",),
    ("colour", "class"),
    ("pattern", "noun"),
    ("size", "noun"),
    ("noun", "text"),
    ("noun", "wear"),
    ("noun", "feature"),
    ("noun", "place"),
    ("colour", "pattern", "noun"),
    ("size", "colour", "noun"),
    ("colour", "noun", "feature"),
    ("colour", "noun", "wear"),
    ("class", "place"),
    ("colour", "noun", "place"),
    ("colour", "pattern", "noun", "place"),
    ("size", "colour", "noun", "place"),
)


@dataclass(frozen=True, slots=True)
class Mention:
    """A phrase such as "the red star", and the facts that single the thing out."""

    text: str
    facts: tuple[tuple[str, str], ...]


def facts_of(thing: Thing) -> Facts:
    """What can be said of a thing; keys absent do not apply."""
    place = "/".join(map(str, cell_of(thing.x, thing.y)))
    match thing:
        case Shape():
            size = "small" if thing.size <= 100 else "big" if thing.size >= 165 else "medium"
            return {"class": "shape", "noun": thing.form, "colour": thing.paint.colour,
                    "pattern": thing.paint.pattern, "size": size, "place": place}  # fmt: skip
        case Figure():
            worn = next((w for w in (thing.hat, thing.glasses, thing.scarf) if w.kind), None)
            size = "small" if thing.size <= 200 else "big" if thing.size >= 245 else "medium"
            out = {"class": "creature", "noun": thing.who.kind, "colour": thing.who.colour, "size": size,
                   "feature": _feature(thing), "place": place}  # fmt: skip
            return out | ({"wear": worn.kind} if worn else {})
        case Sign():
            out = {"noun": thing.board, "text": thing.text, "place": place}
            if thing.board == "letters":
                return out | {"class": "writing"}
            return out | {"colour": thing.colour} | ({} if thing.board == "bubble" else {"class": "board"})
        case Sticker():
            return {"class": "sticker", "noun": thing.name, "place": place}


def _feature(figure: Figure) -> str:
    who = figure.who
    if who.eye_count != 2:
        return f"{who.eye_count} eyes"
    return who.marking if who.marking else "belly " + who.belly if who.belly else ""


def fits(facts: tuple[tuple[str, str], ...], thing: Thing) -> bool:
    """Whether all the facts are true of the thing."""
    own = facts_of(thing)
    return all(own.get(key) == value for key, value in facts)


def mention(scene: Scene, thing: Thing, dice: Dice) -> Mention | None:
    """A phrase that fits this thing and no other of the scene; None where there is none."""
    own = facts_of(thing)
    good: list[tuple[tuple[str, str], ...]] = []
    for mix in _MIXES:
        if any(not own.get(key) for key in mix) or (own.get("size") == "medium" and "size" in mix):
            continue
        facts = tuple((key, own[key]) for key in mix)
        if sum(fits(facts, t) for t in scene.things) == 1:
            good.append(facts)
            if len(good) == 4:
                break
    if not good:
        return None
    chosen = good[0] if dice.chance(45) else dice.pick(good)
    return Mention(_phrase(dict(chosen), thing, dice), chosen)


def _phrase(facts: Facts, thing: Thing, dice: Dice) -> str:
    words = ["the"]
    if "size" in facts:
        words.append(dice.pick(("small", "little") if facts["size"] == "small" else ("big", "large")))
    if "colour" in facts:
        words.append(colour_word(facts["colour"], dice))
    if "pattern" in facts:
        words.append(dice.pick(PATTERN_WORDS[facts["pattern"]]))
    words.append(noun(facts["noun"], dice) if "noun" in facts else dice.pick(CLASSES[facts["class"]]))
    if "feature" in facts:
        words.append(_feature_words(facts["feature"]))
    if "wear" in facts:
        words.append(dice.pick(("with the ", "wearing the ")) + facts["wear"])
    if "text" in facts:
        words.append(dice.pick(("that says ", "saying ", "that reads ")) + quoted(facts["text"], dice))
    if "place" in facts:
        column, row = map(int, facts["place"].split("/"))
        words.append(dice.pick(PLACE_PHRASES[column, row]))
    return " ".join(words)


def _feature_words(feature: str) -> str:
    if feature.startswith("belly"):
        return f"with {a(feature.removeprefix('belly '))} belly"
    return {"1 eyes": "with one eye", "3 eyes": "with three eyes", "patch": "with a patch on its eye"}.get(
        feature, f"with {feature}"
    )


def quoted(text: str, dice: Dice) -> str:
    mark = "'" if dice.chance(45) and "'" not in text else '"'
    return mark + text.replace("\n", " ") + mark


def paint_words(paint: Paint, dice: Dice) -> str:
    """The colour, with the pattern and its second colour where they are not as expected."""
    first = colour_word(paint.colour, dice)
    if paint.pattern == "plain":
        return first
    way = dice.pick(PATTERN_WORDS[paint.pattern])
    if paint.second == contrasting(paint.colour) and dice.chance(50):
        return f"{first} {way}"
    return f"{first} and {colour_word(paint.second, dice)} {way}"


def describe(thing: Thing, dice: Dice) -> str:
    """An indefinite description, e.g. "a small red striped star"."""
    match thing:
        case Shape():
            size = "small " if thing.size <= 100 else "big " if thing.size >= 165 else ""
            line = f" with a {thing.outline} outline" if thing.outline else ""
            return a(f"{size}{paint_words(thing.paint, dice)} {noun(thing.form, dice)}{line}")
        case Figure():
            return _describe_figure(thing, dice)
        case Sign():
            return _describe_sign(thing, dice)
        case Sticker():
            return a(thing.name)


def _describe_sign(sign: Sign, dice: Dice) -> str:
    font = "" if sign.font == "plain" else f"{sign.font} "
    words, ink = quoted(sign.text, dice), colour_word(sign.ink, dice)
    if sign.board == "letters":
        return dice.pick((f"the word {words} in {font}{ink} letters", f"{font}{ink} letters that say {words}"))
    board = a(f"{colour_word(sign.colour, dice)} {noun(sign.board, dice)}")
    return f"{board} that says {words} in {font}{ink} letters"


def _describe_figure(figure: Figure, dice: Dice) -> str:
    who = figure.who
    mood = "" if figure.mood == "happy" and dice.chance(70) else dice.pick(MOOD_WORDS[figure.mood]) + " "
    build = {"round": "round", "tall": "tall", "square": "square", "pear": "pear-shaped"}[who.build]
    text = a(f"{mood}{build} {colour_word(who.colour, dice)} {noun(who.kind, dice)}")
    extra = [_feature_words(f)[5:] for f in _marks(figure)]
    text += " with " + " and ".join(extra) if extra else ""
    worn = [wear_words(w, dice) for w in (figure.hat, figure.glasses, figure.scarf) if w.kind]
    text += ", wearing " + " and ".join(worn) if worn else ""
    return text + ("" if figure.pose == "down" else f", {dice.pick(POSE_WORDS[figure.pose])}")


def _marks(figure: Figure) -> list[str]:
    who = figure.who
    marks = [f"{who.eye_count} eyes"] if who.eye_count != 2 else []
    marks += [who.marking] if who.marking else []
    return marks + ([f"belly {who.belly}"] if who.belly else [])


def wear_words(wear: Wear, dice: Dice) -> str:
    """What is worn: "a red top hat", "blue sunglasses"."""
    colour = colour_word(wear.colour, dice)
    return f"{colour} {wear.kind}" if wear.kind.endswith("glasses") else a(f"{colour} {wear.kind}")


def setting_phrase(scene: Scene, dice: Dice) -> str:
    """Where the scene is, with light and weather: "in a forest at night"."""
    back = scene.background
    if back.kind in PLACE_WORDS:
        place = dice.pick(PLACE_WORDS[back.kind])
        where = f"{'on' if place.endswith('street') else 'at' if back.kind == 'sea' else 'in'} {place}"
        where = f"among {place}" if place == "green hills" else where
    else:
        where = f"on {a(backdrop_words(scene, dice))} background"
    light = "" if scene.light == "day" else " " + dice.pick(LIGHT_WORDS[scene.light])
    weather = "" if scene.weather == "clear" else " " + dice.pick(WEATHER_WORDS[scene.weather])
    return where + light + weather


def backdrop_words(scene: Scene, dice: Dice) -> str:
    """An abstract background without its article: "plain red", "blue to white gradient"."""
    back = scene.background
    first, second = colour_word(back.colour, dice), colour_word(back.second, dice) if back.second else ""
    if back.kind == "plain":
        return f"plain {first}" if dice.chance(60) else first
    if back.kind == "gradient":
        return f"{first} to {second} gradient"
    return f"{first} and {second} {dice.pick(PATTERN_WORDS[back.kind])}"


def caption(scene: Scene, dice: Dice, style: bool = True, named: Callable[[Thing], str] | None = None) -> str:
    """The whole scene in one phrase: things with places, the setting, and the style if it is not flat."""
    tell = named or (lambda thing: describe(thing, dice))
    parts = [f"{tell(t)} {dice.pick(PLACE_PHRASES[cell_of(t.x, t.y)])}" for t in scene.things]
    text = _listed(parts) + ", " + setting_phrase(scene, dice)
    if style and scene.style != "flat":
        text += ", " + dice.pick(("in the style of ", "as ", "drawn as ")) + dice.pick(STYLE_WORDS[scene.style])
    return text


def _listed(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " and " + parts[-1]
