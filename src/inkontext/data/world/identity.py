"""Who a character is: a combinatorial space of identities, part of it held out for testing."""

from __future__ import annotations

from dataclasses import dataclass, replace
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


@dataclass(frozen=True, slots=True)
class Bodies:
    """A space of identities. many_eyed: whether some kinds may have one eye or three. ears: how many styles of them.
    marked_share, tail_share: percentages."""

    kinds: tuple[str, ...]
    builds: tuple[str, ...]
    colours: tuple[str, ...]
    bellies: tuple[str, ...]
    markings: tuple[str, ...]
    eyes: tuple[str, ...]
    many_eyed: bool = True
    ears: int = 3
    marked_share: int = 60
    tail_share: int = 60


BODIES: Final = Bodies(KINDS, BUILDS, COLOURS, BELLIES, MARKINGS, EYES)

_ONE_TO_THREE: Final = frozenset({"monster", "alien", "robot"})
_TAILED: Final = frozenset({"monster", "cat", "bunny", "bird", "bear"})


def eye_counts(kind: str, bodies: Bodies = BODIES) -> tuple[int, ...]:
    return (1, 2, 2, 3) if bodies.many_eyed and kind in _ONE_TO_THREE else (2,)


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


def draw_identity(dice: Dice, split: str, bodies: Bodies = BODIES) -> Identity:
    """An identity of that split."""
    while True:
        kind, colour = dice.pick(bodies.kinds), dice.pick(bodies.colours)
        who = Identity(
            kind=kind,
            build=dice.pick(bodies.builds),
            colour=colour,
            belly=dice.pick([b for b in bodies.bellies if not b or not alike(b, colour)]),
            marking=dice.pick(bodies.markings) if bodies.markings and dice.chance(bodies.marked_share) else "",
            eyes=dice.pick(bodies.eyes),
            eye_count=dice.pick(eye_counts(kind, bodies)),
            ears=dice.below(bodies.ears),
            tail=kind in _TAILED and dice.chance(bodies.tail_share),
        )
        if is_test(who) == (split == "test"):
            return who


def recoloured(who: Identity, colour: str, split: str) -> Identity | None:
    """The same build in another colour, where that identity belongs to the split."""
    belly = who.belly if not who.belly or not alike(who.belly, colour) else ""
    new = replace(who, colour=colour, belly=belly)
    return new if is_test(new) == (split == "test") and belly == who.belly else None


def count_identities(bodies: Bodies = BODIES) -> tuple[int, int]:
    """How many identities there are for training and for testing."""
    train = test = 0
    for kind, build, colour in product(bodies.kinds, bodies.builds, bodies.colours):
        bellies = [b for b in bodies.bellies if not b or not alike(b, colour)]
        tails = (False, True) if kind in _TAILED and bodies.tail_share else (False,)
        rest = product(
            bellies,
            bodies.markings or ("",),
            bodies.eyes,
            sorted(set(eye_counts(kind, bodies))),
            range(bodies.ears),
            tails,
        )
        for belly, marking, eyes, count, ears, tail in rest:
            if is_test(Identity(kind, build, colour, belly, marking, eyes, count, ears, tail)):
                test += 1
            else:
                train += 1
    return train, test
