"""The page in headless Chromium: what people do on it, and what it keeps on disk. Screenshots: out/screenshots/."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from inkontext.pipeline import Pipeline
from inkontext.safety.provenance import read_metadata
from inkontext.session import Session, read_manifest
from tests.server.ui.conftest import Ui


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB"))


def test_upload_edit_and_compare(ui: Ui, picture: Path) -> None:
    ui.begin(picture)
    assert np.array_equal(pixels(ui.folder / "turns/0000/picture.png"), pixels(picture))
    ui.edit("Make it night", becomes=1)
    ui.edit("Make it snow", becomes=2)
    shown = "[...document.querySelectorAll('.ik-frame img')].map(i => [i.naturalWidth, i.naturalHeight])"
    assert ui.page.evaluate(shown) == [[320, 256], [320, 256]]
    slider = ui.page.get_by_role("slider", name="Compare")
    cut = "getComputedStyle(document.querySelector('.ik-frame')).getPropertyValue('--cut')"
    slider.focus()
    slider.press("Home")
    assert ui.page.evaluate(cut) == "0%"
    slider.press("ArrowRight")
    assert ui.page.evaluate(cut) == "1%"
    box = ui.page.locator(".ik-frame").bounding_box()
    assert box is not None
    ui.page.mouse.click(box["x"] + box["width"] * 0.75, box["y"] + box["height"] / 2)
    assert 70 <= float(ui.page.evaluate(cut).rstrip("%")) <= 80
    before = ui.page.locator(".ik-before").get_attribute("src")
    ui.page.get_by_role("button", name="Compare with the first picture").click()
    first = ui.page.locator(".ik-before").get_attribute("src")
    assert first is not None
    assert before != first
    assert "/0.webp" in first
    ui.shoot("compare")
    with ui.page.expect_download() as download:
        ui.page.click("#ik-download")
    assert Path(download.value.path()).read_bytes() == (ui.folder / "turns/0002/picture.png").read_bytes()


def test_the_drift_of_every_turn_is_told(ui: Ui, picture: Path) -> None:
    ui.begin(picture)
    ui.edit("Make it night", becomes=1)
    drift = read_manifest(ui.folder).turns[1].drift
    assert drift is not None
    told = ui.page.locator('.ik-turn[data-turn="1"]').get_attribute("aria-label")
    assert told is not None
    if drift.untouched_psnr is None:
        assert "No pixel is left" in told
    else:
        assert f"{drift.untouched_share:.0%} of the picture was left alone" in told


def test_cancel_half_way_leaves_the_picture_as_it_was(ui: Ui, picture: Path) -> None:
    ui.begin(picture)
    before = (ui.folder / "session.json").read_bytes()
    ui.slow()
    ui.say("Make it night")
    ui.page.click("#ik-edit")
    bar = ui.page.get_by_role("progressbar")
    expect(bar).not_to_have_attribute("aria-valuenow", "0")
    ui.page.wait_for_function("document.querySelector('.ik-after').src.startsWith('data:image/webp')")
    assert ui.page.locator(".ik-after").get_attribute("alt") == "Preview: Make it night"
    ui.shoot("working", whole=False)
    ui.page.click("#ik-cancel")
    ui.tells("Cancelled")
    ui.at(0)
    assert (ui.folder / "session.json").read_bytes() == before
    assert ui.page.locator("#ik-prompt textarea").input_value() == "Make it night"


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


def test_a_painted_mask_keeps_every_byte_outside(ui: Ui, picture: Path) -> None:
    ui.begin(picture)
    ui.draw("mask", (0.3, 0.4), (0.6, 0.5))
    expect(ui.page.locator(".ik-marks .ik-hint")).to_have_text("Drawn: a mask")
    ui.draw("erase", (0.6, 0.5))
    ui.shoot("mask")
    ui.edit("Make it night", becomes=1)
    mask = np.asarray(Image.open(ui.folder / "turns/0001/mask.png"))
    assert mask[round(0.4 * 256), round(0.3 * 320)] == 255
    assert mask[round(0.5 * 256), round(0.6 * 320)] == 0
    before, after = (pixels(ui.folder / f"turns/000{n}/picture.png") for n in (0, 1))
    assert np.array_equal(before[mask == 0], after[mask == 0])
    assert (before != after).any()
    expect(ui.page.locator(".ik-marks .ik-hint")).to_have_text("Nothing drawn")


def test_drawn_cues_reach_the_model_where_they_were_drawn(ui: Ui, picture: Path) -> None:
    ui.begin(picture)
    ui.draw("box", (0.2, 0.3), (0.7, 0.8))
    ui.page.select_option("#ik-colour", "red")
    ui.draw("ellipse", (0.1, 0.1), (0.4, 0.5))
    ui.draw("arrow", (0.9, 0.9), (0.6, 0.6))
    ui.draw("scribble", (0.1, 0.9), (0.2, 0.8), (0.3, 0.9))
    ui.shoot("cues")
    expect(ui.page.locator(".ik-marks .ik-hint")).to_have_text("Drawn: 4 cues")
    ui.page.click("#ik-mark-undo")
    expect(ui.page.locator(".ik-marks .ik-hint")).to_have_text("Drawn: 3 cues")
    ui.edit("Make the marked thing blue", becomes=1)
    turn = read_manifest(ui.folder).turns[1]
    assert turn.how is not None
    rows = turn.how.cues
    assert [row["kind"] for row in rows] == ["box", "ellipse", "arrow"]
    assert [row.get("colour") for row in rows] == [None, "red", "red"]
    wanted = [[[0.2, 0.3], [0.7, 0.8]], [[0.1, 0.1], [0.4, 0.5]], [[0.9, 0.9], [0.6, 0.6]]]
    assert np.abs(np.array([row["points"] for row in rows]) - wanted).max() < 0.01
    record = read_metadata(ui.folder / "turns/0001/picture.png")
    assert record is not None
    assert len(record["cue_check"]["cues"]) == 3


def test_cues_in_words_and_one_outside_the_picture(ui: Ui, picture: Path) -> None:
    ui.begin(picture)
    before = (ui.folder / "session.json").read_bytes()
    ui.page.get_by_role("button", name="With the keyboard").click()
    ui.page.fill("#ik-written textarea", "ellipse:0.8,0.8,0.5,0.5")
    ui.say("Make it night")
    ui.page.click("#ik-edit")
    ui.tells("outside the picture", error=True)
    assert (ui.folder / "session.json").read_bytes() == before
    ui.page.fill("#ik-written textarea", "ellipse:0.2,0.3,0.25,0.2,red")
    ui.edit("Make it night", becomes=1)
    turn = read_manifest(ui.folder).turns[1]
    assert turn.how is not None
    assert turn.how.cues[0]["colour"] == "red"
    expect(ui.page.locator("#ik-written textarea")).to_have_value("")


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


def test_named_references_and_results_as_input(ui: Ui, picture: Path) -> None:
    ui.begin(picture)
    ui.upload(picture, into="ik-refs-drop")
    ui.page.get_by_label("Name of reference 1").fill("hat")
    ui.edit("Put @hat on the cat", becomes=1)
    turn = read_manifest(ui.folder).turns[1]
    assert turn.how is not None
    assert (turn.references, turn.how.position, turn.how.said) == (1, 1, "Put @hat on the cat")
    ui.page.get_by_label("Remove reference 1").click()
    expect(ui.page.locator(".ik-refs li")).to_have_count(0)
    ui.page.drag_and_drop('.ik-turn[data-turn="1"]', "#ik-refs-drop")
    expect(ui.page.locator(".ik-refs li")).to_have_count(1)
    ui.page.click("#ik-use-reference")
    expect(ui.page.locator(".ik-refs li")).to_have_count(2)
    old = ui.folder
    ui.page.click("#ik-use-start")
    expect(ui.page.locator(".ik-turn")).to_have_count(1)
    assert ui.folder != old
    assert np.array_equal(pixels(ui.folder / "turns/0000/picture.png"), pixels(old / "turns/0001/picture.png"))


def test_an_example_is_one_click_and_a_reload_loses_nothing(ui: Ui) -> None:
    ui.shoot("welcome")
    ui.page.locator(".ik-example").first.click()
    ui.at(0)
    prompt = ui.page.locator("#ik-prompt textarea").input_value()
    assert prompt
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


def test_the_keyboard_does_everything(ui: Ui, picture: Path) -> None:
    ui.begin(picture)
    ui.page.locator("#ik-prompt textarea").focus()
    ui.page.keyboard.type("Make it night")
    ui.page.keyboard.press("Control+Enter")
    ui.at(1)
    ui.slow()
    ui.page.locator("#ik-prompt textarea").focus()
    ui.page.keyboard.press("Control+Enter")
    expect(ui.page.get_by_role("progressbar")).not_to_have_attribute("aria-valuenow", "0")
    ui.page.keyboard.press("Escape")
    ui.tells("Cancelled")
    ui.page.locator('.ik-turn[data-turn="1"]').focus()
    ui.page.keyboard.press("ArrowLeft")
    ui.page.keyboard.press("Enter")
    ui.at(0)
    assert ui.page.evaluate("document.activeElement.dataset.turn") == "0"
    ui.page.keyboard.press("ArrowRight")
    ui.page.keyboard.press("Enter")
    ui.at(1)
    ui.page.keyboard.press("Control+z")
    ui.at(0)
    ui.page.keyboard.press("Control+Shift+z")
    ui.at(1)
    ui.page.locator("#ik-tool-look").focus()
    ui.page.keyboard.press("ArrowRight")
    expect(ui.page.locator("#ik-tool-mask")).to_be_checked()
    ui.page.keyboard.press("Escape")
    expect(ui.page.locator("#ik-tool-look")).to_be_checked()


NAMELESS = """[...document.querySelectorAll('#ik-main :is(button, input, select, textarea, a), #ik-header summary')]
  .filter(e => e.type !== 'file' && e.getClientRects().length && !e.closest('[aria-hidden=true]'))
  .filter(e => !((e.labels && [...e.labels].some(l => l.innerText.trim())) || e.getAttribute('aria-label')
    || (e.getAttribute('aria-labelledby') || '').split(' ').some(i => document.getElementById(i)?.innerText)
    || e.innerText?.trim() || e.title)).map(e => e.outerHTML.slice(0, 200))"""


def test_everything_has_a_name_for_screen_readers(ui: Ui, picture: Path) -> None:
    ui.begin(picture)
    ui.page.get_by_role("button", name="More").click()
    ui.page.get_by_role("button", name="With the keyboard").click()
    assert ui.page.evaluate(NAMELESS) == []
    assert all(ui.page.eval_on_selector_all(".ik-frame img", "all => all.map(i => i.alt)"))
    assert ui.page.locator("#ik-message [aria-live=polite]").count() == 1


def test_the_page_says_which_model_it_is(ui: Ui, tiny: Pipeline) -> None:
    head = ui.page.locator(".ik-model")
    networks = (tiny.transformer, tiny.autoencoder, tiny.towers.t5, tiny.towers.clip)
    count = sum(p.numel() for network in networks for p in network.parameters()) / 1e6
    expect(head).to_contain_text("tiny")
    expect(head).to_contain_text(f"{count:.1f} million parameters, 64 × 64 pixels, trained")
    head.locator("summary").click()
    expect(head).to_contain_text("English instructions of at most 40 pieces")
    ui.shoot("model")


@pytest.mark.parametrize("ui", [{"viewport": {"width": 390, "height": 844}, "has_touch": True}], indirect=True)
def test_phone_width(ui: Ui, picture: Path) -> None:
    ui.shoot("phone-welcome")
    ui.begin(picture)
    ui.edit("Make it night", becomes=1)
    wide = ui.page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
    assert wide[0] <= wide[1]
    parts = ("stage", "say", "tools", "tree", "source", "refs", "right")
    spots = [ui.page.locator(f"#ik-{part}").first.bounding_box() for part in parts]
    assert all(spots)
    assert [s["y"] for s in spots] == sorted(s["y"] for s in spots)
    assert all(s["x"] >= 0 and s["x"] + s["width"] <= 390 for s in spots)
    stage = ui.page.locator(".ik-frame").bounding_box()
    assert stage is not None
    assert stage["width"] > 300
    ui.draw("mask", (0.3, 0.4), (0.6, 0.5))
    expect(ui.page.locator(".ik-marks .ik-hint")).to_have_text("Drawn: a mask")
    ui.shoot("phone")


@pytest.mark.parametrize(
    ("ui", "dark"), [({"color_scheme": "light"}, False), ({"color_scheme": "dark"}, True)], indirect=["ui"]
)
def test_light_and_dark(ui: Ui, picture: Path, dark: bool) -> None:
    ui.page.wait_for_function(f"document.body.classList.contains('dark') === {str(dark).lower()}")
    colours = ui.page.evaluate(
        """['#ik-say', '#ik-prompt textarea'].map(s => getComputedStyle(document.querySelector(s)))
        .map(e => [e.backgroundColor, e.color].map(c => c.match(/[0-9.]+/g).slice(0, 3).map(Number)))"""
    )
    for ground, ink in np.mean(colours, axis=2):
        assert (ground < 60 and ink > 180) if dark else (ground > 200 and ink < 80), colours
    if not dark:
        return
    ui.begin(picture)
    ui.edit("Make it night", becomes=1)
    ui.shoot("dark")


def test_the_page_asks_nobody_else_for_anything(ui: Ui, picture: Path) -> None:
    ui.begin(picture)
    ui.edit("Make it night", becomes=1)
    hosts = {urlsplit(url).netloc for url in ui.asked if urlsplit(url).scheme not in ("data", "blob")}
    assert hosts == {urlsplit(ui.server.url).netloc}
    # What the policy of the page forbids it to ask for would be told here.
    assert [line for line in ui.said if "Content Security Policy" in line or "ERR_" in line] == []
