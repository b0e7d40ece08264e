"""Without a browser the pages' tests are skipped, except where nobody would see that they were."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.server.browser import chromium


def test_without_chromium_tests_are_skipped_and_fail_in_ci(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="need Chromium; install it"):
        chromium()
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="need Chromium; install it"):
        chromium()


def test_chromium_is_found_by_any_of_its_names(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    there = tmp_path / "chromium-browser"
    there.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CI", "true")
    assert chromium() == str(there)


def test_the_last_line_of_a_run_says_what_was_skipped_and_how_to_run_it(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "CI" and "PYTEST" not in name}
    words = ["-m", "pytest", "-q", "-n", "2", "-p", "no:cacheprovider", "tests/server/test_preference_page.py"]
    ended = subprocess.run(
        [sys.executable, *words], capture_output=True, text=True, cwd=Path(__file__).parents[2],
        env=environment | {"PATH": str(tmp_path)},
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert ended.stdout.splitlines()[-1] == (
        "Not run: 1 skipped (tests of pages need Chromium; install it with: apt-get install chromium); "
        "the slow tests (run them with: make test-all)"
    )
