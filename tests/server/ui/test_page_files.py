"""Pictures, masks and settings that come to the page as files, or are dragged from one part of it to another."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageDraw
from playwright.sync_api import expect

from inkontext.pipeline import Pipeline
from inkontext.safety.provenance import read_metadata
from inkontext.session import read_manifest
from tests.server.ui.conftest import Ui, pixels


def test_settings_come_back_from_a_picture(ui: Ui, picture: Path, tiny: Pipeline, tmp_path: Path) -> None:
    result = tiny.edit(picture, "Make it autumn", seed=2**62 + 1, steps=9, solver="heun")
    (made,) = result.save(tmp_path / "made.png")
    ui.begin(picture)
    ui.upload(made, into="ik-recall")
    ui.tells(f"Settings recalled: seed {2**62 + 1}, 9 steps")
    expect(ui.page.locator("#ik-prompt textarea")).to_have_value("Make it autumn")
    ui.page.click("#ik-edit")
    ui.at(1)
    record = read_metadata(ui.folder / "turns/0001/picture.png")
    assert record is not None
    assert (record["prompt"], record["seed"], record["steps"], record["solver"]) == (
        "Make it autumn",
        2**62 + 1,
        9,
        "heun",
    )
    ui.upload(picture, into="ik-recall")
    ui.tells("carries no InKontext record", error=True)


def test_files_that_are_no_pictures_or_too_large_are_refused_in_a_sentence(
    ui: Ui, picture: Path, tmp_path: Path
) -> None:
    note, huge = tmp_path / "note.png", tmp_path / "huge.png"
    note.write_text("hello")
    Image.new("1", (10_000, 6_000)).save(huge)
    names = sorted(p.name for p in ui.server.sessions.glob("*"))
    ui.upload(note)
    ui.tells("Picture 'note.png' is not a picture", error=True)
    ui.upload(huge)
    ui.tells("Picture 'huge.png' is 10000x6000 = 60 megapixels, more than 40; scale it down first", error=True)
    ui.shoot("refused")
    assert sorted(p.name for p in ui.server.sessions.glob("*")) == names
    ui.begin(picture)
    ui.upload(note, into="ik-refs-drop")
    ui.tells("is not a picture", error=True)
    ui.upload(huge)
    ui.tells("60 megapixels", error=True)
    ui.edit("Make it night", becomes=1)


def test_named_references_and_results_as_input(ui: Ui, picture: Path) -> None:
    ui.begin(picture)
    ui.upload(picture, into="ik-refs-drop")
    ui.page.get_by_label("Name of reference 1").fill("hat")
    ui.page.get_by_label("Name of reference 1").press("Tab")
    expect(ui.page.get_by_label("Name of reference 1")).to_have_attribute("value", "hat")  # the server knows
    ui.edit("Put @hat on the cat", becomes=1)
    turn = read_manifest(ui.folder).turns[1]
    assert turn.how is not None
    assert (turn.references, turn.how.position, turn.how.said) == (1, 1, "Put @hat on the cat")
    ui.page.get_by_label("Remove reference 1").click()
    expect(ui.page.locator(".ik-refs li")).to_have_count(0)
    ui.at(1)
    ui.page.drag_and_drop('.ik-turn[data-turn="1"]', "#ik-refs-drop")
    expect(ui.page.locator(".ik-refs li")).to_have_count(1)
    ui.page.click("#ik-use-reference")
    expect(ui.page.locator(".ik-refs li")).to_have_count(2)
    old, url = ui.folder, ui.page.url
    ui.page.click("#ik-use-start")
    ui.page.wait_for_url(lambda now: now != url)
    expect(ui.page.locator(".ik-turn")).to_have_count(1)
    assert ui.folder != old
    assert np.array_equal(pixels(ui.folder / "turns/0000/picture.png"), pixels(old / "turns/0001/picture.png"))


def test_unusual_files_become_the_picture_they_show(ui: Ui, picture: Path, tmp_path: Path) -> None:
    plain = Image.open(picture).convert("RGB").resize((80, 64))
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6  # is to be turned a quarter to the right
    plain.save(tmp_path / "turned.png", exif=exif)
    plain.save(tmp_path / "moving.gif", save_all=True, append_images=[plain.rotate(90)], duration=100)
    plain.convert("CMYK").save(tmp_path / "print.jpg", quality=100)
    deep = np.asarray(plain.convert("L")).astype(np.uint16) * 257
    Image.fromarray(deep).save(tmp_path / "deep.png")
    shown = np.asarray(plain, np.int16)
    wanted = {
        "turned.png": (np.rot90(shown, -1), 0),
        "moving.gif": (shown, 12),  # of 256 colours
        "print.jpg": (shown, 4),  # what JPEG loses
        "deep.png": (np.repeat(deep[..., None] // 257, 3, axis=2), 0),
    }
    for name, (pixels_wanted, loss) in wanted.items():
        ui.upload(tmp_path / name)
        ui.page.wait_for_url(f"**session={name.split('.')[0]}*")
        ui.at(0)
        kept = pixels(ui.folder / "turns/0000/picture.png").astype(np.int16)
        assert kept.shape == pixels_wanted.shape, name
        assert np.abs(kept - pixels_wanted).mean() <= loss, name
    ui.edit("Make it night", becomes=1)


def test_a_picture_cut_short_is_refused_wherever_it_goes(ui: Ui, picture: Path, tmp_path: Path) -> None:
    ui.begin(picture)
    name = ui.name
    whole = picture.read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    ui.upload(tmp_path / "cut.png")
    ui.tells("Picture 'cut.png' is damaged or cut short", error=True)
    ui.upload(tmp_path / "cut.png", into="ik-refs-drop")
    ui.tells("Picture 'cut.png' is damaged or cut short", error=True)
    ui.upload(tmp_path / "cut.png", into="ik-recall")
    ui.tells("'cut.png'", error=True)
    assert ui.name == name
    assert [p.name for p in ui.server.sessions.glob("cut*")] == []


def test_a_mask_as_a_file_keeps_every_byte_outside(ui: Ui, picture: Path, tmp_path: Path) -> None:
    ui.begin(picture)
    ui.page.get_by_role("button", name="With the keyboard").click()
    Image.new("L", (30, 20), 255).save(tmp_path / "small.png")
    ui.upload(tmp_path / "small.png", into="ik-mask")
    ui.say("Make it night")
    ui.page.click("#ik-edit")
    ui.tells("30x20", error=True)
    assert len(read_manifest(ui.folder).turns) == 1
    ui.page.locator("#ik-mask").get_by_role("button", name="Clear").click()
    mask = Image.new("L", (320, 256))
    ImageDraw.Draw(mask).rectangle((40, 50, 199, 149), 255)
    mask.save(tmp_path / "mask.png")
    ui.upload(tmp_path / "mask.png", into="ik-mask")
    ui.edit("Make it night", becomes=1)
    before, after = (pixels(ui.folder / f"turns/000{n}/picture.png") for n in (0, 1))
    outside = np.asarray(mask) == 0
    assert np.array_equal(before[outside], after[outside])
    assert (before != after).any()
    ui.edit("Make it snow", becomes=2)
    assert [turn.mask for turn in read_manifest(ui.folder).turns] == [False, True, False]


@pytest.mark.parametrize("ui", [{"viewport": {"width": 1360, "height": 1300}}], indirect=True)  # both ends in sight
def test_a_result_dragged_onto_picture_or_recall(ui: Ui, picture: Path) -> None:
    ui.begin(picture)
    ui.edit("Make it autumn", becomes=1)
    seed = ui.page.locator("#ik-seed input, #ik-seed textarea").input_value()
    old = ui.folder
    ui.page.drag_and_drop('.ik-turn[data-turn="1"]', "#ik-source")
    expect(ui.page.locator(".ik-turn")).to_have_count(1)
    ui.at(0)
    assert ui.folder != old
    assert np.array_equal(pixels(ui.folder / "turns/0000/picture.png"), pixels(old / "turns/0001/picture.png"))
    ui.open(f"?session={old.name}")
    ui.at(1)
    ui.page.drag_and_drop('.ik-turn[data-turn="1"]', "#ik-recall")
    expect(ui.page.locator("#ik-prompt textarea")).to_have_value("Make it autumn")
    expect(ui.page.locator("#ik-seed input, #ik-seed textarea")).to_have_value(seed)
    expect(ui.page.locator("#ik-locked input")).to_be_checked()


def test_files_dropped_from_elsewhere(ui: Ui, picture: Path, tiny: Pipeline, tmp_path: Path) -> None:
    ui.drop(picture, onto="ik-source")
    ui.at(0)
    assert np.array_equal(pixels(ui.folder / "turns/0000/picture.png"), pixels(picture))
    (made,) = tiny.edit(picture, "Make it autumn", seed=77, steps=3).save(tmp_path / "made.png")
    ui.drop(made, onto="ik-recall")
    ui.tells("Settings recalled: seed 77, 3 steps")
    expect(ui.page.locator("#ik-prompt textarea")).to_have_value("Make it autumn")
    expect(ui.page.locator("#ik-seed input, #ik-seed textarea")).to_have_value("77")
