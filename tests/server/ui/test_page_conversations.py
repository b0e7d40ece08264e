"""Going through a conversation's turns, merging and exporting them, leaving it, coming back and deleting it."""

from __future__ import annotations

import json
import threading
import zipfile
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import expect

from inkontext.session import Session, read_manifest
from tests.server.ui.conftest import PAUSE, Ui, pixels


def test_undo_redo_goto_and_branch(ui: Ui, picture: Path) -> None:
    ui.begin(picture)
    ui.edit("Make it night", becomes=1)
    ui.edit("Make it snow", becomes=2)
    ui.page.click("#ik-undo")
    ui.at(1)
    ui.page.click("#ik-redo")
    ui.at(2)
    assert ui.page.locator("#ik-redo").is_disabled()
    ui.page.click('.ik-turn[data-turn="0"]')
    ui.at(0)
    assert ui.page.locator("#ik-undo").is_disabled()
    ui.page.fill("#ik-branch-name", "day")
    ui.page.click("#ik-branch-new")
    ui.tells("A new branch")
    ui.edit("Make it autumn", becomes=3)
    manifest = read_manifest(ui.folder)
    assert manifest.branches == {"main": 2, "day": 3}
    assert manifest.turns[3].parent == 0
    expect(ui.page.locator(".ik-turn")).to_have_count(4)
    spots = [ui.page.locator(f'.ik-turn[data-turn="{n}"]').bounding_box() for n in range(4)]
    assert all(spots)
    assert spots[1]["y"] == spots[0]["y"] < spots[3]["y"]
    assert spots[1]["x"] == spots[3]["x"]
    ui.page.select_option("#ik-branch", "main")
    ui.at(2)
    ui.shoot("branches")


def test_an_empty_sentence_and_a_session_in_use(ui: Ui, picture: Path) -> None:
    ui.page.click("#ik-edit")
    ui.tells("There is no picture yet", error=True)
    ui.begin(picture)
    ui.page.click("#ik-edit")
    ui.tells("The prompt is empty", error=True)
    before = (ui.folder / "session.json").read_bytes()
    with Session.open(ui.folder):
        ui.say("Make it night")
        ui.page.click("#ik-edit")
        ui.tells("is open elsewhere", error=True)
        ui.page.click("#ik-branch-new")
        ui.tells("is open elsewhere", error=True)
    assert (ui.folder / "session.json").read_bytes() == before
    ui.edit("Make it night", becomes=1)


def test_an_example_is_one_click_and_a_reload_loses_nothing(ui: Ui) -> None:
    ui.shoot("welcome")
    ui.page.locator(".ik-example").first.click()
    ui.at(0)
    expect(ui.page.locator("#ik-prompt textarea")).not_to_have_value("")
    ui.page.click("#ik-edit")
    ui.at(1)
    name = ui.name
    ui.page.reload()
    ui.at(1)
    assert ui.name == name
    ui.open()
    ui.page.locator("#ik-picker input").click()
    ui.page.get_by_role("option", name=name, exact=True).click()
    ui.at(1)
    ui.open("?session=../../etc")
    ui.tells("There is no conversation", error=True)


@pytest.mark.parametrize("ends", ["done", "cancelled"])
def test_a_reload_during_an_edit(ui: Ui, picture: Path, ends: str, held: threading.Event) -> None:
    ui.begin(picture)
    name = ui.name
    ui.steps(PAUSE + 2)
    ui.say("Make it night")
    ui.page.click("#ik-edit")
    ui.page.wait_for_function("document.querySelector('.ik-progress').ariaValueNow > 0")
    ui.page.reload()
    bar = ui.page.get_by_role("progressbar")
    expect(bar).to_have_attribute("aria-valuenow", str(PAUSE))
    assert ui.page.locator(".ik-after").get_attribute("alt") == "Preview: Make it night"
    turns = 1
    if ends == "cancelled":
        ui.page.click("#ik-cancel")
        ui.tells("Cancelled")
        turns = 0
    held.set()
    ui.at(turns)
    assert ui.name == name
    ui.edit("Make it snow", becomes=turns + 1)
    assert len(read_manifest(ui.folder).turns) == turns + 2


