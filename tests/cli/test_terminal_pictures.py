"""Pictures in a terminal: the escapes decoded again as the terminal does, and which terminal gets which."""

from __future__ import annotations

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from inkontext.cli.terminal_pictures import cells, iterm2, kitty, show, way_of


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def _noise(width: int, height: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8))


def _shown(image: Image.Image, environment: dict[str, str], **console: object) -> str:
    file = Terminal()
    settings = {"force_terminal": True, "color_system": "truecolor", "width": 80, "_environ": environment} | console
    show(image, Console(file=file, **settings), environment)  # pyright: ignore[reportArgumentType]
    return file.getvalue()


@pytest.mark.parametrize(
    ("environment", "colours", "way"),
    [
        ({"TERM": "xterm-kitty"}, True, "kitty"), ({"TERM": "xterm-256color", "KITTY_WINDOW_ID": "1"}, True, "kitty"),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "ghostty"}, True, "kitty"),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "iTerm.app"}, False, "iterm2"),
        ({"TERM_PROGRAM": "WezTerm", "KITTY_WINDOW_ID": "1"}, True, "iterm2"),
        ({"TERM": "tmux-256color", "KITTY_WINDOW_ID": "1"}, True, "blocks"),
        ({"TERM": "screen", "TERM_PROGRAM": "iTerm.app"}, False, None),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "vscode"}, True, "blocks"),
        ({"TERM": "xterm"}, False, None), ({"TERM": "dumb", "KITTY_WINDOW_ID": "1"}, True, None),
    ],
)  # fmt: skip
def test_which_terminal_gets_which(environment: dict[str, str], colours: bool, way: str | None) -> None:
    assert way_of(environment, colours) == way


@pytest.mark.parametrize("length", [1, 3071, 3072, 3073, 6144, 10_000])
def test_kittys_chunks_are_the_png_again(length: int) -> None:
    png = np.random.default_rng(length).bytes(length)
    parts = re.findall(r"\x1b_G([^;]*);([^\x1b]*)\x1b\\", kitty(png, 40, 12))
    assert "".join(f"\x1b_G{keys};{data}\x1b\\" for keys, data in parts) == kitty(png, 40, 12)
    assert base64.b64decode("".join(data for _, data in parts), validate=True) == png
    assert all(len(data) <= 4096 and len(data) % 4 == 0 for _, data in parts)
    assert parts[0][0].split(",")[:-1] == ["a=T", "f=100", "q=2", "c=40", "r=12"]
    assert [keys.rpartition("m=")[2] for keys, _ in parts] == ["1"] * (len(parts) - 1) + ["0"]
    assert len(parts) == max(1, -(-length // 3072))


def test_iterm2s_escape_is_the_png_again() -> None:
    png = np.random.default_rng(1).bytes(5000)
    found = re.fullmatch(r"\x1b\]1337;File=([^:]*):([A-Za-z0-9+/=]*)\x07", iterm2(png, 40, 12))
    assert found is not None and base64.b64decode(found[2]) == png
    assert dict(pair.split("=") for pair in found[1].split(";")) == {
        "inline": "1", "size": "5000", "width": "40", "height": "12", "preserveAspectRatio": "1",
    }  # fmt: skip


@pytest.mark.parametrize("environment", [{"TERM": "xterm-kitty"}, {"TERM_PROGRAM": "iTerm.app"}])
def test_what_is_sent_is_the_picture(environment: dict[str, str]) -> None:
    image = _noise(96, 64)
    sent = _shown(image, environment)
    data = "".join(re.findall(r"[;:]([A-Za-z0-9+/=]*)(?:\x1b\\|\x07)", sent))
    assert Image.open(io.BytesIO(base64.b64decode(data))).tobytes() == image.tobytes()
    assert sent.endswith("\n")


def test_a_large_picture_is_sent_small() -> None:
    sent = _shown(_noise(1300, 650), {"TERM_PROGRAM": "iTerm.app"})
    found = re.search(r":([A-Za-z0-9+/=]*)\x07", sent)
    assert found is not None and Image.open(io.BytesIO(base64.b64decode(found[1]))).size == (640, 320)


def test_half_blocks_are_the_pixels() -> None:
    image = Image.new("RGB", (48, 32))
    image.paste((200, 10, 30), (0, 0, 48, 1))
    image.paste((0, 250, 5), (0, 31, 48, 32))
    lines = _shown(image, {"TERM": "xterm-256color"}).splitlines()
    assert len(lines) == 16 and all(line.count("▀") == 48 for line in lines)
    assert "38;2;200;10;30;48;2;0;0;0m" in lines[0] and "38;2;0;0;0;48;2;0;250;5m" in lines[-1]


def test_nothing_where_there_is_no_terminal_or_no_colour() -> None:
    file = io.StringIO()
    show(_noise(8, 8), Console(file=file, force_terminal=True, color_system="truecolor"), {"TERM": "xterm-kitty"})
    assert file.getvalue() == ""
    assert _shown(_noise(8, 8), {"TERM": "xterm-256color"}, no_color=True) == ""
    assert _shown(_noise(8, 8), {"TERM": "xterm-256color"}, color_system=None) == ""


@pytest.mark.parametrize("size", [(96, 64), (64, 640), (5000, 3), (1, 1), (3, 5000)])
def test_a_preview_fits_and_keeps_its_shape(size: tuple[int, int]) -> None:
    columns, rows = cells(size, 48, 20)
    assert 1 <= columns <= 48 and 1 <= rows <= 20
    if min(columns, rows) > 3:
        assert columns / (2 * rows) == pytest.approx(size[0] / size[1], rel=0.25)
