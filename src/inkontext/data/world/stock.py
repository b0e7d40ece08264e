"""What a split may draw from: identities, words, phrasings, and pictures from outside."""

from __future__ import annotations

from dataclasses import dataclass

from inkontext.data.world.dice import Dice, Usual
from inkontext.data.world.identity import draw_identity
from inkontext.data.world.levels import LEVELS, Level
from inkontext.data.world.outside import CROPS, Outside
from inkontext.data.world.phrases import phrase
from inkontext.data.world.scene import Background, Identity, Scene
from inkontext.data.world.words import draw_word

_PHOTO_SHARE = 45  # percent of scenes over a photograph, where there are photographs
_STICKER_SHARE = 40  # percent of new things that are stickers, where there are stickers
_USUAL = Usual()


@dataclass(frozen=True, slots=True)
class Stock:
    """The supplies of one split at one level."""

    split: str
    outside: Outside | None = None
    level: Level = LEVELS[3]

    def identity(self, dice: Dice) -> Identity:
        return draw_identity(dice, self.split, self.level.bodies)

    def word(self, dice: Dice, longest: int | None = None) -> str:
        """A word of at most `longest` letters, or as long as those of new signs."""
        usual, most = self.level.letters
        longest = usual if longest is None else min(longest, most)
        return draw_word(dice, self.split, longest, self.level.letter_cases)

    def sticker(self, dice: Dice) -> str:
        """A sticker's name, or nothing when this thing should be drawn."""
        names = self.outside.sticker_names(self.split) if self.outside else ()
        return dice.pick(names) if names and dice.chance(_STICKER_SHARE) else ""

    def photo(self, dice: Dice) -> Background | None:
        """A photograph as background, or None when this scene should have a drawn one."""
        names = self.outside.photo_names(self.split) if self.outside else ()
        if not names or not dice.chance(_PHOTO_SHARE):
            return None
        return Background("photo", variant=dice.below(CROPS), photo=dice.pick(names))


@dataclass(frozen=True, slots=True)
class Edit:
    """What was asked, in terms a program can check.

    subject: number of the thing, 0 for the whole picture. attribute: what of it changes. old, new:
    the values. template: the phrasing used.
    """

    kind: str
    subject: int
    attribute: str
    old: str
    new: str
    template: str


@dataclass(frozen=True, slots=True)
class Proposal:
    """An edit of a base scene before it is drawn.

    references: the scenes given as context; base: which of them the target continues, -1 for none.
    whole: whether every pixel may change.
    """

    references: tuple[Scene, ...]
    after: Scene
    instruction: str
    edit: Edit
    base: int = 0
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Ask:
    """The dice and supplies of one instruction."""

    dice: Dice
    stock: Stock

    @property
    def level(self) -> Level:
        return self.stock.level

    @property
    def words(self) -> Dice:
        """What chooses among words for the same thing: the dice, or, where everything has one name, habit."""
        return _USUAL if self.stock.level.speech.usual else self.dice

    def phrase(self, kind: str, slots: dict[str, str]) -> tuple[str, str]:
        """An instruction of that kind, and the template it was made from."""
        return phrase(kind, self.dice, self.stock.split, slots, self.level.speech, self.words)

    def propose(
        self,
        kind: str,
        scene: Scene,
        after: Scene,
        subject: int,
        attribute: str,
        old: str,
        new: str,
        /,
        **slots: str,
    ) -> Proposal:
        """An edit of one scene, phrased as that kind with those slots."""
        text, template = self.phrase(kind, slots)
        return Proposal((scene,), after, text, Edit(kind, subject, attribute, old, new, template))