def test_merge_makes_one_edit_of_the_last_turns(ui: Ui, picture: Path) -> None:
    ui.begin(picture)
    ui.edit("Make it night", becomes=1)
    merge = ui.page.locator("#ik-merge")
    expect(merge).to_be_disabled()
    ui.edit("Make it snow", becomes=2)
    ui.edit("Make it autumn", becomes=3)
    merge.click()
    dialog = ui.page.get_by_role("dialog", name="Merge turns")
    expect(dialog.locator("li")).to_have_text(["Make it snow", "Make it autumn"])
    ui.page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    merge.click()
    dialog.get_by_label("Which turns").select_option("3")
    expect(dialog.locator("li")).to_have_text(["Make it night", "Make it snow", "Make it autumn"])
    ui.shoot("merge")
    dialog.get_by_role("button", name="Merge").click()
    ui.at(4)
    ui.tells("Turn 4 is kept")
    turn = read_manifest(ui.folder).turns[4]
    assert turn.how is not None
    assert (turn.parent, turn.merged, turn.how.prompt) == (0, [1, 2, 3], "Make it night. Make it snow. Make it autumn.")
    ui.page.click('.ik-turn[data-turn="2"]')
    ui.at(2)
    merge.click()
    dialog.get_by_label("One sentence for all").fill("Make it a winter night")
    dialog.get_by_role("button", name="Merge").click()
    ui.at(5)
    turn = read_manifest(ui.folder).turns[5]
    assert turn.how is not None
    assert (turn.parent, turn.merged, turn.how.prompt) == (0, [1, 2], "Make it a winter night")


def test_export_gives_every_picture_and_its_story(ui: Ui, picture: Path, tmp_path: Path) -> None:
    ui.begin(picture)
    ui.edit("Make it night", becomes=1)
    ui.edit("Make it snow", becomes=2)
    with ui.page.expect_download() as download:
        ui.page.click("#ik-export")
    name = ui.name
    assert download.value.suggested_filename == f"{name}.zip"
    with zipfile.ZipFile(download.value.path()) as file:
        file.extractall(tmp_path)
    assert sorted(p.name for p in (tmp_path / name).iterdir()) == ["0000.png", "0001.png", "0002.png", "story.json"]
    for turn in range(3):
        kept = pixels(ui.folder / f"turns/{turn:04d}/picture.png")
        assert np.array_equal(pixels(tmp_path / name / f"{turn:04d}.png"), kept)
    story = json.loads((tmp_path / name / "story.json").read_text())
    assert [turn["how"] and turn["how"]["prompt"] for turn in story["turns"]] == [None, "Make it night", "Make it snow"]
    with Session.open(ui.folder):
        ui.page.click("#ik-export")
        ui.tells("is open elsewhere", error=True)
    expect(ui.page.locator("#ik-export")).to_be_enabled()


def test_deleting_asks_first_and_takes_this_conversation_alone(ui: Ui, picture: Path) -> None:
    ui.begin(picture)
    other = ui.folder
    ui.begin(picture)
    here, before = ui.folder, {p.name for p in ui.server.sessions.iterdir()}
    ui.page.click("#ik-delete")
    dialog = ui.page.get_by_role("dialog", name=f"Delete “{here.name}”?")
    expect(dialog.get_by_role("button", name="Keep it")).to_be_focused()
    ui.shoot("delete")
    ui.page.keyboard.press("Enter")
    expect(dialog).to_have_count(0)
    assert (here / "session.json").is_file()
    with Session.open(here):
        ui.page.click("#ik-delete")
        dialog.get_by_role("button", name="Delete").click()
        ui.tells("is open elsewhere", error=True)
    assert (here / "turns/0000/picture.png").is_file()
    ui.page.click("#ik-delete")
    dialog.get_by_role("button", name="Delete").click()
    ui.tells(f"The conversation “{here.name}” is deleted")
    expect(ui.page.locator(".ik-welcome")).to_be_visible()
    ui.page.wait_for_url(lambda url: "session=" not in url)
    assert {p.name for p in ui.server.sessions.iterdir()} == before - {here.name}
    ui.page.locator("#ik-picker input").click()
    expect(ui.page.get_by_role("option", name=here.name, exact=True)).to_have_count(0)
    ui.page.get_by_role("option", name=other.name, exact=True).click()
    ui.at(0)
    ui.edit("Make it night", becomes=1)
