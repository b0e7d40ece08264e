"""Turns at other resolutions: what passes on from one to the next, what is kept, and making them again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from inkontext.best_of import read_best_of
from inkontext.cues import Cue
from inkontext.errors import OptionError, SessionError
from inkontext.pipeline import Pipeline
from inkontext.safety.provenance import read_metadata
from inkontext.session import Session, read_manifest
from inkontext.session.chat import Chat
from inkontext.session.session import first_picture
from tests.session.painter import Painter, start


def spied(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What every edit is asked."""
    calls: list[dict[str, Any]] = []
    edit = pipeline.edit

    def spy(*given: Any, **more: Any) -> Any:
        calls.append(more)
        return edit(*given, **more)

    monkeypatch.setattr(pipeline, "edit", spy)
    return calls


def test_latents_pass_on_where_they_fit_and_the_picture_does_elsewhere(
    pipeline: Pipeline, photo: Image.Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = spied(pipeline, monkeypatch)
    asked = [{}, {"resolution": 128}, {"resolution": 128}, {"resolution": 192, "context_resolution": 128},
             {"resolution": 64, "context_resolution": 128}, {}]  # fmt: skip
    with Session.new(tmp_path / "s", photo, pipeline) as session:
        known = [session.latents(0)]
        for number, more in enumerate(asked, 1):
            turn = session.edit("make it red", steps=1, **more)
            known.append(session.latents(number))
            assert session.picture().size == photo.size and turn.drift is not None
        handed = [call["context_latents"] for call in calls]
        assert [z is not None for z in handed] == [True, True, True, True, False, True]
        for turn in (1, 3, 4, 6):  # the parent's own: its context is at their resolution
            assert torch.equal(handed[turn - 1], known[turn - 1])
        anew, _ = pipeline.encode(session.picture(1), 128)
        assert torch.equal(handed[1], anew)
        assert [tuple(z.shape[2:]) for z in known] == [
            (6, 10), (6, 10), (12, 20), (12, 20), (20, 30), (6, 10), (6, 10),
        ]  # fmt: skip
        hows = [t.how for t in session.manifest.turns[1:] if t.how is not None]
        assert [h.resolution for h in hows] == [None, 128, 128, 192, 64, None]
    record = read_metadata(tmp_path / "s/turns/0004/picture.png")
    assert record is not None and (record["resolution"], record["context_resolution"]) == (192, 128)


def test_what_no_turn_changed_keeps_its_bytes_over_resolutions(
    pipeline: Pipeline, photo: Image.Image, tmp_path: Path
) -> None:
    mask = Image.new("L", photo.size)
    mask.paste(255, (30, 20, 70, 50))
    with Session.new(tmp_path / "s", photo, pipeline) as session:
        for side, context in ((128, None), (48, 96), (None, None)):
            turn = session.edit("a", steps=1, mask=mask, resolution=side, context_resolution=context)
        now, outside = np.asarray(session.picture()), np.asarray(mask) == 0
        assert (now[outside] == np.asarray(photo)[outside]).all() and (now != np.asarray(photo)).any()
        assert turn.drift is not None and turn.drift.untouched_psnr == 99 and turn.drift_missing is None
        assert turn.drift.made_psnr is not None


def test_everything_else_goes_along(pipeline: Pipeline, photo: Image.Image, tmp_path: Path) -> None:
    cue = Cue("box", ((0.2, 0.2), (0.7, 0.7)))
    best = read_best_of(None, 3, None)
    with Session.new(tmp_path / "s", photo, pipeline) as session:
        more: dict[str, Any] = {"steps": 1, "resolution": 128, "references": [start()], "anchor": True}
        session.edit("a", cues=[cue], context_resolution=48, **more)
        chosen = session.edit("b", best=best, **more)
        assert chosen.best_of is not None and len(chosen.best_of.seeds) == 3
        wide = session.edit("c", steps=1, size="2:1", resolution=128)
        assert session.picture().size == (176, 80) and wide.drift is None
        merged = session.merge(2)
        assert merged.how is not None and (merged.how.resolution, merged.how.size) == (128, "2:1")


def test_a_session_has_a_resolution_of_its_own(
    pipeline: Pipeline, photo: Image.Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = spied(pipeline, monkeypatch)
    with Session.new(tmp_path / "s", photo, pipeline, resolution=128, context_resolution=128) as session:
        assert session.latents().shape[2:] == (12, 20)
        session.edit("a", steps=1)
        session.edit("b", steps=1, resolution=64, context_resolution=64)
    manifest = read_manifest(tmp_path / "s")
    assert (manifest.resolution, manifest.context_resolution) == (128, 128)
    assert [(c["resolution"], c["context_resolution"]) for c in calls] == [(128, 128), (64, 64)]
    assert calls[0]["context_latents"] is not None
    with pytest.raises(OptionError, match="resolution must be a whole number from 16 to 4096, not 8"):
        Session.new(tmp_path / "t", photo, pipeline, resolution=8)
    assert not (tmp_path / "t").exists()


def test_replay_makes_the_same_bytes_again_or_another_resolution(
    pipeline: Pipeline, photo: Image.Image, tmp_path: Path
) -> None:
    with Session.new(tmp_path / "s", photo, pipeline, resolution=48) as session:
        session.edit("a", steps=1)
        session.edit("b", steps=1, resolution=128, context_resolution=64)
        with session.replay(tmp_path / "again") as again:
            for turn in range(3):
                assert again.picture(turn).tobytes() == session.picture(turn).tobytes()
                assert torch.equal(again.latents(turn), session.latents(turn))
        with session.replay(tmp_path / "large", resolution=128) as large:
            assert [tuple(large.latents(n).shape[2:]) for n in range(3)] == [(12, 20)] * 3
            hows = [turn.how for turn in large.manifest.turns[1:] if turn.how is not None]
            assert [(h.resolution, h.context_resolution) for h in hows] == [(128, None), (128, 64)]
            assert large.manifest.resolution == 128
        with pytest.raises(OptionError, match="context_resolution must be"):
            session.replay(tmp_path / "never", context_resolution=0)
        assert not (tmp_path / "never").exists()


def test_a_session_from_before_there_were_resolutions(pipeline: Pipeline, photo: Image.Image, tmp_path: Path) -> None:
    with Session.new(tmp_path / "s", photo, pipeline) as session:
        session.edit("a", steps=1)
    path = tmp_path / "s/session.json"
    body = json.loads(path.read_text())
    for part in (body, body["turns"][1]["how"]):
        del part["resolution"], part["context_resolution"]
    path.write_text(json.dumps(body))
    with Session.open(tmp_path / "s", pipeline) as session, session.replay(tmp_path / "t") as again:
        assert again.picture().tobytes() == session.picture().tobytes()
        session.edit("b", steps=1)


@pytest.mark.parametrize("value", [8, "512", 64.0, True])
def test_a_manifest_with_a_resolution_that_cannot_be(
    value: object, pipeline: Pipeline, photo: Image.Image, tmp_path: Path
) -> None:
    Session.new(tmp_path / "s", photo, pipeline).close()
    path = tmp_path / "s/session.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"resolution": value}))
    with pytest.raises(SessionError, match="resolution"):
        Session.open(tmp_path / "s")


def test_a_conversation_at_a_resolution(tmp_path: Path) -> None:
    model = Painter()
    with Session.new(tmp_path / "s", first_picture(start()), model) as session:  # pyright: ignore[reportArgumentType]
        talk = Chat(session, resolution=128, context_resolution=64)
        message = talk.say("make it red")
        assert message is not None and not message.error
        with pytest.raises(OptionError, match="resolution must be"):
            Chat(session, resolution=1)
    assert (model.calls[0]["resolution"], model.calls[0]["context_resolution"]) == (128, 64)
