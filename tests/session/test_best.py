"""Turns that are chosen among candidates, and turns that start from a partly noised parent: each can be made again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from inkontext.best_of import BestOf, Candidates, read_best_of
from inkontext.errors import OptionError, SessionError
from inkontext.pipeline import Pipeline
from inkontext.plugins import Plugin
from inkontext.safety.provenance import read_metadata
from inkontext.session import Session, read_manifest
from inkontext.session.manifest import Turn
from inkontext.session.tries import edit_until_right
from tests.session.painter import Painter, painter, start
from tests.session.test_tries import Scripted


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    with Session.new(tmp_path / "s", start(), painter()) as made:
        yield made


def by(function: Callable[[Candidates], Any], candidates: int = 3, quality: str | None = None) -> BestOf:
    return BestOf(candidates, Plugin(function, {"function": "here", "digest": "0"}), "here", quality)


def last(candidates: Candidates) -> list[float]:
    return [float(n) for n in range(len(candidates.pictures))]


def _seed(turn: Turn) -> int:
    assert turn.how is not None
    return turn.how.seed


def test_the_chosen_turn_is_what_its_seed_alone_gives_and_replays(
    pipeline: Pipeline, photo: Image.Image, tmp_path: Path
) -> None:
    best = read_best_of("max", 3, None)
    with Session.new(tmp_path / "s", photo, pipeline) as session:
        turn = session.edit("Make it blue", seed=5, steps=2, best=best)
        assert turn.how is not None and turn.how.solver == "heun" and turn.best_of is not None
        assert turn.best_of.seeds == [5, 6, 7] and turn.how.seed == turn.best_of.chosen
        assert turn.best_of.scores[turn.best_of.seeds.index(turn.best_of.chosen)] == max(turn.best_of.scores)
        record = read_metadata(session.picture_file())
        assert record is not None and record["seed"] == turn.how.seed and record["solver"] == "heun"
        assert record["best_of"] == record["turn"]["best_of"] == turn.best_of.model_dump()
        alone = session.edit("Make it blue", seed=turn.how.seed, steps=2, solver="heun", parent=0)
        assert alone.best_of is None
        assert session.picture(1).tobytes() == session.picture(2).tobytes()
        assert torch.equal(session.latents(1), session.latents(2))
        session.goto(1)
        with session.replay(tmp_path / "again") as again:
            assert again.picture().tobytes() == session.picture(1).tobytes()
            assert torch.equal(again.latents(), session.latents(1))
    assert read_manifest(tmp_path / "s").turns[1] == turn


def test_the_scorer_sees_the_pictures_as_they_would_be_kept(session: Session) -> None:
    seen: list[Candidates] = []

    def look(candidates: Candidates) -> list[float]:
        seen.append(candidates)
        return last(candidates)

    session.edit("one", seed=1)
    turn = session.edit("two", seed=7, anchor=True, references=[start(3)], best=by(look))
    (shown,) = seen
    assert _seed(turn) == 9 and shown.prompt == "two"
    assert [source.tobytes() for source in shown.sources] == [
        session.picture(1).tobytes(), start(3).tobytes(), session.picture(0).tobytes(),
    ]  # fmt: skip
    for seed, picture in zip((7, 8, 9), shown.pictures, strict=True):
        session.edit("two", seed=seed, anchor=True, references=[start(3)], parent=1)
        assert session.picture().tobytes() == picture.tobytes()


def test_undo_redo_and_merge_after_a_choice(session: Session) -> None:
    first = session.edit("one", seed=1, best=by(last))
    second = session.edit("two", seed=11, best=by(last, quality="max"))
    assert session.undo() == first and session.redo() == second
    merged = session.merge(2)
    assert merged.how is not None and (merged.how.seed, merged.how.solver, merged.best_of) == (13, "heun", None)
    assert isinstance(session.pipeline, Painter) and session.pipeline.calls[-1]["count"] == 1


def test_a_scorer_that_fails_leaves_the_session_as_it_was(session: Session) -> None:
    before = (session.folder / "session.json").read_bytes()
    with pytest.raises(OptionError, match="scorer 'here' failed"):
        session.edit("one", best=by(lambda candidates: 1 / 0))
    assert (session.folder / "session.json").read_bytes() == before
    assert session.edit("one").id == 1


def test_tries_for_words_share_no_candidate(session: Session) -> None:
    reader = Scripted("x", "OPEM", "OPEN")
    tried = edit_until_right(session, "write 'OPEN'", ["OPEN"], 5, seed=10, reader=reader, best=by(last))
    assert [turn.best_of and turn.best_of.seeds for turn in session.manifest.turns[1:]] == [
        [10, 11, 12], [13, 14, 15], [16, 17, 18],
    ]  # fmt: skip
    assert [seed for seed, _ in tried.reports] == [12, 15, 18] and tried.seed == _seed(session.current) == 18
    assert tried.sentence().startswith("seed 18 was kept")


@pytest.mark.parametrize("change", [{"chosen": 99}, {"scores": [1.0]}, {"candidates": 2}, {"seeds": "none"}])
def test_a_choice_edited_into_nonsense_is_refused(change: dict[str, Any], session: Session) -> None:
    session.edit("one", best=by(last))
    session.close()
    path = session.folder / "session.json"
    body = json.loads(path.read_text())
    body["turns"][1]["best_of"] |= change
    path.write_text(json.dumps(body))
    with pytest.raises(SessionError, match="is not a session's manifest"):
        Session.open(session.folder)


# ------------------------------------------------------------------ strength


def test_strength_is_recorded_and_makes_the_same_turn_again(
    pipeline: Pipeline, photo: Image.Image, tmp_path: Path
) -> None:
    mask = Image.new("L", photo.size)
    mask.paste(255, (16, 16, 64, 48))
    with Session.new(tmp_path / "s", photo, pipeline) as session:
        turn = session.edit("Make it blue", seed=1, steps=4, mask=mask, strength=0.5)
        assert turn.how is not None and turn.how.strength == 0.5
        record = read_metadata(session.picture_file())
        assert record is not None
        assert [record["mask"][key] for key in ("mode", "strength", "share")] == ["exact", 0.5, 0.25]
        with session.replay(tmp_path / "again") as again:
            assert again.picture().tobytes() == session.picture().tobytes()
        session.edit("Make it blue", seed=1, steps=4, mask=mask, strength=0.5, keep=False, parent=0)
        direct = pipeline.edit(photo, "Make it blue", seed=1, steps=4, mask=mask, strength=0.5,
                               context_latents=session.latents(0))  # fmt: skip
        assert session.picture().tobytes() == direct.images[0].tobytes()
        session.edit("Make it blue", seed=1, steps=4, mask=mask, keep=False, parent=0)
        assert session.picture().tobytes() != direct.images[0].tobytes()


def test_a_merge_without_a_mask_has_no_strength(session: Session) -> None:
    mask = Image.new("L", (32, 32), 255)
    session.edit("one", mask=mask)
    session.edit("two", mask=mask, strength=0.5)
    merged = session.merge(2)
    assert merged.how is not None and merged.how.strength == 0.5 and merged.mask
    session.edit("three")
    session.edit("four", mask=mask, strength=0.5)
    merged = session.merge(2)
    assert merged.how is not None and merged.how.strength == 1 and not merged.mask


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"strength": 0.5}, "strength acts through a mask"),
        ({"strength": 0.0, "mask": Image.new("L", (32, 32), 255)}, "strength must be above 0 and at most 1, not 0.0"),
        ({"strength": 1.5, "mask": Image.new("L", (32, 32), 255)}, "strength must be above 0 and at most 1, not 1.5"),
    ],
)
def test_a_strength_that_cannot_be(arguments: dict[str, Any], told: str, session: Session) -> None:
    with pytest.raises(OptionError, match=told):
        session.edit("one", **arguments)
    assert len(session.manifest.turns) == 1
