"""The served page in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from inkontext.evaluation.preference.database import read_votes
from inkontext.evaluation.preference.study import Study
from tests.server.browser import PATIENCE
from tests.server.conftest import Server


@pytest.fixture
def page(browser: Browser, server: Server) -> Iterator[Page]:
    page = browser.new_page()
    page.set_default_timeout(PATIENCE)
    yield page
    page.close()


def begin(page: Page, server: Server, name: str) -> None:
    page.goto(server.url)
    page.fill("#name", name)
    page.click("button:has-text('Begin')")


def status(page: Page, text: str) -> None:
    expect(page.locator("#status")).to_have_text(text, timeout=PATIENCE)


def test_a_voter_votes_goes_back_loses_the_server_and_comes_again(
    page: Page, server: Server, study: Study, tmp_path: Path
) -> None:
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    begin(page, server, "  ann   lee ")
    status(page, "Question 1 of 30")
    assert page.text_content("#instruction").startswith("“<b>a cat & ")  # words, not markup
    page.wait_for_function("() => [...document.querySelectorAll('#pair img')].every((i) => i.naturalWidth === 160)")
    page.screenshot(path=tmp_path / "page.png")
    page.keyboard.press("1")
    status(page, "Question 2 of 30")
    page.keyboard.press("Backspace")
    status(page, "Question 1 of 30")
    expect(page.locator("[data-choice=left]")).to_have_attribute("aria-pressed", "true")
    page.click("[data-choice=right]")
    page.click("[data-choice=tie]")
    status(page, "Question 3 of 30")
    expect(page.locator("#kept")).to_have_text("Kept in this browser; received.", timeout=PATIENCE)
    votes = read_votes(tmp_path / "study", study)
    assert [(v.rater, v.dimension, v.choice) for v in votes] == [
        ("ann lee", "aesthetics", "tie"), ("ann lee", "instruction", "right"),
    ]  # fmt: skip

    server.kill()
    page.keyboard.press("0")
    page.keyboard.press("0")
    expect(page.locator("#wait")).to_be_visible(timeout=PATIENCE)
    again = Server(tmp_path / "study", server.port)
    try:
        page.click("#retry")
        status(page, "Question 5 of 30")
        assert len(read_votes(tmp_path / "study", study)) == 4
        page.evaluate("localStorage.clear()")  # as from another browser
        begin(page, again, "ann lee")
        status(page, "Question 5 of 30")
        begin(page, again, "x" * 64)
        status(page, "Question 1 of 30")
    finally:
        again.close()
    assert not wrong
