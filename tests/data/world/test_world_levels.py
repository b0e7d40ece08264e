"""Levels: the whole world keeps its bytes, smaller ones keep to their table, and each has a test split."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from inkontext.data.stream import WorldSource
from inkontext.data.world import TASKS, Base, Pair, sample_pair
from inkontext.data.world.bench import bases_of, bench_pairs, read_bench, rebuild, rows, write_bench
from inkontext.data.world.dice import Dice
from inkontext.data.world.identity import count_identities, is_test
from inkontext.data.world.levels import LEVELS, Level, level_of
from inkontext.data.world.pair import SPLITS
from inkontext.data.world.phrases import templates_of
from inkontext.data.world.scene import Figure, Scene, Shape, Sign, Wear
from inkontext.data.world.stock import Stock
from inkontext.data.world.templates import TRAIN
from inkontext.data.world.words import words_of
from inkontext.errors import OptionError

BEFORE = "4e41d3a9a7f29cbf3b735602166084e6b52ae3e8f000ae7fe96080728905aba6"  # computed before there were levels
SMALL = (1, 2)


def test_the_whole_world_has_the_bytes_it_had_before_there_were_levels() -> None:
    out = hashlib.sha256()
    for pair in (
        *(sample_pair(seed, task, 64, split) for task in TASKS for split in SPLITS for seed in (7, 8, 9)),
        *(
            sample_pair(3, "local", 64, "test", None, Base(theme, 5))
            for theme in ("objects", "group", "sign", "character")
        ),
    ):
        out.update(f"{pair.instruction}{pair.edit}{pair.reference_scenes}{pair.scene_after}".encode())
        for picture in (*pair.references, pair.target, pair.mask):
            out.update(picture.tobytes())
    assert out.hexdigest() == BEFORE


def pairs_of(level: int, split: str = "train", count: int = 35) -> Iterator[Pair]:
    for task in TASKS:
        for seed in range(count):
            yield sample_pair(seed, task, 32, split, level=level)


def scenes_of(pair: Pair) -> tuple[Scene, ...]:
    return (*pair.reference_scenes, pair.scene_after)


def colours_in(scene: Scene) -> set[str]:
    """Every colour that is named in the scene, and those of its markers."""
    found = {scene.background.colour, scene.background.second} | {cue.colour for cue in scene.cues}
    for thing in scene.things:
        match thing:
            case Shape():
                found |= {thing.paint.colour, thing.outline} | ({thing.paint.second} - {"white", "black"})
            case Figure():
                found |= {thing.who.colour, thing.hat.colour, thing.glasses.colour, thing.scarf.colour}
            case Sign():
                found |= {thing.colour, thing.ink}
    return found - {""}


def check_things(scene: Scene, level: Level) -> None:
    bodies = level.bodies
    for thing in scene.things:
        match thing:
            case Shape():
                assert thing.form in level.forms
                assert thing.paint.pattern in level.patterns
                assert level.outline_share or not thing.outline
            case Figure(who=who):
                assert who.kind in bodies.kinds and who.build in bodies.builds and who.colour in bodies.colours
                assert who.belly in bodies.bellies and who.eyes in bodies.eyes and who.eye_count == 2
                assert who.marking in ("", *bodies.markings) and not who.tail and who.ears == 0
                assert thing.glasses == thing.scarf == Wear() and thing.pose == "down"
                assert thing.mood in level.moods and (level.hat_share or thing.hat == Wear())
            case Sign():
                assert (
                    thing.board in (*level.boards, *(("letters",) if level.add_words_share else ()))
                    and thing.font in level.fonts
                    and not thing.meant
                )
                assert len(thing.text) <= level.letters[1]
                assert set(level.letter_cases) != {"upper"} or thing.text == thing.text.upper()


@pytest.mark.parametrize("number", SMALL)
@pytest.mark.parametrize("split", SPLITS)
def test_scenes_keep_to_their_level(number: int, split: str) -> None:
    level = LEVELS[number]
    for pair in pairs_of(number, split):
        assert pair.level == number
        for scene in scenes_of(pair):
            assert colours_in(scene) <= set(level.colours), (pair.task, pair.seed)
            assert scene.background.kind in {"plain", "gradient", *level.places} - (
                {"gradient"} if number == 1 else set()
            )
            assert scene.background.variant == 0
            assert scene.style in ("flat", *level.styles)
            assert scene.weather in level.weathers and (number > 1 or scene.weather == "clear")
            check_things(scene, level)


def test_first_scenes_are_plain() -> None:
    for pair in pairs_of(1):
        for scene in pair.reference_scenes:
            assert scene.light == "day"
            assert len(scene.things) <= 6 and (pair.task in ("cue", "multi") or len(scene.things) <= 4)
            assert all(thing.size in (132, 172, 200) for thing in scene.things if isinstance(thing, Shape))


@pytest.mark.parametrize("number", (1, 2, 3))
def test_phrasings_keep_to_their_level(number: int) -> None:
    speech = level_of(number).speech
    for split in SPLITS:
        for pair in pairs_of(number, split, 25):
            known = templates_of(pair.edit.kind if pair.edit.kind in TRAIN else "add", False, speech)
            held = templates_of(pair.edit.kind, True, speech) if split == "test" else ()
            assert pair.edit.template in (*known, *held), pair.edit


def test_first_words_are_the_usual_ones() -> None:
    rare = ("disc", "violet", "rabbit", "'", "upper left", "center", "colour ", "Please", "little", "large")
    for pair in pairs_of(1):
        assert pair.instruction[0].isupper() and pair.instruction[-1] in ".?"
        assert not any(word in pair.instruction for word in rare), pair.instruction


@pytest.mark.parametrize("number", SMALL)
def test_edits_keep_to_their_level_and_are_all_reached(number: int) -> None:
    """Named by their templates' kinds, which here are written out by hand."""
    first = {
        "local": {"recolour", "reshape", "replace", "remove", "move", "add"},
        "global": {"background", "place", "night", "dawn", "sunset", "style", "brighter", "darker", "black and white",
                   "inverted"},
        "text": {"text change", "text colour", "text remove"},
        "multi": {"put beside", "put into", "put both", "take colour", "take setting", "take style"},
    }  # fmt: skip
    more = {
        "local": {"repattern", "stripes", "outline", "shift", "bigger", "smaller", "wear", "unwear", "mood"},
        "global": {"day", "rain", "snow", "fog", "clear", "unstyle", "warmer", "colder", "blurred", "mirrored", "faded",
                   "vivid", "upside down"},
        "text": {"text font", "text case", "text add", "add"},
        "multi": set(),
    }  # fmt: skip
    for task, kinds in first.items():
        seen = {sample_pair(seed, task, 32, level=number).edit.kind for seed in range(400)}
        assert seen == (kinds if number == 1 else kinds | more[task])


