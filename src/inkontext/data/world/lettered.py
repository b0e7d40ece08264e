"""Text edits: words change, are corrected, coloured, added, removed, or set in another font."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from inkontext.data.world.layout import CELLS, at_cell, new_sign
from inkontext.data.world.lettering import text_width
from inkontext.data.world.palette import alike, contrasting, legible
from inkontext.data.world.refer import describe, mention, quoted
from inkontext.data.world.scene import Scene, Sign, box_of, is_free
from inkontext.data.world.stock import Ask, Proposal
from inkontext.data.world.vocabulary import FONT_WORDS, PLACE_PHRASES, cell_of, colour_word

TextEdit = Callable[[Ask, Scene, Sign, str], Proposal | None]


def _fits(scene: Scene, sign: Sign) -> bool:
    return is_free(scene, box_of(sign), sign.id, gap=4)


def _kept_room(sign: Sign) -> Sign:
    """The sign with its present width held, so that a shorter word does not shrink the board."""
    return replace(sign, wide=max(sign.wide, text_width(sign.text, sign.font) * sign.size // 1000))


def change(ask: Ask, scene: Scene, sign: Sign, it: str) -> Proposal | None:
    """Another word in the same hand."""
    word = ask.stock.word(ask.dice, len(sign.text) + 1)
    word = word.upper() if sign.text.isupper() else word.lower() if sign.text.islower() else word.capitalize()
    new = replace(_kept_room(sign), text=word, meant="")
    if "\n" in sign.text or word.lower() == sign.text.lower() or abs(len(word) - len(sign.text)) > 2:
        return None
    if not _fits(scene, new):
        return None
    return ask.propose(
        "text change",
        scene,
        scene.swap(new),
        sign.id,
        "text",
        sign.text,
        word,
        it=it,
        old=quoted(sign.text, ask.words),
        new=quoted(word, ask.words),
    )


def correct(ask: Ask, scene: Scene, sign: Sign, it: str) -> Proposal | None:
    """The right spelling of a misspelt word."""
    new = replace(_kept_room(sign), text=sign.meant, meant="")
    if not sign.meant or not _fits(scene, new):
        return None
    return ask.propose(
        "text correct",
        scene,
        scene.swap(new),
        sign.id,
        "text",
        sign.text,
        sign.meant,
        it=it,
        old=quoted(sign.text, ask.words),
        new=quoted(sign.meant, ask.words),
    )


def recolour_letters(ask: Ask, scene: Scene, sign: Sign, it: str) -> Proposal | None:
    """Letters in another colour."""
    ink = ask.dice.pick(
        [c for c in ask.level.colours if legible(c, sign.colour) and not alike(c, sign.ink)] or [sign.ink]
    )
    if ink == sign.ink:
        return None
    return ask.propose(
        "text colour",
        scene,
        scene.swap(replace(sign, ink=ink)),
        sign.id,
        "ink",
        sign.ink,
        ink,
        it=it,
        old=quoted(sign.text, ask.words),
        new=colour_word(ink, ask.words),
    )


def font(ask: Ask, scene: Scene, sign: Sign, it: str) -> Proposal | None:
    """The same word in another font."""
    name = ask.dice.pick([f for f in ask.level.fonts if f != sign.font])
    new = replace(_kept_room(sign), font=name)
    if not _fits(scene, new):
        return None
    return ask.propose(
        "text font",
        scene,
        scene.swap(new),
        sign.id,
        "font",
        sign.font,
        name,
        it=it,
        old=quoted(sign.text, ask.words),
        new=ask.words.pick(FONT_WORDS[name]),
    )


def case(ask: Ask, scene: Scene, sign: Sign, it: str) -> Proposal | None:
    """Capitals or small letters."""
    upper = not sign.text.isupper()
    new = replace(_kept_room(sign), text=sign.text.upper() if upper else sign.text.lower())
    if not _fits(scene, new):
        return None
    how = ask.words.pick(("capital", "uppercase") if upper else ("small", "lowercase"))
    return ask.propose(
        "text case",
        scene,
        scene.swap(new),
        sign.id,
        "text",
        sign.text,
        new.text,
        it=it,
        old=quoted(sign.text, ask.words),
        new=how,
    )


def second_line(ask: Ask, scene: Scene, sign: Sign, it: str) -> Proposal | None:
    """A word below the one that is there."""
    if "\n" in sign.text:
        return None
    word = ask.stock.word(ask.dice, max(4, len(sign.text)))
    word = word.upper() if sign.text.isupper() else word
    new = replace(_kept_room(sign), text=f"{sign.text}\n{word}")
    if not _fits(scene, new):
        return None
    return ask.propose(
        "text below",
        scene,
        scene.swap(new),
        sign.id,
        "text",
        sign.text,
        new.text,
        it=it,
        old=quoted(sign.text, ask.words),
        new=quoted(word, ask.words),
    )


def wipe(ask: Ask, scene: Scene, sign: Sign, it: str) -> Proposal | None:
    """The word goes, its board stays."""
    new = replace(_kept_room(sign), text="")
    after = scene.swap(new) if sign.board != "letters" else scene.without(sign.id)
    return ask.propose(
        "text remove", scene, after, sign.id, "text", sign.text, "", it=it, old=quoted(sign.text, ask.words)
    )


def add_words(ask: Ask, scene: Scene) -> Proposal | None:
    """A new word in a free place, in a colour that is told."""
    dice = ask.dice
    new = replace(new_sign(dice, scene, ask.stock, 560), font="plain" if dice.chance(60) else "bold")
    board = "letters" if scene.background.kind == "plain" else "plate"
    colour = scene.background.colour if board == "letters" else new.colour
    ink = new.ink if legible(new.ink, colour) else contrasting(colour)
    new = replace(new, board=board, colour=colour, ink=ink, size=min(new.size, 66))
    new = replace(new, wide=text_width(new.text, new.font) * new.size // 1000)
    cell = dice.pick(CELLS)
    here = at_cell(new, cell)
    if cell_of(here.x, here.y) != cell or not is_free(scene, box_of(here)):
        return None
    where = ask.words.pick(PLACE_PHRASES[cell])
    if board == "plate":
        return ask.propose(
            "add",
            scene,
            scene.plus(here),
            here.id,
            "presence",
            "",
            here.text,
            new=describe(here, ask.words),
            where=where,
        )
    style = f"{'bold ' if here.font == 'bold' else ''}{colour_word(here.ink, ask.words)}"
    return ask.propose(
        "text add",
        scene,
        scene.plus(here),
        here.id,
        "presence",
        "",
        here.text,
        new=f"{quoted(here.text, ask.words)} in {style} letters",
        where=where,
    )


_TEXT_EDITS: Final[dict[str, TextEdit]] = {
    edit.__name__: edit for edit in (change, recolour_letters, font, case, second_line, wipe)
}


def text_edit(ask: Ask, scene: Scene) -> Proposal | None:
    """One edit of a sign of the scene, or a new one."""
    signs = [t for t in scene.things if isinstance(t, Sign)]
    if not signs or ask.dice.chance(ask.level.add_words_share):
        return add_words(ask, scene) if ask.level.add_words_share else None
    sign = ask.dice.pick(signs)
    said = mention(scene, sign, ask.words)
    if said is None or sum(isinstance(t, Sign) and t.text == sign.text for t in signs) > 1:
        return None
    if sign.meant and ask.dice.chance(70):
        return correct(ask, scene, sign, said.text)
    return _TEXT_EDITS[ask.dice.weighted(ask.level.text_edits)](ask, scene, sign, said.text)
