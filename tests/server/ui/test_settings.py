"""Named speeds, and settings taken from pictures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from inkontext.errors import OptionError, PictureError
from inkontext.model.presets import Sampling
from inkontext.pipeline import Pipeline
from inkontext.safety.provenance import save_picture
from inkontext.server.ui.settings import read_seed, read_side, recall, speeds
from inkontext.session import Session


def test_speeds_are_around_the_models_own() -> None:
    assert speeds(Sampling(steps=28)) == {"Draft": 9, "Standard": 28, "Fine": 56}
    assert speeds(replace(Sampling(), steps=4)) == {"Standard": 4, "Fine": 8}
    assert speeds(replace(Sampling(), steps=1)) == {"Standard": 1, "Fine": 2}


def test_an_edits_picture_gives_back_what_made_it(pipeline: Pipeline, photo: Image.Image, tmp_path: Path) -> None:
    chosen: dict[str, Any] = {
        "steps": 3, "guidance": 2.0, "solver": "heun", "true_cfg": 2, "negative": "fog", "resolution": 96,
        "context_resolution": 48,
    }  # fmt: skip
    result = pipeline.edit(photo, "make it red", seed=7, **chosen)
    (path,) = result.save(tmp_path / "red.png")
    found = recall(path)
    values = {name: getattr(found.how, name) for name in chosen}
    assert values == chosen
    again = pipeline.edit(photo, found.how.prompt, seed=found.how.seed, **values)
    assert again.images[0].tobytes() == result.images[0].tobytes()
    assert found.fingerprint == pipeline.model["fingerprint"]
    assert "another model" not in found.sentence(pipeline.model["fingerprint"])
    assert "another model" in found.sentence("other")


def test_a_turns_picture_and_an_exported_one_give_its_settings(
    pipeline: Pipeline, photo: Image.Image, tmp_path: Path
) -> None:
    with Session.new(tmp_path / "s", photo, pipeline) as session:
        session.edit("make it red", seed=5, steps=2, keep=False)
        session.edit("put the hat on it", said="put @hat on it", seed=6, steps=2, anchor=True)
        turn, out = session.picture_file(), session.export(tmp_path / "out.png")
    for path in (turn, out):
        how = recall(path).how
        assert (how.prompt, how.said, how.seed, how.steps) == ("put the hat on it", "put @hat on it", 6, 2)
        assert (how.anchor, how.keep) == (True, True)


def test_pictures_without_settings_are_refused(photo: Image.Image, tmp_path: Path) -> None:
    photo.save(tmp_path / "plain.png")
    with pytest.raises(PictureError, match="no InKontext record"):
        recall(tmp_path / "plain.png")
    save_picture(photo, tmp_path / "first.png", {"task": "session"})
    with pytest.raises(OptionError, match="no settings to recall"):
        recall(tmp_path / "first.png")
    save_picture(photo, tmp_path / "forged.png", {"prompt": "x", "seed": "many"})
    with pytest.raises(OptionError, match="seed"):
        recall(tmp_path / "forged.png")
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(PictureError):
        recall(tmp_path / "text.png")


def test_seeds_are_read_to_the_last_digit() -> None:
    assert read_seed(" 9223372036854775807 ") == 2**63 - 1
    for text in ("", "-1", "1.5", "9223372036854775808", "²", "seven", "9" * 100):
        with pytest.raises(OptionError, match="whole number from 0"):
            read_seed(text)


def test_a_side_is_read_as_it_is_typed() -> None:
    assert [read_side(text) for text in ("", "  ", " 512 ")] == [None, None, 512]
    words = {"0": "from 16 to 4096", "999999999": "from 16 to 4096", "512.5": "is no context_resolution"}
    for text, told in (words | dict.fromkeys(("-64", "²", "big"), "is no")).items():
        with pytest.raises(OptionError, match=told):
            read_side(text, "context_resolution")
