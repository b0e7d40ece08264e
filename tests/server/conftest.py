"""One browser for all pages; a small study, and servers of it as voters meet them: processes of their own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import numpy as np
import pytest
from PIL import Image

from inkontext.evaluation.preference.data import Prompt, read_systems
from inkontext.evaluation.preference.folder import Order, write_study
from inkontext.evaluation.preference.study import Study, choose_dimensions
from tests.server.browser import FLAGS, PATIENCE, chromium

if TYPE_CHECKING:
    from playwright.sync_api import Browser

KEY = "open-sesame"


def make_study(place: Path, raters: tuple[str, ...] | None = None, keys: int = 4) -> Study:
    """Three systems, some keys, two questions, a check to every four trials."""
    named = []
    for s, name in enumerate(("alpha", "beta", "gamma")):
        (place / name).mkdir(parents=True)
        named.append(f"{name}={place / name}")
        for n in range(keys):
            noise = np.random.default_rng(100 * s + n).integers(0, 256, (6, 8, 3), dtype=np.uint8)
            Image.fromarray(noise).resize((160, 120)).save(place / name / f"{n:04d}.png")
    prompts = {f"{n:04d}": Prompt(f"{n:04d}", f"<b>a cat & {n}</b>") for n in range(keys)}
    dimensions = choose_dimensions("instruction,aesthetics")
    order = Order(read_systems(named), prompts, dimensions, None, 0.25, 0, raters)
    return write_study(place / "study", order)


def steady_port() -> int:
    """A port that is free, and below those which the system gives away, so that nobody takes it during a restart."""
    for port in range(20_000 + 10 * os.getpid() % 10_000, 32_000):
        with socket.socket() as door, suppress(OSError):
            door.bind(("127.0.0.1", port))
            return port
    raise OSError("no port is free between 20000 and 32000")


class Server:
    """`inkontext eval preference serve`; restarting it keeps the port."""

    def __init__(self, folder: Path, port: int | None = None) -> None:
        self.port = steady_port() if port is None else port
        words = [
            "eval",
            "preference",
            "serve",
            str(folder),
            "--port",
            str(self.port),
            "--key",
            KEY,
            "--resamples",
            "100",
        ]
        self._process = subprocess.Popen(
            [sys.executable, "-c", "from inkontext.cli.main import main; main()", *words],
            stdout=subprocess.PIPE, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().split()[-1]
        assert self._process.stdout.readline().split() == ["results:", f"{self.url}results?key={KEY}"]
        self.client = httpx.Client(base_url=self.url, timeout=None, transport=httpx.HTTPTransport(retries=20))

    def kill(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def close(self) -> None:
        self.client.close()
        if self._process.poll() is None:
            self._process.terminate()
            self._process.wait()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = chromium()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        started = play.chromium.launch(executable_path=path, args=list(FLAGS), timeout=PATIENCE)
        yield started
        started.close()


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return make_study(tmp_path)


@pytest.fixture
def server(study: Study, tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path / "study")
    yield server
    server.close()
