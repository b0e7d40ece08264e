"""How much of the world there is to see and to ask: 3 is all of it, 1 is what a model should learn first.

A `Level` is the one place where contents and shares are written down; a `Stock` carries it to where things are drawn.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from inkontext.data.world.identity import BODIES, Bodies
from inkontext.data.world.lettering import FONTS
from inkontext.data.world.palette import COLOURS, LIGHTS
from inkontext.data.world.phrases import SPEECH, Speech
from inkontext.data.world.places import PLACES, VARIANTS
from inkontext.data.world.scene import GLASSES, HATS, MOODS, PATTERNS, POSES
from inkontext.data.world.shapes import FORMS
from inkontext.data.world.styles import STYLES
from inkontext.data.world.weather import ADJUSTS, WEATHERS
from inkontext.data.world.words import CASES
from inkontext.errors import OptionError

Names = tuple[str, ...]
Weights = Mapping[str, int]


@dataclass(frozen=True, slots=True, eq=False)
class Level:
    """What scenes may hold and what may be asked of them. Shares are percentages, weights any whole numbers.

    Things. colours, forms, patterns: of shapes; sizes: their half heights. bodies: of characters; figure_sizes: lowest
    and highest `size` of one with room, crowded_figures: of one among others. worn: what clothes there are. letters:
    most of a new word, and most of any. boards, letter_cases: weights; words added to a plain picture need no board.

    Scenes. themes: for each task, weights of the kinds of scene. backgrounds: weights. behind: for each place, colours
    that are hard to see on it. crowd: weights of how many things. told: weights of things in a caption; told_crowd: of
    how many.

    Edits. Weights by the name of the function that makes them. lost_at_night: colours of shapes that no night falls on.
    """

    number: int
    speech: Speech
    # Things
    colours: Names
    forms: Names
    sizes: tuple[int, ...]
    patterns: Names
    pattern_share: int
    usual_second_share: int
    outline_share: int
    figure_share: int
    bodies: Bodies
    figure_sizes: tuple[int, int]
    crowded_figures: tuple[int, int]
    worn: Names
    hats: Names
    hat_share: int
    glasses: Names
    glasses_share: int
    scarf_share: int
    moods: Names
    mood_share: int
    poses: Names
    boards: Weights
    fonts: Names
    font_share: int
    letters: tuple[int, int]
    letter_cases: Weights
    letter_sizes: tuple[int, ...]
    slip_share: int
    # Scenes
    themes: dict[str, Weights]
    backgrounds: Weights
    places: Names
    behind: Mapping[str, Names]
    variants: int
    light_share: int
    weather_share: int
    styles: Names
    safe_style_share: int
    crowd: Mapping[int, int]
    twin_share: int
    told: Weights
    told_crowd: Mapping[int, int]
    told_light_share: int
    told_weather_share: int
    told_style_share: int
    # Edits
    add_share: int
    count_share: int
    dress_share: int
    subject_edits: Weights
    figure_edits: Weights
    text_edits: Weights
    add_words_share: int
    whole_edits: Weights
    lights: Names
    weathers: Names
    lost_at_night: Names
    adjusts: Names
    several: Weights
    new_pose_share: int
    company_share: int


_ALL: Final = Level(
    number=3,
    speech=SPEECH,
    colours=tuple(COLOURS),
    forms=tuple(FORMS),
    sizes=(95, 132, 172),
    patterns=PATTERNS,
    pattern_share=32,
    usual_second_share=60,
    outline_share=10,
    figure_share=38,
    bodies=BODIES,
    figure_sizes=(185, 265),
    crowded_figures=(170, 205),
    worn=("hat", "glasses", "scarf"),
    hats=HATS,
    hat_share=24,
    glasses=GLASSES,
    glasses_share=14,
    scarf_share=14,
    moods=MOODS,
    mood_share=45,
    poses=POSES,
    boards={"sign": 24, "banner": 16, "plate": 24, "bubble": 20, "letters": 16},
    fonts=tuple(FONTS),
    font_share=60,
    letters=(6, 7),
    letter_cases=CASES,
    letter_sizes=(70, 84, 100),
    slip_share=30,
    themes={
        "local": {"objects": 66, "group": 10, "character": 12, "sign": 8, "empty": 4},
        "global": {"objects": 52, "character": 14, "sign": 6, "styled": 8, "empty": 20},
        "text": {"sign": 94, "empty": 6},
        "character": {"character": 100},
        "style": {"styled": 100},
        "cue": {"objects": 76, "sign": 14, "character": 10},
        "multi": {"objects": 64, "character": 36},
    },
    backgrounds={"plain": 34, "gradient": 11, "pattern": 8, "place": 47},
    places=tuple(PLACES),
    behind={
        "hills": ("green",),
        "sea": ("blue",),
        "forest": ("green",),
        "desert": ("orange",),
        "room": ("brown",),
        "city": ("grey",),
        "space": ("navy",),
        "mountains": ("grey", "green"),
    },
    variants=VARIANTS,
    light_share=22,
    weather_share=14,
    styles=tuple(s for s in STYLES if s != "flat"),
    safe_style_share=9,
    crowd={1: 22, 2: 34, 3: 28, 4: 16},
    twin_share=18,
    told={"figure": 34, "sign": 16, "shape": 50},
    told_crowd={1: 35, 2: 45, 3: 20},
    told_light_share=35,
    told_weather_share=20,
    told_style_share=28,
    add_share=12,
    count_share=45,
    dress_share=45,
    subject_edits={
        "recolour": 15,
        "repattern": 7,
        "reshape": 9,
        "outline": 3,
        "replace_thing": 12,
        "add_beside": 5,
        "remove": 11,
        "move": 8,
        "shift": 4,
        "resize": 8,
        "swap_places": 3,
    },
    figure_edits={"wear": 10, "unwear": 7, "rewear": 4, "mood": 6, "pose": 4},
    text_edits={"change": 30, "recolour_letters": 14, "font": 12, "case": 5, "second_line": 8, "wipe": 6},
    add_words_share=12,
    whole_edits={"background": 24, "light": 26, "weather": 26, "style": 18, "adjust": 20},
    lights=LIGHTS,
    weathers=WEATHERS,
    lost_at_night=(),
    adjusts=ADJUSTS[1:],
    several={
        "put_beside": 34,
        "put_into": 34,
        "put_both": 60,
        "take_colour": 24,
        "take_setting": 8,
        "take_style": 6,
    },
    new_pose_share=50,
    company_share=30,
)

_MORE: Final = replace(
    _ALL,
    number=2,
    speech=replace(SPEECH, manners=("Please {x}.",), held_manners=("Kindly {x}.",)),
    forms=("circle", "square", "triangle", "star", "heart", "cross", "crescent", "arrow", "flower", "bolt"),
    patterns=("plain", "striped", "dotted"),
    bodies=replace(
        BODIES,
        kinds=("cat", "bunny", "robot", "bear", "monster", "ghost"),
        eyes=("dots", "round"),
        many_eyed=False,
        ears=1,
        tail_share=0,
    ),
    figure_sizes=(210, 240),  # neither small nor big, so that those among others are small
    crowded_figures=(180, 200),
    worn=("hat",),
    glasses_share=0,
    scarf_share=0,
    boards={"plate": 55, "sign": 45},
    fonts=("plain", "bold"),
    letters=(5, 5),
    letter_cases={"upper": 70, "capital": 30},
    letter_sizes=(84, 100),
    slip_share=0,
    themes=_ALL.themes | {"local": {"objects": 72, "character": 16, "sign": 8, "empty": 4}},
    backgrounds={"plain": 40, "gradient": 10, "place": 50},
    variants=1,
    weather_share=8,
    light_share=16,
    styles=("ink", "pixel art", "watercolour", "pencil", "neon", "sepia", "blueprint", "mosaic"),
    safe_style_share=0,
    crowd={1: 25, 2: 45, 3: 30},
    told_crowd={1: 40, 2: 60},
    told_light_share=25,
    told_weather_share=0,
    count_share=0,
    subject_edits={k: v for k, v in _ALL.subject_edits.items() if k != "swap_places"},
    figure_edits={"wear": 10, "unwear": 8, "mood": 8},
    text_edits={"change": 30, "recolour_letters": 16, "font": 10, "case": 6, "wipe": 8},
    add_words_share=14,
    lost_at_night=("black", "navy"),
    new_pose_share=0,
    poses=("down",),
    company_share=0,
)

_FIRST: Final = replace(
    _MORE,
    number=1,
    speech=Speech(templates=2, manners=(), held_manners=(), usual=True),
    colours=("red", "yellow", "green", "blue", "purple", "pink", "black", "white"),
    forms=("circle", "square", "triangle", "star", "heart", "cross"),
    sizes=(132, 172),
    patterns=("plain",),
    pattern_share=0,
    usual_second_share=100,
    outline_share=0,
    bodies=Bodies(
        kinds=("cat", "bunny", "robot", "bear"),
        builds=("round", "tall"),
        colours=("red", "yellow", "green", "blue", "purple", "pink", "white"),
        bellies=("", "white", "yellow", "pink"),
        markings=(),
        eyes=("dots", "round"),
        many_eyed=False,
        ears=1,
        tail_share=0,
    ),
    crowded_figures=(201, 205),  # of one size with the others
    hat_share=0,
    moods=("happy",),
    mood_share=0,
    boards={"plate": 100},
    fonts=("bold",),
    font_share=100,
    letters=(4, 4),
    letter_cases={"upper": 100},
    letter_sizes=(100,),
    themes=_ALL.themes
    | {
        "local": {"objects": 76, "character": 14, "sign": 6, "empty": 4},
        "global": {"objects": 66, "character": 18, "sign": 6, "empty": 10},
        "text": {"sign": 100},
    },
    backgrounds={"plain": 50, "place": 50},
    places=("hills", "sea", "desert", "space"),
    behind={
        "hills": ("green", "white"),
        "sea": ("blue", "white"),
        "desert": ("yellow", "white"),
        "space": ("black", "purple"),
    },
    light_share=0,
    weather_share=0,
    styles=("ink", "watercolour", "neon", "blueprint"),
    crowd={1: 30, 2: 45, 3: 25},
    twin_share=12,
    told_crowd={1: 45, 2: 55},
    told_light_share=0,
    told_style_share=20,
    dress_share=0,
    subject_edits={"recolour": 20, "reshape": 12, "replace_thing": 16, "remove": 14, "move": 14},
    figure_edits={},
    text_edits={"change": 40, "recolour_letters": 20, "wipe": 12},
    add_words_share=0,
    whole_edits={"background": 34, "light": 24, "style": 22, "adjust": 20},
    adjusts=("brighter", "darker", "black and white", "inverted"),
)

LEVELS: Final[Mapping[int, Level]] = {1: _FIRST, 2: _MORE, 3: _ALL}


def level_of(number: int) -> Level:
    """The level of that number. Raises OptionError where there is none."""
    if number not in LEVELS:
        raise OptionError(f"There is no level {number}; choose 1, 2 or 3, which is the whole world.")
    return LEVELS[number]
