"""The page of the embedded model, served for real, in a real browser."""

from __future__ import annotations

import base64
import re
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from inkontext.data.world import sample_pair
from inkontext.pipeline import Pipeline
from inkontext.result import Progress
from inkontext.server.ui.job import Job
from tests.server.browser import PATIENCE

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

SHOTS = Path(__file__).parents[3] / "out" / "screenshots"
PAUSE = 3  # the step after which a held edit waits


def pixels(path: Path) -> np.ndarray:
    """Of a picture, uint8 `[H, W, 3]`."""
    return np.asarray(Image.open(path).convert("RGB"))


@pytest.fixture(scope="session")
def tiny() -> Pipeline:
    """In two steps where nothing else is asked for: the page is tested here, not what the model makes."""
    pipeline = Pipeline.from_pretrained("tiny", device="cpu")
    pipeline.sampling = replace(pipeline.sampling, steps=2)
    return pipeline


@dataclass
class Server:
    """A running page: its address, and the folder of its conversations."""

    url: str
    sessions: Path


@pytest.fixture(scope="session")
def server(tiny: Pipeline, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    import uvicorn

    from inkontext.server.app import create_app

    sessions = tmp_path_factory.mktemp("page") / "sessions"
    door = socket.socket()
    door.bind(("127.0.0.1", 0))
    running = uvicorn.Server(
        uvicorn.Config(create_app(tiny, sessions), log_level="warning", timeout_graceful_shutdown=2)
    )
    thread = threading.Thread(target=running.run, kwargs={"sockets": [door]}, daemon=True)
    thread.start()
    while not running.started:
        assert thread.is_alive()
        time.sleep(0.05)
    yield Server(f"http://127.0.0.1:{door.getsockname()[1]}/", sessions)
    running.should_exit = True
    thread.join(30)


@dataclass
class Ui:
    """What a person does on the page.

    Attributes:
        asked: addresses that the page asked for.
        said: what the browser complained of.
    """

    page: Page
    server: Server
    asked: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    def open(self, query: str = "") -> Ui:
        self.page.goto(self.server.url + query)
        self.page.wait_for_selector(".ik-welcome:visible, .ik-stage:visible")
        self.page.wait_for_selector("body:not(.ik-opening) #ik-recall button")  # the last part
        return self

    @property
    def name(self) -> str:
        """The conversation, as the address tells it."""
        match = re.search(r"[?&]session=([^&]+)", self.page.url)
        assert match is not None, self.page.url
        return match[1]

    @property
    def folder(self) -> Path:
        return self.server.sessions / self.name

    def upload(self, *files: Path, into: str = "ik-source") -> None:
        self.page.set_input_files(f"#{into} input[type=file]", list(files))

    def drop(self, file: Path, onto: str) -> None:
        """Drop a file that comes from outside the browser."""
        held = self.page.evaluate_handle(
            """([name, body]) => {
                const held = new DataTransfer(), bytes = Uint8Array.from(atob(body), (c) => c.charCodeAt(0));
                held.items.add(new File([bytes], name));
                return held;
            }""",
            [file.name, base64.b64encode(file.read_bytes()).decode()],
        )
        for event in ("dragenter", "dragover", "drop"):
            self.page.dispatch_event(f"#{onto} button", event, {"dataTransfer": held})

    def begin(self, file: Path) -> None:
        """A new conversation, also after another."""
        before = self.page.url
        self.upload(file)
        self.page.wait_for_url(lambda url: "session=" in url and url != before)
        self.at(0)
        self.tells("Say what should change")

    def say(self, prompt: str) -> None:
        self.page.fill("#ik-prompt textarea", prompt)

    def edit(self, prompt: str, becomes: int) -> None:
        """Edit and wait for the turn with that number."""
        self.say(prompt)
        self.page.click("#ik-edit")
        self.at(becomes)
        self.tells(f"Turn {becomes} is kept")

    def at(self, turn: int) -> None:
        """Wait until that turn is the current one, and its picture is there."""
        from playwright.sync_api import expect

        expect(self.page.locator('.ik-turn[aria-current="true"]')).to_have_attribute("data-turn", str(turn))
        self.page.wait_for_function(
            "turn => !document.body.classList.contains('ik-busy') && document.querySelector('.ik-after').alt"
            ".startsWith(`Turn ${turn}:`) && document.querySelector('.ik-after').naturalWidth > 0",
            arg=turn,
        )

    def tells(self, text: str, error: bool = False) -> None:
        """Wait until the line under the picture says this."""
        from playwright.sync_api import expect

        expect(self.page.locator("#ik-message p" + (".error" if error else ":not(.error)"))).to_contain_text(text)

    def steps(self, number: int) -> None:
        """The setting of this name."""
        self.page.get_by_role("button", name="More").click()
        field = self.page.locator("#ik-steps input[type=number]")
        field.fill(str(number))
        field.press("Tab")

    def draw(self, tool: str, *points: tuple[float, float]) -> None:
        """Draw on the picture; coordinates are its fractions."""
        self.page.locator(f"label[for=ik-tool-{tool}]").click()
        canvas = self.page.locator(".ik-frame canvas")
        canvas.scroll_into_view_if_needed()
        box: Any = canvas.bounding_box()
        at = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in points]
        self.page.mouse.move(*at[0])
        self.page.mouse.down()
        for point in at[1:]:
            self.page.mouse.move(*point, steps=4)
        self.page.mouse.up()

    def shoot(self, name: str, whole: bool = True) -> None:
        """Keep a screenshot."""
        SHOTS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=SHOTS / f"{name}.png", full_page=whole)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Keep what the page looked like when its test failed."""
    report: Any = yield
    page = getattr(item, "funcargs", {}).get("ui")
    if page is not None and report.when == "call" and report.failed:
        page.shoot(f"failed-{re.sub(r'[^a-z0-9]+', '-', item.name)}")
        report.sections.append(("the browser", "\n".join(page.said)))
    return report


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Every edit waits after step PAUSE until it is cancelled, or this is set."""
    go, step = threading.Event(), Job._step

    def slow(job: Job, progress: Progress) -> bool:
        goes_on = step(job, progress)
        while goes_on and progress.step == PAUSE and not go.wait(0.01):
            goes_on = not job._stop.is_set()
        return goes_on

    monkeypatch.setattr(Job, "_step", slow)
    yield go
    go.set()


@pytest.fixture
def ui(browser: Browser, server: Server, request: pytest.FixtureRequest) -> Iterator[Ui]:
    """The page, just opened. `@pytest.mark.parametrize("ui", [{...}], indirect=True)` sets the browser's context."""
    options = {"viewport": {"width": 1360, "height": 900}} | getattr(request, "param", {})
    context = browser.new_context(**options)
    context.set_default_timeout(PATIENCE)
    from playwright.sync_api import expect

    expect.set_options(timeout=PATIENCE)
    page = context.new_page()
    made = Ui(page, server)
    page.on("request", lambda r: made.asked.append(r.url))
    page.on("console", lambda m: made.said.append(m.text) if m.type in ("error", "warning") else None)
    page.on("pageerror", lambda e: made.said.append(str(e)))
    yield made.open()
    context.close()


@pytest.fixture(scope="session")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A picture of the world, wider than high, larger than the model's."""
    path = tmp_path_factory.mktemp("pictures") / "scene.png"
    scene = sample_pair(5, "local", 256, "test").references[0]
    wide = Image.new("RGB", (320, 256), scene.getpixel((0, 0)))
    wide.paste(scene, (32, 0))
    wide.save(path)
    return path
