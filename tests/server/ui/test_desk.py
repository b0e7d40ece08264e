"""Conversations, edits in threads and refusals, without a page."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from inkontext.errors import InKontextError, MaskError, OptionError, PictureError, PromptError, SessionError
from inkontext.pipeline import Pipeline
from inkontext.roles import Reference
from inkontext.server.ui import views
from inkontext.server.ui.desk import Desk, Wish
from inkontext.server.ui.facts import count, facts_of
from inkontext.session import Session, read_manifest
from tests.server.ui.conftest import PAUSE

LONG = PAUSE + 2  # steps of an edit that is held


@pytest.fixture
def desk(pipeline: Pipeline, tmp_path: Path) -> Iterator[Desk]:
    made = Desk(pipeline, tmp_path / "sessions", most_pixels=1_000_000)
    yield made
    made.close()


@pytest.fixture
def name(desk: Desk, photo: Image.Image) -> str:
    return desk.begin(photo, "my photo")


def done(desk: Desk, name: str, wish: Wish) -> str:
    """Edit to the end; gives what is told."""
    job = desk.edit(name, wish)
    standings = list(job.follow())
    assert standings[-1].phase == "done", standings[-1].told
    return standings[-1].told


def test_conversations_are_sessions_in_folders_named_after_the_picture(desk: Desk, photo: Image.Image) -> None:
    assert desk.names() == []
    made = [desk.begin(photo, title) for title in ("my photo", "my photo", "../../etc/passwd", "…")]
    assert made == ["my-photo", "my-photo-2", "etc-passwd", "picture"]
    assert sorted(desk.names()) == sorted(made)
    with Session.open(desk.folder / made[0]) as session:
        assert session.picture(0).tobytes() == photo.tobytes()


def test_a_phones_photograph_is_taken_as_it_is_seen(desk: Desk, phone: tuple[Path, Image.Image]) -> None:
    path, seen = phone
    with Session.open(desk.folder / desk.begin(path)) as session:
        assert session.picture(0).tobytes() == seen.tobytes()
    desk.most_pixels = seen.width * seen.height - 1
    with pytest.raises(PictureError, match="scale it down"):
        desk.begin(path)


def test_names_that_leave_the_folder_are_none(
    desk: Desk, name: str, tmp_path: Path, pipeline: Pipeline, photo: Image.Image
) -> None:
    Session.new(tmp_path / "other", photo, pipeline).close()
    for bad in ("../other", "..", "", ".", str(tmp_path / "other"), "my-photo/../my-photo", "absent"):
        with pytest.raises(SessionError, match="no conversation"):
            desk.picture_file(bad, 0)


def test_an_edit_is_the_sessions_own(
    desk: Desk, name: str, pipeline: Pipeline, photo: Image.Image, tmp_path: Path
) -> None:
    told = done(desk, name, Wish("make it red", seed=3, steps=2, guidance=2.0, solver="heun", anchor=True))
    assert told == "turn 1 is kept"
    with Session.new(tmp_path / "plain", photo, pipeline) as session:
        session.edit("make it red", seed=3, steps=2, guidance=2.0, solver="heun", anchor=True)
        with Image.open(desk.picture_file(name, 1)) as ours:
            assert ours.tobytes() == session.picture().tobytes()


def test_progress_previews_and_cancelling(desk: Desk, name: str, held: threading.Event) -> None:
    job = desk.edit(name, Wish("make it red", steps=LONG))
    seen = []
    for standing in job.follow():
        seen.append(standing)
        if standing.step >= PAUSE and standing.preview:
            desk.cancel(name)
    assert seen[-1].phase == "cancelled"
    assert seen[-1].step == PAUSE
    assert seen[-1].preview.startswith("data:image/webp;base64,")
    assert [s.step for s in seen] == sorted(s.step for s in seen)
    held.set()
    assert len(desk.manifest(name).turns) == 1
    assert done(desk, name, Wish("make it red", steps=2)) == "turn 1 is kept"


def test_while_an_edit_is_under_way_nothing_else_is(
    desk: Desk, name: str, photo: Image.Image, held: threading.Event
) -> None:
    other = desk.begin(photo, "other")
    first = desk.edit(name, Wish("make it red", steps=LONG))
    while not first.standing.step:
        time.sleep(0.01)
    for step in (lambda: desk.edit(name, Wish("again")), lambda: desk.undo(name), lambda: desk.branch(name, "b")):
        with pytest.raises(SessionError, match="under way"):
            step()
    waiting = desk.edit(other, Wish("make it red", steps=2))
    assert waiting.standing.phase == "waiting"
    desk.cancel(other)
    waiting.join()
    assert waiting.standing.phase == "cancelled"
    queued = desk.edit(other, Wish("make it red", steps=2))
    desk.cancel(name)
    queued.join()
    assert queued.standing.phase == "done"


def test_undo_redo_goto_and_branches(desk: Desk, name: str) -> None:
    done(desk, name, Wish("one", steps=1))
    done(desk, name, Wish("two", steps=1))
    desk.undo(name)
    assert desk.manifest(name).current == 1
    desk.redo(name)
    assert desk.manifest(name).current == 2
    desk.goto(name, "0")
    desk.branch(name, "")
    desk.branch(name, "")
    assert list(desk.manifest(name).branches) == ["main", "way-2", "way-3"]
    done(desk, name, Wish("three", steps=1))
    manifest = desk.manifest(name)
    assert (manifest.branches["way-3"], manifest.turns[3].parent) == (3, 0)
    for bad in ("main", "two words", "7", "a/b"):
        with pytest.raises(SessionError):
            desk.branch(name, bad)
    assert desk.manifest(name) == manifest


def test_a_brushed_mask_keeps_the_bytes_outside(desk: Desk, name: str, photo: Image.Image) -> None:
    drawn = json.dumps({"strokes": [{"width": 0.3, "points": [[0.2, 0.2], [0.4, 0.4]]}], "cues": []})
    done(desk, name, Wish("make it red", steps=2, drawn=drawn))
    with Session.open(desk.place(name)) as session:
        mask = np.asarray(session._store.mask(session.current))
        assert np.array_equal(np.asarray(session.picture())[mask == 0], np.asarray(photo)[mask == 0])
        assert (mask > 0).any()


def test_cues_are_drawn_for_the_model_recorded_and_checked(desk: Desk, name: str) -> None:
    drawn = json.dumps({"cues": [{"kind": "box", "points": [[0.1, 0.1], [0.6, 0.7]], "colour": "red"}]})
    told = done(desk, name, Wish("make the marked thing blue", steps=2, drawn=drawn, written="arrow:0.9,0.9,0.6,0.6"))
    assert "red box" in told
    turn = desk.manifest(name).turns[1]
    assert turn.how is not None
    assert [row["kind"] for row in turn.how.cues] == ["box", "arrow"]
    assert [row["kind"] for row in read_manifest(desk.place(name)).turns[1].how.cues] == ["box", "arrow"]


def test_named_references_become_numbers_and_their_order(
    desk: Desk, name: str, photo: Image.Image, tmp_path: Path
) -> None:
    photo.rotate(90, expand=True).save(tmp_path / "hat.png")
    done(desk, name, Wish("put @hat on it", steps=1, references=[Reference(str(tmp_path / "hat.png"), "hat")]))
    turn = desk.manifest(name).turns[1]
    assert turn.how is not None
    assert (turn.references, turn.how.position, turn.how.said) == (1, 1, "put @hat on it")
    assert turn.how.prompt == "put the hat of the first picture on it in the second picture"


def test_another_size_is_a_turn_without_drift(desk: Desk, name: str) -> None:
    done(desk, name, Wish("make it square", steps=1, size="1:1"))
    with Image.open(desk.picture_file(name, 1)) as square:
        assert square.size == (64, 64)
    done(desk, name, Wish("more", steps=1))
    turns = desk.manifest(name).turns
    assert [turn.drift for turn in turns] == [None, None, None]
    assert views.drift(turns[1]) == ("not measured", f"The drift is not measured: {turns[1].drift_missing}.")
    shown = views.stage(desk, name, [])
    assert shown["size"] == [64, 64]


@pytest.mark.parametrize(
    ("wish", "error", "word"),
    [
        (Wish("  "), PromptError, "empty"),
        (Wish("x " * 500), PromptError, "shorten"),
        (Wish("a", written="box:0.5,0.5,0.9,0.9"), Exception, "outside the picture"),
        (Wish("a @hat"), PromptError, "no reference has that name"),
        (Wish("a", size="round"), OptionError, "not understood"),
        (Wish("a", mask=Image.new("L", (3, 3), 255), drawn='{"strokes": [{"width": 0.1, "points": [[0.5, 0.5]]}]}'),
         OptionError, "two masks"),
        (Wish("a", drawn="nonsense"), MaskError, "clear"),
        (Wish("a", mask=Image.new("L", (3, 3), 255)), MaskError, "mask"),
    ],
)  # fmt: skip
def test_wishes_that_cannot_be_are_refused_before_the_model_is_asked(
    desk: Desk, name: str, wish: Wish, error: type[Exception], word: str
) -> None:
    before = (desk.place(name) / "session.json").read_bytes()
    with pytest.raises(error, match=word) as caught:
        desk.edit(name, wish)
    assert isinstance(caught.value, InKontextError)
    assert (desk.place(name) / "session.json").read_bytes() == before
    assert desk.job(name) is None


def test_what_fails_in_the_thread_is_told_and_changes_nothing(desk: Desk, name: str) -> None:
    for wish, word in (
        (Wish("a", solver="magic"), "solver"),
        (Wish("a", negative="fog"), "true_cfg"),
    ):
        last = list(desk.edit(name, wish).follow())[-1]
        assert last.phase == "failed"
        assert word in last.told
        assert "\n" not in last.told
    assert len(desk.manifest(name).turns) == 1


def test_a_session_open_elsewhere_can_be_looked_at_and_not_changed(desk: Desk, name: str) -> None:
    with Session.open(desk.place(name)):
        assert desk.manifest(name).current == 0
        with pytest.raises(SessionError, match="open elsewhere"):
            desk.branch(name, "b")
        last = list(desk.edit(name, Wish("make it red", steps=1)).follow())[-1]
        assert last.phase == "failed"
        assert "open elsewhere" in last.told
    done(desk, name, Wish("make it red", steps=1))


def test_merging_makes_one_edit_of_the_last_turns(desk: Desk, name: str) -> None:
    for prompt in ("one", "two", "three"):
        done(desk, name, Wish(prompt, steps=1))
    assert list(desk.merge(name, 2).follow())[-1].told == "turn 4 is kept"
    desk.goto(name, 3)
    list(desk.merge(name, 3, "  all of it ").follow())
    made = desk.manifest(name).turns[4:]
    assert [(t.parent, t.merged, t.how and t.how.prompt) for t in made] == [
        (1, [2, 3], "two. three."), (0, [1, 2, 3], "all of it"),
    ]  # fmt: skip
    assert views.tree(desk, name)["turns"][4]["merged"] == [2, 3]
    desk.goto(name, 1)
    for many in (-1, 1, 2):
        last = list(desk.merge(name, many).follow())[-1]
        assert (last.phase, "cannot be merged" in last.told) == ("failed", True)
    with pytest.raises(PromptError, match="shorten"):
        desk.merge(name, 2, "x " * 500)
    assert len(desk.manifest(name).turns) == 6


def test_an_export_is_a_zip_of_the_pictures_up_to_a_turn(desk: Desk, name: str, tmp_path: Path) -> None:
    done(desk, name, Wish("one", steps=1))
    done(desk, name, Wish("two", steps=1))
    packed = desk.export(name, 1, tmp_path)
    with zipfile.ZipFile(packed) as file:
        assert file.testzip() is None
        assert file.namelist() == [f"{name}/{part}" for part in ("0000.png", "0001.png", "story.json")]
        told = json.loads(file.read(f"{name}/story.json"))["turns"]
        with Image.open(file.open(f"{name}/0001.png")) as ours, Image.open(desk.picture_file(name, 1)) as kept:
            assert ours.tobytes() == kept.tobytes()
    assert [turn["how"] and turn["how"]["prompt"] for turn in told] == [None, "one"]
    with pytest.raises(SessionError, match="no turn 9"):
        desk.export(name, 9, tmp_path)


HOLD = "import fcntl, sys; f = open(sys.argv[1], 'w'); fcntl.flock(f, 2); print('held', flush=True); input()"


def test_deleting_takes_one_folder_and_none_that_is_in_use(
    desk: Desk, name: str, photo: Image.Image, tmp_path: Path, held: threading.Event
) -> None:
    other, place = desk.begin(photo, "other"), desk.place(name)
    before = sorted(p.relative_to(place) for p in place.rglob("*"))
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(place / ".lock")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(SessionError, match="open elsewhere"):
            desk.delete(name)
        holder.communicate(b"\n")
    assert sorted(p.relative_to(place) for p in place.rglob("*")) == before
    job = desk.edit(name, Wish("make it red", steps=LONG))
    with pytest.raises(SessionError, match="under way"):
        desk.delete(name)
    job.cancel()
    job.join()
    (place / "session.json").write_text("damaged")  # what cannot be opened can be got rid of
    desk.delete(name)
    assert not place.exists()
    assert desk.names() == [other]
    for gone in (name, "../other", ""):
        with pytest.raises(SessionError, match="no conversation"):
            desk.delete(gone)
    (desk.folder / "link").symlink_to(desk.place(other))
    with pytest.raises(SessionError, match="by hand"):
        desk.delete("link")
    assert desk.manifest(other).current == 0


def test_pictures_that_cannot_be_leave_no_folder(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "note.png").write_text("hello")
    with pytest.raises(PictureError, match="not a picture"):
        desk.begin(tmp_path / "note.png", "note")
    Image.new("RGB", (2000, 1000)).save(tmp_path / "large.png")
    with pytest.raises(PictureError, match="2000x1000 = 2 megapixels, more than 1; scale it down"):
        desk.begin(tmp_path / "large.png", "large")
    assert desk.names() == []
    assert not desk.folder.exists() or not list(desk.folder.iterdir())


def test_closing_ends_what_is_under_way(
    pipeline: Pipeline, photo: Image.Image, tmp_path: Path, held: threading.Event
) -> None:
    desk = Desk(pipeline, tmp_path)
    name = desk.begin(photo)
    desk.edit(name, Wish("make it red", steps=LONG))
    desk.close()
    assert not [t for t in threading.enumerate() if t.name == "edit"]
    with Session.open(tmp_path / name) as session:
        assert len(session.manifest.turns) == 1


def test_facts_are_counted_not_known(pipeline: Pipeline) -> None:
    facts = facts_of(pipeline)
    assert facts.parameters == sum(p.numel() for p in pipeline.transformer.parameters())
    assert not facts.trained
    assert facts.guidance == 2.5
    assert "random weights" in facts.line
    assert any("noise" in line for line in facts.sentences())
    assert (count(12_140_000), count(11_900_000_000)) == ("12.1 million", "11.9 billion")


def test_views_escape_and_tell_drift(desk: Desk, name: str) -> None:
    done(desk, name, Wish("<script>alert(1)</script>", steps=1))
    turn = views.tree(desk, name)["turns"][1]
    assert turn["label"] == "<script>alert(1)</script>"  # text for the page, which puts it in as text
    assert turn["drift"]
    assert turn["drift_told"].endswith(".")
    assert views.message("a <b>", "error") == {"text": "A &lt;b&gt;", "kind": "error"}


def test_an_embedders_cosine_is_told_under_the_turn(pipeline: Pipeline, tmp_path: Path, photo: Image.Image) -> None:
    first = photo.tobytes()

    def embedder(picture: Image.Image) -> np.ndarray:
        if "broken" in asked and picture.tobytes() != first:
            raise ValueError("no face")
        return np.asarray(picture, float).mean((0, 1))

    asked: list[str] = []
    desk = Desk(pipeline, tmp_path / "sessions", embedder=embedder)
    name = desk.begin(photo)
    done(desk, name, Wish("Make it blue", steps=1, keep=False))
    asked.append("broken")
    done(desk, name, Wish("Make it red", steps=1, keep=False))
    turns = desk.manifest(name).turns
    assert turns[1].drift is not None and turns[1].drift.cosine is not None
    brief, told = views.drift(turns[1])
    assert brief.endswith(f" · {turns[1].drift.cosine:.2f}") and told.endswith(f"picture {turns[1].drift.cosine:.2f}.")
    brief, told = views.drift(turns[2])
    assert "·" not in brief and "picture unknown: the embedder failed (ValueError: no face); correct it." in told
    desk.close()


def test_a_wish_has_a_resolution_and_a_desk_one_for_its_conversations(
    pipeline: Pipeline, photo: Image.Image, tmp_path: Path
) -> None:
    desk = Desk(pipeline, tmp_path / "sessions", sides=(48, None))
    name = desk.begin(photo, "draft")
    done(desk, name, Wish("make it red", steps=1))
    done(desk, name, Wish("make it red", steps=1, resolution=128, context_resolution=64, size="1:1"))
    manifest = desk.manifest(name)
    assert manifest.resolution == 48
    hows = [turn.how for turn in manifest.turns[1:] if turn.how]
    assert [(how.resolution, how.context_resolution) for how in hows] == [(48, None), (128, 64)]
    with Image.open(desk.picture_file(name, 2)) as made:
        assert made.size == (128, 128)
    for wrong in ({"resolution": 8}, {"context_resolution": 9000}):
        with pytest.raises(OptionError, match="resolution must be a whole number from 16 to 4096"):
            desk.edit(name, Wish("a", **wrong))
    desk.close()


def test_the_pages_field_of_a_resolution(pipeline: Pipeline, photo: Image.Image, tmp_path: Path) -> None:
    """What is typed reaches the turn, what is recalled stands in the field again, what cannot be is told."""
    pytest.importorskip("gradio")
    from inkontext.server.ui.events import Hands

    desk = Desk(pipeline, tmp_path / "sessions")
    hands, name = Hands(desk, ()), desk.begin(photo, "photo")
    asked = ["", name, [], "", None, "make it red", "5", True, 1, "euler", 2.5, 1, "", "match"]
    *_, last = hands.edit(*asked, " 96 ", "", True, False)
    assert last[-3:] == ["5", "", None]
    how = desk.manifest(name).turns[1].how
    assert how is not None and (how.resolution, how.context_resolution) == (96, None)
    settings = hands.recall(str(desk.picture_file(name, 1)))[2:]
    assert len(settings) == 13 and settings[9:11] == ["96", ""]
    (told,) = hands.edit(*asked, "7", "", True, False)
    assert any("esolution must be a whole number from 16 to 4096, not 7" in str(part) for part in told)
    desk.close()
