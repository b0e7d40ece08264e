"""The page in headless Chromium: what people do on it, and what it keeps on disk. Screenshots: out/screenshots/."""

from __future__ import annotations

import threading
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from inkontext.pipeline import Pipeline
from inkontext.safety.provenance import read_metadata
from inkontext.session import read_manifest
from tests.server.ui.conftest import PAUSE, Ui, pixels


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


def test_a_working_size_is_typed_and_another_is_refused(ui: Ui, picture: Path) -> None:
    ui.begin(picture)
    field = ui.page.locator("#ik-resolution input, #ik-resolution textarea")
    expect(field).to_have_value("")
    field.fill("7")
    ui.say("Make it night")
    ui.page.click("#ik-edit")
    ui.tells("from 16 to 4096, not 7", error=True)
    field.fill("64")
    ui.edit("Make it night", becomes=1)
    turn = read_manifest(ui.folder).turns[1]
    assert turn.how is not None and turn.how.resolution == 64
    assert pixels(ui.folder / "turns/0001/picture.png").shape == (256, 320, 3)


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


def test_cancel_half_way_leaves_the_picture_as_it_was(ui: Ui, picture: Path, held: threading.Event) -> None:
    ui.begin(picture)
    before = (ui.folder / "session.json").read_bytes()
    ui.steps(PAUSE + 2)
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


def test_the_keyboard_does_everything(ui: Ui, picture: Path, held: threading.Event) -> None:
    ui.begin(picture)
    ui.page.locator("#ik-prompt textarea").focus()
    ui.page.keyboard.type("Make it night")
    ui.page.keyboard.press("Control+Enter")
    ui.at(1)
    ui.steps(PAUSE + 2)
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


CONTROLS = {"button", "checkbox", "combobox", "dialog", "image", "link", "listbox", "progressbar", "radio", "slider",
            "spinbutton", "textbox"}  # fmt: skip


def named(page: Page) -> list[tuple[str, str]]:
    """Role and name of every control and picture, from the browser's accessibility tree."""
    nodes = page.context.new_cdp_session(page).send("Accessibility.getFullAXTree")["nodes"]
    seen = [(n["role"]["value"], n.get("name", {}).get("value", "").strip()) for n in nodes if not n["ignored"]]
    return [(role, name) for role, name in seen if role.lower() in CONTROLS]


def test_everything_has_a_name_for_screen_readers(ui: Ui, picture: Path) -> None:
    assert [role for role, name in named(ui.page) if not name] == []
    ui.begin(picture)
    ui.page.get_by_role("button", name="More").click()
    ui.page.get_by_role("button", name="With the keyboard").click()
    ui.edit("Make it night", becomes=1)
    ui.upload(picture, into="ik-refs-drop")
    expect(ui.page.locator(".ik-refs li")).to_have_count(1)
    everything = named(ui.page)
    assert len(everything) > 40
    assert [role for role, name in everything if not name] == []
    ui.page.click("#ik-delete")
    assert [role for role, name in named(ui.page) if not name] == []
    assert ui.page.locator("#ik-message [aria-live=polite]").count() == 1


def test_the_page_says_which_model_it_is(ui: Ui, tiny: Pipeline) -> None:
    head = ui.page.locator(".ik-model")
    networks = (tiny.transformer, tiny.autoencoder, tiny.towers.t5, tiny.towers.clip)
    count = sum(p.numel() for network in networks for p in network.parameters()) / 1e6
    expect(head).to_contain_text("tiny")
    expect(head).to_contain_text(
        f"{count:.1f} million parameters, {tiny.resolution} × {tiny.resolution} pixels, trained"
    )
    head.locator("summary").click()
    expect(head).to_contain_text(f"English instructions of at most {tiny.text_length} pieces")
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
