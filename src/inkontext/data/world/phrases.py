"""How people ask: templates for every kind of edit, those of the test split apart.

`[a|b|]` is a choice (possibly of nothing), `{slot}` is filled in. A template that opens with `*` is
a whole sentence; the others are commands, which `dress` may wrap in a polite or a casual form.
"""

from __future__ import annotations

import re
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


def phrase(kind: str, dice: Dice, split: str, slots: dict[str, str]) -> tuple[str, str]:
    """An instruction of that kind, and the template it was made from."""
    held = split == "test" and dice.chance(_HELD_SHARE)
    template = dice.pick((HELD if held else TRAIN)[kind])
    text = expand(template, dice, slots)
    if template.startswith("*"):
        return finish(text), template
    return dress(text, dice, held), template


def dress(text: str, dice: Dice, held: bool) -> str:
    """A command as it is, without its full stop, in small letters, or politely wrapped."""
    roll = dice.below(100)
    if roll < 48:
        return finish(text)
    if roll < 62:
        return text[0].upper() + text[1:]
    if roll < 72:
        return text[0].lower() + text[1:]
    manner = dice.pick(_HELD_MANNERS if held else _TRAIN_MANNERS)
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
