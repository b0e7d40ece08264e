"""`inkontext ui`: refusals before the model is loaded, and a page that starts and ends."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from urllib.request import urlopen

import pytest

from tests.cli.conftest import Cli


def test_a_taken_port_is_told_before_the_model_is_loaded(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INKONTEXT_MODEL", "/no/such/model")
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        door.listen()
        outcome = cli("ui", "--port", str(door.getsockname()[1]), "--no-browser")
    assert outcome.code == 2
    assert "choose another --port" in outcome.complaint


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("--port", "99999"), "--port must be"),
        (("--host", "203.0.113.1"), "cannot listen"),
        (("--sessions", "file"), "is a file"),
        (("--model", "/no/such/model"), "/no/such/model"),
    ],
)
def test_what_cannot_be_is_refused(cli: Cli, here: Path, arguments: tuple[str, ...], word: str) -> None:
    (here / "file").write_text("")
    outcome = cli("ui", "--no-browser", *arguments)
    assert outcome.code == 2
    assert word in outcome.complaint


def test_it_starts_says_where_and_ends_with_ctrl_c(debug_folder: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", "from inkontext.cli.main import main; main()", "ui", "--no-browser", "--port", "0",
               "--model", str(debug_folder), "--sessions", "talks"]  # fmt: skip
    running = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True, env=dict(os.environ))
    try:
        assert running.stdout is not None
        line = running.stdout.readline()
        match = re.match(r"(http://127\.0\.0\.1:\d+/)  \(conversations are kept in talks; Ctrl-C ends\)", line)
        assert match is not None, line
        with urlopen(match[1] + "health") as answer:
            assert b'"ok"' in answer.read()
        running.send_signal(signal.SIGINT)
        assert running.wait() == 0
    finally:
        running.kill()
    assert not (tmp_path / "talks").exists()  # nothing is made before there is a conversation
