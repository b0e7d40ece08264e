"""Instructions: they single out what they mean, and the test split has words of its own."""

from __future__ import annotations

from inkontext.data.world import TASKS, sample_pair
from inkontext.data.world.dice import Dice
from inkontext.data.world.identity import count_identities, is_test
from inkontext.data.world.layout import THEMES, draw_base
from inkontext.data.world.phrases import _parsed, count_phrasings
from inkontext.data.world.refer import facts_of, fits, mention
from inkontext.data.world.scene import Figure
from inkontext.data.world.stock import Stock
from inkontext.data.world.templates import TRAIN
from inkontext.data.world.templates_held import HELD
from inkontext.data.world.words import WORDS, draw_word, misspelt, words_of


def test_a_mention_fits_one_thing_only() -> None:
    named = total = 0
    for seed in range(300):
        dice = Dice(77, seed)
        scene = draw_base(dice.pick([t for t in THEMES if t != "group"]), dice, Stock("train"))
        for thing in scene.things:
            total += 1
            if said := mention(scene, thing, dice):
                named += 1
                assert [t for t in scene.things if fits(said.facts, t)] == [thing]
                assert said.text.startswith("the ")
                assert facts_of(thing).items() >= dict(said.facts).items()
    assert named > 0.95 * total


def figures_of(split: str) -> set[bool]:
    seen: set[bool] = set()
    for task in TASKS:
        for seed in range(30):
            pair = sample_pair(seed, task, 32, split)
            for scene in (*pair.reference_scenes, pair.scene_after):
                seen |= {is_test(t.who) for t in scene.things if isinstance(t, Figure)}
    return seen


def test_identities_of_the_splits_are_disjoint() -> None:
    assert figures_of("train") == {False}
    assert figures_of("test") == {True}


def test_there_are_thousands_of_identities() -> None:
    train, test = count_identities()
    assert train > 100_000
    assert 0.05 < test / (train + test) < 0.15


def test_phrasings_of_the_splits() -> None:
    """Training never uses a held-out template, testing does in about half of its pairs."""
    held = {t for templates in HELD.values() for t in templates}
    assert not held & {t for templates in TRAIN.values() for t in templates}
    train = [sample_pair(seed, None, 32).edit.template for seed in range(150)]
    test = [sample_pair(seed, None, 32, "test").edit.template for seed in range(200)]
    assert not held & set(train)
    assert 0.35 < sum(t in held for t in test) / len(test) < 0.65


def test_templates_are_complete() -> None:
    """Each kind can be asked both ways, with the same slots on either side."""
    assert TRAIN.keys() == HELD.keys()
    for kind, templates in TRAIN.items():
        assert len(templates) >= 2
        slots = {part for t in templates for way in _parsed(t) for part in way[0].split("{")[1:]}
        names = {s.split("}")[0] for s in slots}
        for template in HELD[kind]:
            held = {s.split("}")[0] for way in _parsed(template) for s in way[0].split("{")[1:]}
            assert held <= names, (kind, template)
    train, held_out = count_phrasings()
    assert train > 3000
    assert held_out > 500


def test_words_of_the_splits_are_disjoint() -> None:
    assert set(words_of("train")).isdisjoint(words_of("test"))
    assert set(words_of("train")) | set(words_of("test")) == set(WORDS)
    assert len(WORDS) == len(set(WORDS))
    assert all(draw_word(Dice(i), "test").lower() in words_of("test") for i in range(50))


def test_a_misspelt_word_is_no_word() -> None:
    for i, word in enumerate(w for w in WORDS if len(w) > 3):
        wrong = misspelt(word, Dice(i))
        assert wrong != word
        assert wrong not in WORDS
