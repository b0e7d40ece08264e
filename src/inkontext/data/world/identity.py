"""Who a character is: a combinatorial space of identities, part of it held out for testing."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from itertools import product
from typing import Final

from inkontext.data.world.dice import Dice, held_out
from inkontext.data.world.palette import alike
from inkontext.data.world.scene import Identity

KINDS: Final[tuple[str, ...]] = ("monster", "robot", "cat", "bear", "bunny", "alien", "ghost", "bird", "frog")
BUILDS: Final[tuple[str, ...]] = ("round", "tall", "square", "pear")
COLOURS: Final[tuple[str, ...]] = (
    "red", "orange", "yellow", "lime", "green", "teal", "light blue", "blue",
    "purple", "pink", "brown", "grey", "white",
)  # fmt: skip
BELLIES: Final[tuple[str, ...]] = ("", "white", "yellow", "pink", "light blue")
MARKINGS: Final[tuple[str, ...]] = ("", "spots", "stripes", "patch")
EYES: Final[tuple[str, ...]] = ("dots", "round", "sleepy")
HELD_OUT_ONE_IN: Final = 10

_ONE_TO_THREE: Final = frozenset({"monster", "alien", "robot"})
_TAILED: Final = frozenset({"monster", "cat", "bunny", "bird", "bear"})


def eye_counts(kind: str) -> tuple[int, ...]:
    return (1, 2, 2, 3) if kind in _ONE_TO_THREE else (2,)


def key_of(who: Identity) -> str:
    """One line that spells the identity; its checksum decides the split."""
    return "/".join(
        map(str, (who.kind, who.build, who.colour, who.belly, who.marking, who.eyes, who.eye_count, who.ears,
                  int(who.tail)))
    )  # fmt: skip


@lru_cache(maxsize=65536)
def is_test(who: Identity) -> bool:
    """Whether this identity is kept for the test split."""
    return held_out(key_of(who), HELD_OUT_ONE_IN)


def draw_identity(dice: Dice, split: str) -> Identity:
    """An identity of that split."""
    while True:
        kind, colour = dice.pick(KINDS), dice.pick(COLOURS)
        who = Identity(
            kind=kind,
            build=dice.pick(BUILDS),
            colour=colour,
            belly=dice.pick([b for b in BELLIES if not b or not alike(b, colour)]),
            marking=dice.pick(MARKINGS) if dice.chance(60) else "",
            eyes=dice.pick(EYES),
            eye_count=dice.pick(eye_counts(kind)),
            ears=dice.below(3),
            tail=kind in _TAILED and dice.chance(60),
        )
        if is_test(who) == (split == "test"):
            return who


def recoloured(who: Identity, colour: str, split: str) -> Identity | None:
    """The same build in another colour, where that identity belongs to the split."""
    belly = who.belly if not who.belly or not alike(who.belly, colour) else ""
    new = replace(who, colour=colour, belly=belly)
    return new if is_test(new) == (split == "test") and belly == who.belly else None


def count_identities() -> tuple[int, int]:
    """How many identities there are for training and for testing."""
    train = test = 0
    for kind, build, colour in product(KINDS, BUILDS, COLOURS):
        bellies = [b for b in BELLIES if not b or not alike(b, colour)]
        tails = (False, True) if kind in _TAILED else (False,)
        rest = product(bellies, MARKINGS, EYES, sorted(set(eye_counts(kind))), range(3), tails)
        for belly, marking, eyes, count, ears, tail in rest:
            if is_test(Identity(kind, build, colour, belly, marking, eyes, count, ears, tail)):
                test += 1
            else:
                train += 1
    return train, test
