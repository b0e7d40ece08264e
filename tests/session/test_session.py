"""Sessions with a real pipeline of random weights, and what they refuse."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms

from inkontext.cues import Cue, settle
from inkontext.errors import InKontextError, OptionError, PromptError, SessionError
from inkontext.pipeline import Pipeline
from inkontext.safety.provenance import read_metadata
from inkontext.session import How, Session, read_manifest
from inkontext.session.manifest import read_how
from tests.session.painter import Painter, painter, start


@pytest.fixture
def session(tmp_path: Path):
    with Session.new(tmp_path / "s", start(), painter()) as made:
        yield made


def test_a_session_begins_with_a_phones_photograph_as_it_is_seen(
    tmp_path: Path, phone: tuple[Path, Image.Image]
) -> None:
    path, seen = phone
    with Session.new(tmp_path / "s", path, painter()) as session:
        assert session.picture(0).tobytes() == seen.tobytes()


def _mask(size: tuple[int, int], box: tuple[int, int, int, int]) -> Image.Image:
    mask = Image.new("L", size)
    mask.paste(255, box)
    return mask


# ------------------------------------------------------------------ the real pipeline


def test_context_from_latents_is_context_from_encoding(pipeline: Pipeline, photo: Image.Image) -> None:
    latents, frame = pipeline.encode(photo)
    encoded = pipeline.edit(photo, "Make it blue", steps=2, seed=3)
    handed = pipeline.edit(photo, "Make it blue", steps=2, seed=3, context_latents=latents)
    torch.testing.assert_close(handed.latents[0], encoded.latents[0], rtol=1e-5, atol=1e-5)
    assert np.abs(np.asarray(handed.images[0], int) - np.asarray(encoded.images[0])).max() <= 1
    assert frame.as_dict() == encoded.metadata["frame"]
    shown = frame.restore(pipeline.decode(encoded.latents[0]))
    assert shown.tobytes() == encoded.images[0].tobytes()
    other = pipeline.edit(photo, "Make it blue", steps=2, seed=3, context_latents=latents + 1)
    assert not torch.equal(other.latents[0], encoded.latents[0])


def test_latents_of_another_picture_are_refused(pipeline: Pipeline, photo: Image.Image) -> None:
    with pytest.raises(OptionError, match=r"context_latents are \[1, 16, 2, 2\] where this picture's are"):
        pipeline.edit(photo, "Make it blue", context_latents=torch.zeros(1, 16, 2, 2))
    latents, _ = pipeline.encode(photo)
    with pytest.raises(OptionError, match="one picture"):
        pipeline.edit([photo, photo.copy()], "Make it blue", context_latents=latents)


def test_the_expected_picture_costs_nothing_but_time(pipeline: Pipeline, photo: Image.Image) -> None:
    plain = pipeline.edit(photo, "Make it blue", steps=2, seed=3)
    asked = pipeline.edit(photo, "Make it blue", steps=2, seed=3, expect=True)
    assert plain.expected == [] and asked.images[0].tobytes() == plain.images[0].tobytes()
    assert asked.records == plain.records
    (expected,) = asked.expected
    assert expected.shape == asked.latents[0].shape and expected.dtype == torch.float32
    assert not torch.equal(expected, pipeline.edit(photo, "Make it red", steps=2, seed=3, expect=True).expected[0])
    assert torch.equal(expected, pipeline.edit(photo, "Make it blue", steps=1, seed=3, expect=True).expected[0])
    with pytest.raises(OptionError, match="leave size alone"):
        pipeline.edit(photo, "Make it blue", steps=1, size="1:3", expect=True)


def test_a_real_session(pipeline: Pipeline, photo: Image.Image, tmp_path: Path) -> None:
    photo = photo.copy()
    photo.info["icc_profile"] = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    mask = _mask(photo.size, (10, 20, 50, 44))
    with Session.new(tmp_path / "s", photo, pipeline) as session:
        assert session.picture().tobytes() == photo.tobytes()
        session.edit("Make it blue", steps=2, mask=mask, anchor=True)
        second = session.edit("Make it red", steps=1, mask=mask, anchor=True, references=[start()])
        pictures = [session.picture(n).tobytes() for n in range(3)]
        outside = np.asarray(mask) == 0
        for number in (1, 2):
            now, was = np.asarray(session.picture(number)), np.asarray(photo)
            assert (now[outside] == was[outside]).all()
            assert (now != was).any()
            assert session.picture(number).info["icc_profile"] == photo.info["icc_profile"]
        assert second.drift is not None and second.drift.untouched_psnr == 99
        assert second.drift.untouched_share >= outside.mean()
        merged = session.merge(2)
        assert merged.parent == 0 and merged.merged == [1, 2] and merged.references == 1
        assert merged.how is not None and merged.how.prompt == "Make it blue. Make it red."
        session.goto(2)
        with session.replay(tmp_path / "again") as again:
            assert [again.picture(n).tobytes() for n in range(3)] == pictures
            assert torch.equal(again.latents(2), session.latents(2))
    record = read_metadata(tmp_path / "s/turns/0002/picture.png")
    assert record is not None and record["prompt"] == "Make it red" and record["turn"]["parent"] == 1


def test_any_size_and_transparency(pipeline: Pipeline, tmp_path: Path) -> None:
    rgba = np.random.default_rng(0).integers(0, 256, (51, 83, 4), np.uint8)
    picture = Image.fromarray(rgba)
    mask = _mask(picture.size, (30, 10, 60, 30))
    with Session.new(tmp_path / "s", picture, pipeline) as session:
        session.edit("Make it blue", steps=1, mask=mask)
        out = np.asarray(session.picture())
    outside = np.asarray(mask) == 0
    assert out.shape == rgba.shape and (out[outside] == rgba[outside]).all()


def test_another_model_is_refused(session: Session) -> None:
    session.edit("one")
    session.close()
    before = (session.folder / "session.json").read_bytes()
    with pytest.raises(SessionError, match=r"made with model 'painter' \(painter, .*not with .*\(other"):
        Session.open(session.folder, painter("other"))
    assert (session.folder / "session.json").read_bytes() == before
    with Session.open(session.folder) as opened, pytest.raises(SessionError, match="without a model"):
        opened.edit("two")
    with Session.open(session.folder) as opened, opened.replay(session.folder.parent / "t", pipeline=painter("other")):
        pass
    assert read_manifest(session.folder.parent / "t").model.fingerprint == "other"


# ------------------------------------------------------------------ turns and what they record


def test_a_turn_starts_from_the_latents_of_the_last(session: Session) -> None:
    session.edit("one", seed=1)
    latents = session.latents()
    session.edit("two", seed=2, keep=False)
    made = session.pipeline
    assert isinstance(made, Painter)
    assert torch.equal(made.calls[-1]["context"], latents)


def test_kept_cells_are_the_first_pictures_own_for_ever(session: Session) -> None:
    first, pixels = session.latents(0), np.asarray(session.picture(0))
    for seed in range(6):
        session.edit("paint", seed=seed)
    changes = [np.asarray(session._store.change(n)) > 0 for n in range(1, 7)]
    untouched = ~np.any(changes, axis=0)
    cells = untouched.reshape(4, 8, 4, 8).all(axis=(1, 3))
    assert cells.any() and not cells.all()
    assert torch.equal(session.latents()[0, :, cells], first[0, :, cells])
    assert (np.asarray(session.picture())[untouched] == pixels[untouched]).all()
    drift = session.current.drift
    assert drift is not None and drift.untouched_psnr == 99.0
    assert drift.untouched_share == pytest.approx(untouched.mean(), abs=1e-6)
    assert drift.made_psnr is not None and drift.made_psnr < 50  # what decoding alone had cost


def test_without_keep_the_picture_is_as_the_model_made_it(session: Session) -> None:
    session.edit("paint", seed=1, keep=False)
    made = session.pipeline
    assert isinstance(made, Painter)
    assert session.picture().tobytes() == made.decode(session.latents()).tobytes()
    drift = session.current.drift
    assert drift is not None and drift.untouched_psnr == drift.made_psnr != 99.0


def test_an_embedder_is_asked(tmp_path: Path) -> None:
    def means(image: Image.Image) -> np.ndarray:
        return np.asarray(image, float).mean(axis=(0, 1))

    with Session.new(tmp_path / "s", start(), painter(), means) as session:
        turn = session.edit("paint", seed=1)
        a, b = means(session.picture(0)), means(session.picture())
    assert turn.drift is not None
    assert turn.drift.cosine == pytest.approx(a @ b / np.sqrt((a @ a) * (b @ b)), abs=1e-6)


@pytest.mark.parametrize(
    ("later", "told"),
    [
        (lambda: 1 / 0, "failed (ZeroDivisionError: division by zero)"),
        (lambda: sys.exit("no"), "failed (SystemExit: no)"),
        (lambda: None, "saw nothing"), (lambda: {"a": 1}, "no vector but a dict"), (lambda: [], "empty, zero or not"),
        (lambda: [0.0, 0.0], "empty, zero or not"), (lambda: [1.0, float("nan")], "not finite"),
        (lambda: [1.0, 2.0, 3.0], "vectors are 2 and 3 long"),
    ],
)  # fmt: skip
def test_an_embedder_that_fails_costs_its_figure_and_no_turn(later: Any, told: str, tmp_path: Path) -> None:
    first = start().tobytes()

    def embedder(image: Image.Image) -> Any:
        assert image.mode == "RGB"
        return [3.0, 4.0] if image.tobytes() == first else later()

    with Session.new(tmp_path / "s", start(), painter(), embedder) as session:
        turn = session.edit("paint", seed=1)
        assert turn.drift is not None and turn.drift.cosine is None and turn.drift.untouched_psnr == 99
        assert turn.drift.embedder == "embedder" and told in (turn.drift.cosine_missing or "")
    with Session.open(tmp_path / "s", painter()) as again:
        assert again.current == turn
        assert again.picture().tobytes() != first and again.edit("paint", seed=2).parent == turn.id


def test_the_anchor_is_the_first_picture(session: Session) -> None:
    made = session.pipeline
    assert isinstance(made, Painter)
    session.edit("one", anchor=True)
    assert made.calls[-1]["references"] == []
    session.edit("two", anchor=True)
    assert [r.tobytes() for r in made.calls[-1]["references"]] == [session.picture(0).tobytes()]


def test_merged_masks_are_laid_together(session: Session) -> None:
    a, b = _mask((32, 32), (0, 0, 8, 8)), _mask((32, 32), (16, 16, 32, 32))
    session.edit("one", mask=a)
    session.edit("two", mask=Image.eval(b, lambda v: 255 - v), mask_edits="black")
    turn = session.merge(2, "both")
    assert turn.how is not None and turn.how.prompt == "both"
    mask = session._store.mask(turn)
    assert mask is not None
    assert np.array_equal(np.asarray(mask), np.maximum(np.asarray(a), np.asarray(b)))
    with pytest.raises(SessionError, match="cannot be merged; there are 1 here"):
        session.merge(2)


def test_export(session: Session, tmp_path: Path) -> None:
    session.edit("one")
    session.edit("two")
    assert session.export(tmp_path / "now.png") == tmp_path / "now.png"
    record = read_metadata(tmp_path / "now.png")
    assert record is not None and [t["id"] for t in record["turns"]] == [0, 1, 2]
    session.export(tmp_path / "all", turn=1)
    assert sorted(p.name for p in (tmp_path / "all").iterdir()) == ["0000.png", "0001.png", "story.json"]
    with pytest.raises(OptionError, match="is there already"):
        session.export(tmp_path / "all")
    with pytest.raises(OptionError, match="end its name"):
        session.export(tmp_path / "now.xyz")


# ------------------------------------------------------------------ mistakes leave the session unharmed


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda m: m | {"turns": []}, "points to turn 2"),
        (lambda m: m | {"current": 9}, "current points to turn 9"),
        (lambda m: m | {"current": -1}, "current"),
        (lambda m: m | {"current": "1"}, "current"),
        (lambda m: m | {"redo": [2]}, "redo has turn 2, which does not follow turn 2"),
        (lambda m: m | {"branch": "gone"}, "'gone' is not there"),
        (lambda m: m | {"branches": {"main": 7}}, "branch 'main' points to turn 7"),
        (lambda m: m | {"version": 2}, "version"),
        (lambda m: m | {"more": 1}, "more"),
        (lambda m: {k: v for k, v in m.items() if k != "model"}, "model"),
        (lambda m: m | {"turns": [m["turns"][0], m["turns"][2]]}, "turn 2 stands in place 1"),
        (lambda m: m | {"turns": [*m["turns"][:2], m["turns"][2] | {"parent": 5}]}, "has the parent 5"),
        (lambda m: m | {"turns": [*m["turns"][:2], m["turns"][2] | {"parent": None}]}, "has no parent"),
        (lambda m: [m], "object"),
    ],
)
def test_a_manifest_edited_into_nonsense(change, told: str, session: Session) -> None:
    session.edit("one")
    session.edit("two")
    session.close()
    path = session.folder / "session.json"
    good = json.loads(path.read_text())
    path.write_text(json.dumps(change(good)))
    broken = path.read_bytes()
    with pytest.raises(SessionError, match="is not a session's manifest") as error:
        Session.open(session.folder)
    assert told in str(error.value) and "\n" not in str(error.value)
    assert path.read_bytes() == broken
    path.write_text(json.dumps(good))
    with Session.open(session.folder, painter()) as again:
        assert again.edit("three").id == 3


@pytest.mark.parametrize("text", ["", "{", "null", "\xff\xfe"])
def test_a_manifest_that_is_none(text: str, session: Session) -> None:
    session.close()
    (session.folder / "session.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(SessionError, match="not a session's manifest"):
        Session.open(session.folder)


@pytest.mark.parametrize("name", ["picture.png", "latents.safetensors", "change.png", "mask.png", "reference-1.png"])
def test_a_lost_file_is_named(name: str, session: Session) -> None:
    session.edit("one", mask=_mask((32, 32), (0, 0, 16, 16)), references=[start(1)])
    session.close()
    path = session.folder / "turns/0001" / name
    kept = path.read_bytes()
    path.unlink()
    with pytest.raises(SessionError, match=f"turn 1 has lost its file '.*{name}'"):
        Session.open(session.folder)
    path.write_bytes(kept)
    Session.open(session.folder).close()


@pytest.mark.parametrize("name", ["picture.png", "latents.safetensors", "change.png"])
def test_a_damaged_file_is_named(name: str, session: Session) -> None:
    session.edit("one")
    (session.folder / "turns/0001" / name).write_bytes(b"nonsense")
    before = session.manifest
    session._decoded.clear()
    with pytest.raises(SessionError, match=r"turn 1|0001/latents"):
        session.edit("two")
    assert session.manifest == before == read_manifest(session.folder)
    session.goto(0)
    session.edit("two")  # the rest of the tree can still be used


def test_only_one_at_a_time(session: Session) -> None:
    with pytest.raises(SessionError, match="is open elsewhere"):
        Session.open(session.folder)
    session.close()
    Session.open(session.folder).close()


def test_where_a_session_cannot_be(session: Session, tmp_path: Path) -> None:
    with pytest.raises(SessionError, match="there is no session in"):
        Session.open(tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()
    session.close()
    with pytest.raises(SessionError, match="already; open it"):
        Session.new(session.folder, start(), painter())
    (tmp_path / "full").mkdir()
    (tmp_path / "full/letter.txt").write_text("mine")
    with pytest.raises(SessionError, match="not empty"):
        Session.new(tmp_path / "full", start(), painter())
    with pytest.raises(InKontextError, match="does not exist"):
        Session.new(tmp_path / "t", tmp_path / "no.png", painter())
    assert not (tmp_path / "t").exists()


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"prompt": "x", "steps": "many"}, OptionError),
        ({"prompt": "x", "seed": -1}, OptionError),
        ({"prompt": "x", "mask": Image.new("L", (8, 8), 255)}, InKontextError),
        ({"prompt": "x", "references": ["no.png"]}, InKontextError),
        ({"prompt": 3}, OptionError),
    ],
)
def test_a_refused_edit_leaves_nothing(arguments: dict, error: type[Exception], session: Session) -> None:
    files = sorted(session.folder.rglob("*"))
    with pytest.raises(error):
        session.edit(**arguments)
    assert sorted(session.folder.rglob("*")) == files and len(session.manifest.turns) == 1


def test_an_empty_prompt(pipeline: Pipeline, photo: Image.Image, tmp_path: Path) -> None:
    with Session.new(tmp_path / "s", photo, pipeline) as session, pytest.raises(PromptError):
        session.edit("  ")
    assert not (tmp_path / "s/turns/0001").exists()


@pytest.mark.parametrize("name", ["", "two words", "3", "a/b", "x" * 101, "\udcff"])
def test_names_that_are_none(name: str, session: Session) -> None:
    with pytest.raises(SessionError, match="no branch name"):
        session.branch(name)
    assert session.manifest == read_manifest(session.folder)


# ------------------------------------------------------------------ cues, sizes, numbered references

BOX = Cue("box", ((0.1, 0.2), (0.6, 0.7)), "red")


def test_a_turn_with_cues_shows_them_to_the_model_and_can_be_replayed(
    pipeline: Pipeline, photo: Image.Image, tmp_path: Path
) -> None:
    with Session.new(tmp_path / "s", photo, pipeline) as session:
        turn = session.edit("Make the marked thing blue", steps=2, seed=3, cues=[BOX], keep=False)
        settled = settle(photo, [BOX], pipeline.resolution)
        direct = pipeline.edit(photo, "Make the marked thing blue", steps=2, seed=3, cues=settled)
        assert session.picture().tobytes() == direct.images[0].tobytes()
        assert turn.how is not None and turn.how.drawn == (BOX,)
        record = read_metadata(session.picture_file())
        assert record is not None
        assert record["cue_check"]["gone"] == turn.cues_gone
        with session.replay(tmp_path / "again") as again:
            assert again.picture().tobytes() == session.picture().tobytes()
    with Session.open(tmp_path / "s") as opened:
        assert opened.current == turn


def test_what_cues_leave_alone_is_put_back_without_ink(session: Session) -> None:
    before = np.asarray(session.picture())
    session.edit("Mark it", seed=1, cues=[BOX])
    change = np.asarray(session._store.change(1))
    assert (change == 0).any()
    assert np.array_equal(np.asarray(session.picture())[change == 0], before[change == 0])


def test_another_size_ends_keep_and_drift_and_the_tree_goes_on(
    pipeline: Pipeline, photo: Image.Image, tmp_path: Path
) -> None:
    with Session.new(tmp_path / "s", photo, pipeline) as session:
        session.edit("Make it blue", steps=1)
        assert session.current.drift is not None
        wide = session.edit("Make it wide", steps=1, size="100x60")
        assert session.picture().size == (100, 60)
        assert wide.drift is None
        after = session.edit("Make it red", steps=1, anchor=True)
        assert session.picture().size == (100, 60)
        assert after.drift is None
        with pytest.raises(OptionError, match="match"):
            session.edit("Make it red", steps=1, size="1:1", mask=Image.new("L", (100, 60), 255))
        session.merge(2)
        assert session.picture().size == (100, 60)
    same = How(prompt="x", size=None)
    assert read_how(prompt="x") == same


def test_turns_of_numbered_references_are_not_merged_into_other_numbers(
    pipeline: Pipeline, photo: Image.Image, tmp_path: Path
) -> None:
    with Session.new(tmp_path / "s", photo, pipeline) as session:
        words = "Put the hat of the first picture on it in the second picture"
        for _ in range(2):
            session.edit(words, steps=1, references=[photo], position=1, said="Put @hat on it")
        with pytest.raises(SessionError, match="numbered references"):
            session.merge(2)
        session.edit("Make it blue", steps=1)
        merged = session.merge(2, "Put the hat on it")
        assert merged.how is not None
        assert (merged.how.position, merged.references, merged.how.said) == (1, 1, None)


def test_cues_edited_into_nonsense_are_refused(session: Session) -> None:
    session.edit("Mark it", seed=1, cues=[BOX])
    path = session.folder / "session.json"
    body = json.loads(path.read_text())
    body["turns"][1]["how"]["cues"][0]["points"] = [[0, 0], [7, 7]]
    session.close()
    path.write_text(json.dumps(body))
    with pytest.raises(SessionError, match="outside the picture"):
        Session.open(session.folder)
