"""How people ask: templates for every kind of edit, those of the test split apart.

`[a|b|]` is a choice (possibly of nothing), `{slot}` is filled in. A template that opens with `*` is
a whole sentence; the others are commands, which `dress` may wrap in a polite or a casual form.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from inkontext.data.world.dice import Dice
from inkontext.data.world.templates import TRAIN
from inkontext.data.world.templates_held import HELD

_CHOICE: Final = re.compile(r"\[([^\]]*)\]")
_HELD_SHARE: Final = 50  # percent of test pairs that use held-out phrasings

_TRAIN_MANNERS: Final = (
    "Please {x}.", "{x}, please.", "Could you {x}?", "Can you {x}?", "I want you to {x}.", "Let's {x}.",
)  # fmt: skip
_HELD_MANNERS: Final = (
    "Kindly {x}.",
    "It would be great if you could {x}.",
    "Would you {x} for me?",
    "Now {x}!",
)


@dataclass(frozen=True, slots=True)
class Speech:
    """How freely people ask. templates: the first so many of a kind, 0 for all. manners, held_manners: what commands
    are wrapped in; without any, each is a plain sentence. usual: everything is called by its usual name."""

    templates: int = 0
    manners: tuple[str, ...] = _TRAIN_MANNERS
    held_manners: tuple[str, ...] = _HELD_MANNERS
    usual: bool = False


SPEECH: Final = Speech()


@lru_cache(maxsize=2048)
def _parsed(template: str) -> tuple[tuple[str, ...], ...]:
    """The template as a row of choices; fixed text is a choice of one."""
    return tuple(
        tuple(part.split("|")) if i % 2 else (part,) for i, part in enumerate(_CHOICE.split(template.lstrip("*")))
    )


def expand(template: str, dice: Dice, slots: dict[str, str]) -> str:
    """The template with its choices made and its slots filled."""
    text = "".join(part[0] if len(part) == 1 else dice.pick(part) for part in _parsed(template))
    return " ".join(text.format_map(slots).split()).replace(" ,", ",")


def templates_of(kind: str, held: bool, speech: Speech = SPEECH) -> tuple[str, ...]:
    """The templates that speech allows for that kind."""
    known = (HELD if held else TRAIN)[kind]
    return known[: speech.templates] if speech.templates else known


def phrase(
    kind: str, dice: Dice, split: str, slots: dict[str, str], speech: Speech = SPEECH, words: Dice | None = None
) -> tuple[str, str]:
    """An instruction of that kind, and the template it was made from.

    words: what chooses among the words of the template, where it is not `dice`, which chooses the template.
    """
    held = split == "test" and dice.chance(_HELD_SHARE)
    template = dice.pick(templates_of(kind, held, speech))
    text = expand(template, words or dice, slots)
    if template.startswith("*"):
        return finish(text), template
    return dress(text, dice, speech.held_manners if held else speech.manners), template


def dress(text: str, dice: Dice, manners: tuple[str, ...]) -> str:
    """A command as it is, without its full stop, in small letters, or politely wrapped."""
    if not manners:
        return finish(text)
    roll = dice.below(100)
    if roll < 48:
        return finish(text)
    if roll < 62:
        return text[0].upper() + text[1:]
    if roll < 72:
        return text[0].lower() + text[1:]
    manner = dice.pick(manners)
    return finish(manner.format(x=text[0].lower() + text[1:]))


def finish(text: str) -> str:
    """With a capital in front and a stop at the end."""
    text = text[0].upper() + text[1:]
    return text if text[-1] in ".?!" else text + "."


def count_phrasings() -> tuple[int, int]:
    """How many forms the templates open up, for training and held out, slots not counted."""
    totals = []
    for table, manners in ((TRAIN, _TRAIN_MANNERS), (HELD, _HELD_MANNERS)):
        total = 0
        for template in (t for templates in table.values() for t in templates):
            ways = 1
            for part in _parsed(template):
                ways *= len(part)
            total += ways * (1 if template.startswith("*") else 3 + len(manners))
        totals.append(total)
    return totals[0], totals[1]
