"""`inkontext chat` at a terminal: a process of its own behind a pseudo-terminal, typed at as a person types."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from inkontext.session import read_manifest
from tests.session.painter import start

pty = pytest.importorskip("pty")
ROOT = Path(__file__).parents[2]
WAIT = 600.0  # seconds; a process imports PyTorch first, on a busy machine
RUN = """
import fcntl, sys, termios, time
fcntl.ioctl(0, termios.TIOCSCTTY, 0)  # so that Ctrl-C is a signal
from inkontext.cli import options
from inkontext.cli.main import main
from inkontext.errors import Cancelled
from inkontext.result import Progress
from tests.session.painter import Painter

class Slow(Painter):
    def edit(self, image, prompt, *, callback, **more):
        steps = 10**9 if "slow" in prompt else 1
        for step in range(1, steps + 1):
            if callback(Progress(1, 1, step, steps, lambda: image)) is False:
                raise Cancelled("cancelled")
            time.sleep(0.01)
        return super().edit(image, prompt, callback=callback, **more)

options.load = lambda *model: Slow()
main()
"""


class Typist:
    """A chat and the keyboard before it."""

    def __init__(self, folder: Path) -> None:
        self._master, slave = pty.openpty()
        paths = os.pathsep.join([str(ROOT / "src"), str(ROOT)])
        environment = os.environ | {"PYTHONPATH": paths, "TERM": "xterm", "NO_COLOR": "1", "COLUMNS": "100"}
        self.process = subprocess.Popen(
            [sys.executable, "-c", RUN, "chat", "first.png"], cwd=folder, env=environment, start_new_session=True,
            stdin=slave, stdout=slave, stderr=slave,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a background job ignores Ctrl-C
        )  # fmt: skip
        os.close(slave)
        self._unread = b""

    def type(self, keys: str) -> None:
        os.write(self._master, keys.encode())

    def see(self, words: str) -> str:
        """Wait until the words stand on the screen; gives what came before them. What was seen is seen once."""
        ends = time.monotonic() + WAIT
        while words.encode() not in self._unread:
            left = ends - time.monotonic()
            ready = left > 0 and select.select([self._master], [], [], left)[0]
            try:
                more = os.read(self._master, 65536) if ready else b""
            except OSError:  # the other side is gone
                more = b""
            assert more, f"{words!r} did not come; there was {self._unread.decode(errors='replace')!r}"
            self._unread += more
        before, _, self._unread = self._unread.partition(words.encode())
        return before.decode(errors="replace")

    def interrupt(self) -> int:
        """Ctrl-C, once: a second one could come while the process ends, and break that off.

        A signal that comes just before readline waits for a key is seen only at the end of the line, so the line ends.
        """
        self.type("\x03\n")
        return self.process.wait(WAIT)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._master)


@pytest.fixture
def typist(tmp_path: Path) -> Iterator[Typist]:
    start().save(tmp_path / "first.png")
    made = Typist(tmp_path)
    yield made
    made.close()


def test_a_conversation_at_a_terminal(typist: Typist, tmp_path: Path) -> None:
    typist.see("turn 0 on main: ")
    typist.see("/help lists the commands, Ctrl-D ends")
    typist.see("0> ")
    for line, told in (
        ("make it night", "drift: untouched"), ("/undo", "turn 0 on main"), ("/redo", "turn 1 on main"),
        ("/branch dusk", "turn 1 on dusk"), ("/goto main", "turn 1 on main"), ("/seed 7", "seed: 7"),
        ("/compare", "compare-0-1.png"), ("/save out.png", "saved turn 1: out.png"),
        ("/help", "everything is kept"), ("/frob", "there is no command '/frob'; /help lists them"),
        ("/replay", "after /quit there is `inkontext session replay`"), ("/goto 9", "there is no turn 9"),
    ):  # fmt: skip
        typist.type(line + "\n")
        typist.see(told)
        typist.see("> ")

    # Ctrl-C ends an edit and nothing else; the arrow up brings the line back, to be changed.
    typist.type("slow\n")
    typist.see("sampling")
    typist.type("\x03")
    typist.see("cancelling after this step")
    typist.see("the edit was cancelled")
    typist.see("1> ")
    typist.type("\x1b[A\x7f\x7f\x7f\x7fwarmer\n")
    typist.see("turn 2 on main")
    typist.see("2> ")
    typist.type("\x04")
    assert typist.process.wait(WAIT) == 0
    turns = read_manifest(tmp_path / "first-session").turns
    assert [turn.how and (turn.how.prompt, turn.how.seed) for turn in turns] == [
        None, ("make it night", 1), ("warmer", 7),
    ]  # fmt: skip
    assert (tmp_path / "out.png").is_file()


def test_ctrl_c_at_the_prompt_ends(typist: Typist, tmp_path: Path) -> None:
    typist.see("0> ")
    typist.type("half a line")
    typist.see("half a line")
    assert typist.interrupt() == 0
    assert len(read_manifest(tmp_path / "first-session").turns) == 1
