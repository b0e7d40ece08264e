"""The browser that pages are tested in."""

from __future__ import annotations

import os
import shutil

import pytest

# No sandbox inside containers; nothing that asks its maker for news.
FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync")  # fmt: skip
PATIENCE = 600_000  # milliseconds that a page is waited for; a busy machine is no failure
_NAMES = ("chromium", "chromium-browser", "google-chrome")


def chromium() -> str:
    """Its path. Where there is none a test is skipped, and fails where the environment says CI=true."""
    path = next((found for name in _NAMES if (found := shutil.which(name))), None)
    if path is None:
        told = "tests of pages need Chromium; install it with: apt-get install chromium"
        if os.environ.get("CI") == "true":
            pytest.fail(told, pytrace=False)
        pytest.skip(told)
    return path
