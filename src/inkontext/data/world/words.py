"""Words for signs, some held out, and how to misspell them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from inkontext.data.world.dice import Dice, held_out

HELD_OUT_ONE_IN: Final = 6

_LIST: Final = """
    able acid aged also apple april arch arena army atlas aunt away baby back bacon bagel bake ball band
    bank barn basil bath beach bean bear beat bell berry best bike bird blue board boat body bold bone
    book boots bowl brave bread brick bridge bring brown brush build cabin cable cafe cake call calm
    camel camp candy card care cargo cart case cash cat chai chair chalk cheap chef chess chip choir
    city clay clean clever cliff clock cloud club coal coat cocoa code coffee cold comet cook cool copy
    coral corn cosy cotton cream crisp crown cube cup cycle daily dance dark dawn deal deep deli delta
    desk dial diner dive dock dog donut door dove draft dream dress drift drink drive drum dune dusk
    eagle early earth east easy echo edge eight elbow elite empty enjoy enter epic even exit extra fable
    face fair faith fancy farm fast feast fern field film final fine fire first fish five flag flame
    flash float flora flour flow fluff focus fog folk food forest fork forty fox free fresh frost fruit
    full fun game garden gate gem ghost giant gift glad glass globe glow goal gold good goose grand
    grape great green grill group grove guest guide hall happy harbor hat haven hazel heart heat hello
    herb hero hill hobby home honey hope horn horse hotel house hunt ice idea inn iron island ivory ivy
    jam jazz jewel join joker jolly juice jump june kayak keep key kind king kite kiwi koala label lady
    lake lamp land laser last late laugh lava lazy leaf learn lemon level light lily lime lion list
    little local lodge logic long look lotus loud love loyal lucky lunar lunch magic mango maple march
    market mask mayor meal melon menu metal milk mill mind mint mix mode moon more moss motel mouse
    movie music nest never new news next nice night nine noble noon north note nova oasis ocean olive
    only opal open orbit order otter oven owl oxide pace paint palm panda paper park party pasta patio
    peace peach pearl pedal piano pilot pine pizza plan plant play plaza plum poem poet point polar pony
    pool port power press pride print prize proud pump punch pupil puppy quest quick quiet quilt quiz
    radio rain ranch rapid raven ready relax repair rest ribbon rice ride river road robin robot rock
    roof room rose royal ruby rugby sail salad sale salon salt sand sauce school scout sea seed seven
    shade shark sharp sheep shell shine ship shop show silk silver sing six skate sky sleep slow small
    smart smile smoke snack snow soap soda soft solar solid song soul soup south space spark spice spoon
    sport spring star start station stay steam stone stop store storm story street strong studio style
    sugar summer sun super surf sushi swan sweet swim taco tango taxi tea team ten tent test thank tiger
    time toast today token top torch tower town toy track trade trail train travel treat tree trick
    tropic truck trust tulip tuna tunnel turn twin two union unity upper urban valley vegan velvet video
    view villa vinyl violet vivid vocal wagon walk warm wash watch water wave west whale wheat wild wind
    wine winter wise wolf wonder wood wool world yacht yard year yellow yes yoga young zebra zen zero
    zone zoo
"""
WORDS: Final[tuple[str, ...]] = tuple(_LIST.split())


@lru_cache(maxsize=4)
def words_of(split: str) -> tuple[str, ...]:
    """The words of a split; a word's own checksum decides."""
    return tuple(w for w in WORDS if held_out(w, HELD_OUT_ONE_IN) == (split == "test"))


CASES: Final[Mapping[str, int]] = {"upper": 60, "capital": 25, "lower": 15}


def draw_word(dice: Dice, split: str, longest: int = 6, cases: Mapping[str, int] = CASES) -> str:
    """A word of at most `longest` letters, in capitals, with a capital, or small, as `cases` weighs them."""
    while True:
        word = dice.pick(words_of(split))
        if len(word) <= longest:
            break
    case = dice.weighted(cases)
    return word.upper() if case == "upper" else word.capitalize() if case == "capital" else word


def misspelt(word: str, dice: Dice) -> str:
    """The word with one slip of the hand: two letters swapped, one doubled, lost or mistaken."""
    for _ in range(20):
        i = dice.between(1, len(word) - 2) if len(word) > 2 else 0
        kind = dice.below(4)
        if kind == 0:
            wrong = word[:i] + word[i + 1] + word[i] + word[i + 2 :]
        elif kind == 1:
            wrong = word[: i + 1] + word[i:]
        elif kind == 2 and len(word) > 3:
            wrong = word[:i] + word[i + 1 :]
        else:
            vowel = dice.pick("aeiou")
            wrong = word[:i] + (vowel.upper() if word[i].isupper() else vowel) + word[i + 1 :]
        if wrong.lower() not in WORDS:
            return wrong
    return word + word[-1]