@pytest.mark.parametrize("number", (1, 2, 3))
def test_the_splits_are_apart_at_every_level(number: int) -> None:
    for split in SPLITS:
        for pair in pairs_of(number, split, 20):
            for thing in (t for scene in scenes_of(pair) for t in scene.things):
                if isinstance(thing, Figure):
                    assert is_test(thing.who) == (split == "test")
                if isinstance(thing, Sign) and thing.text and not thing.meant and number < 3:
                    assert thing.text.lower() in words_of(split)
    train, test = count_identities(level_of(number).bodies)
    assert test >= 10 and 0.05 < test / (train + test) < 0.15
    drawn = {Stock("test", level=level_of(number)).identity(Dice(1, i)) for i in range(400)}
    assert len(drawn) >= 10 and all(is_test(who) for who in drawn)
    longest = level_of(number).letters[0]
    assert sum(len(word) <= longest for word in words_of("test")) >= 40


@pytest.mark.parametrize("number", (1, 2, 3))
@pytest.mark.parametrize("task", TASKS)
def test_every_task_works_from_every_seed(number: int, task: str) -> None:
    for split in SPLITS:
        assert all(sample_pair(seed, task, 32, split, level=number).task == task for seed in range(40))


@pytest.mark.parametrize("number", (0, 4, -1))
def test_an_unknown_level_is_told_in_one_sentence(number: int) -> None:
    with pytest.raises(OptionError, match="1, 2 or 3") as caught:
        sample_pair(1, level=number)
    assert str(caught.value).count(".") == 1
    with pytest.raises(OptionError, match="no level"):
        WorldSource(32, level=number)


def test_a_source_draws_its_level() -> None:
    example = WorldSource(32, "train", level=1).example(5, "local")
    assert example.instruction == sample_pair(5, "local", 32, level=1).instruction
    assert example.instruction != sample_pair(5, "local", 32).instruction


def test_the_bench_of_a_level(tmp_path: Path) -> None:
    only = range(0, 1026, 60)
    assert write_bench(tmp_path / "one", 3, 32, only=only, level=1) == len(only)
    for record in read_bench(tmp_path / "one"):
        assert record["level"] == 1
        pair = rebuild(record)
        assert pair.level == 1 and pair.instruction == record["instruction"]
    assert len(rows(3, 1)) == 1026 and all(row.base.theme != "group" for row in rows(3, 1))
    assert sum(bases_of(1).values()) == sum(bases_of(3).values()) == 108
    assert rows(3) == rows(3, 3)


def test_a_record_from_before_levels_is_of_the_whole_world(tmp_path: Path) -> None:
    write_bench(tmp_path / "old", 3, 32, only=[5])
    (tmp_path / "old/test/metadata.jsonl").write_text(
        (tmp_path / "old/test/metadata.jsonl").read_text().replace(', "level": 3', "")
    )
    (record,) = read_bench(tmp_path / "old")
    assert record["level"] == 3
    ((_, pair),) = bench_pairs(3, 32, only=[5])
    again = rebuild({key: value for key, value in record.items() if key != "level"})
    assert replace(again, references=[], target=pair.target, mask=pair.mask) == replace(pair, references=[])
