"""From a seed to a pair: base scene, edit, pictures, mask."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from PIL import Image

from inkontext.data.world.cues import cue_edit
from inkontext.data.world.dice import Dice
from inkontext.data.world.dressing import figure_edit
from inkontext.data.world.layout import THEMES, draw_base
from inkontext.data.world.lettered import text_edit
from inkontext.data.world.levels import level_of
from inkontext.data.world.moving import add, count, rows_of, subject_edit
from inkontext.data.world.outside import Outside
from inkontext.data.world.refer import mention
from inkontext.data.world.render import change_mask, difference, render
from inkontext.data.world.scene import Figure, Scene
from inkontext.data.world.several import several_edit
from inkontext.data.world.stock import Ask, Edit, Proposal, Stock
from inkontext.data.world.told import caption_only, same_character, same_style
from inkontext.data.world.whole import whole_edit
from inkontext.errors import OptionError

TASKS: Final[tuple[str, ...]] = ("local", "global", "text", "character", "style", "cue", "multi", "t2i")
SPLITS: Final[tuple[str, ...]] = ("train", "test")
_WEIGHTS: Final = {
    "local": 32,
    "global": 16,
    "text": 12,
    "character": 12,
    "style": 6,
    "cue": 8,
    "multi": 6,
    "t2i": 8,
}
_VISIBLE: Final = 40  # a channel must differ this much somewhere to be seen at all
_VISIBLE_SHARE: Final = 0.003  # of the pixels
_MIN_SIZE, _MAX_SIZE = 32, 2048


@dataclass(frozen=True, slots=True)
class Base:
    """A base scene that several pairs share: what kind of scene, and its own seed."""

    theme: str
    seed: int


@dataclass(frozen=True, slots=True)
class Pair:
    """One example, pictures and truth together.

    references: RGB pictures given as context (none for t2i). target: the RGB picture asked for.
    mask: mode L, white where the target may differ from references[base]. base: -1 without one.
    reference_scenes, scene_after: the scene graphs. edit: what was asked.
    level: of the world that it was drawn from.
    """

    seed: int
    task: str
    size: int
    split: str
    references: list[Image.Image]
    instruction: str
    target: Image.Image
    mask: Image.Image
    base: int
    reference_scenes: tuple[Scene, ...]
    scene_after: Scene
    edit: Edit
    level: int = 3

    @property
    def scene_before(self) -> Scene | None:
        """The scene that the target continues."""
        return self.reference_scenes[self.base] if self.base >= 0 else None


def local_edit(ask: Ask, scene: Scene) -> Proposal | None:
    """One local edit of a thing that is named."""
    dice = ask.dice
    if rows_of(scene) and dice.chance(ask.level.count_share):
        return count(ask, scene)
    if dice.chance(ask.level.add_share) or not scene.things:
        return add(ask, scene)
    thing = dice.pick(scene.things)
    said = mention(scene, thing, ask.words)
    if said is None:
        return None
    figure = isinstance(thing, Figure) and dice.chance(ask.level.dress_share)
    return (figure_edit if figure else subject_edit)(ask, scene, thing, said.text)


_EDITS: Final[dict[str, Callable[[Ask, Scene], Proposal | None]]] = {
    "local": local_edit,
    "global": whole_edit,
    "text": text_edit,
    "character": same_character,
    "style": same_style,
    "cue": cue_edit,
    "multi": several_edit,
}


def sample_pair(
    seed: int,
    task: str | None = None,
    size: int = 128,
    split: str = "train",
    outside: Outside | None = None,
    base: Base | None = None,
    level: int = 3,
) -> Pair:
    """The pair of that seed, the same bytes on every machine.

    task: one of `TASKS`; None draws one. size: side of the pictures in pixels. split: "train" or
    "test" (held-out identities, words and stickers; about half of its phrasings are held out too).
    outside: folders of photographs and stickers. base: a scene to edit instead of a fresh one.
    level: how much of the world, 1 to 3 (`levels.py`).
    """
    _check(seed, task, size, split, base)
    task = task or Dice(0, seed).weighted(_WEIGHTS)  # apart, so that naming the drawn task changes nothing
    ask = Ask(Dice(1, seed, SPLITS.index(split), TASKS.index(task)), Stock(split, outside, level_of(level)))
    for attempt in range(400):
        proposal = _propose(ask, task, base, attempt)
        if proposal and (pair := _drawn(proposal, seed, task, size, split, outside, level)):
            return pair
    raise OptionError(f"No visible {task} edit found for seed {seed} at {size} pixels; take another seed or size.")


def _check(seed: int, task: str | None, size: int, split: str, base: Base | None) -> None:
    if seed < 0:
        raise OptionError(f"The seed is {seed}; give a whole number from 0.")
    if task is not None and task not in TASKS:
        raise OptionError(f"There is no task {task!r}; choose one of {', '.join(TASKS)}.")
    if split not in SPLITS:
        raise OptionError(f"There is no split {split!r}; choose train or test.")
    if not _MIN_SIZE <= size <= _MAX_SIZE:
        raise OptionError(f"The size is {size}; choose between {_MIN_SIZE} and {_MAX_SIZE} pixels.")
    if base is not None and base.theme not in THEMES:
        raise OptionError(f"There is no theme {base.theme!r}; choose one of {', '.join(THEMES)}.")


def _propose(ask: Ask, task: str, base: Base | None, attempt: int) -> Proposal | None:
    if task == "t2i":
        return caption_only(ask)
    if base is None:
        scene = draw_base(ask.dice.weighted(ask.level.themes[task]), ask.dice, ask.stock)
        tries = 3
    else:
        scene, tries = base_scene(base, ask.stock), 1
    for _ in range(tries):
        if proposal := _EDITS[task](ask, scene):
            return proposal
    return None


def base_scene(base: Base, stock: Stock) -> Scene:
    """The scene of a `Base`, whatever is done to it later."""
    return draw_base(base.theme, Dice(2, base.seed), stock)


def _drawn(
    proposal: Proposal, seed: int, task: str, size: int, split: str, outside: Outside | None, level: int
) -> Pair | None:
    """The proposal in pixels; None where the change can hardly be seen."""
    target = render(proposal.after, size, outside)
    references = [render(scene, size, outside) for scene in proposal.references]
    mask = Image.new("L", (size, size), 255)
    if proposal.base >= 0:
        change = difference(references[proposal.base], target)
        if sum(change.histogram()[_VISIBLE:]) < _VISIBLE_SHARE * size * size:
            return None
        mask = mask if proposal.whole else change_mask(change)
    return Pair(
        seed,
        task,
        size,
        split,
        references,
        proposal.instruction,
        target,
        mask,
        proposal.base,
        proposal.references,
        proposal.after,
        proposal.edit,
        level,
    )
