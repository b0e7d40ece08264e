"""Pictures inside a terminal: by kitty's or iTerm2's protocol, else as half blocks in colour.

Kitty: https://sw.kovidgoyal.net/kitty/graphics-protocol/. iTerm2: https://iterm2.com/documentation-images.html.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from PIL import Image
    from rich.console import Console
    from rich.text import Text

Way = Literal["kitty", "iterm2", "blocks"]
COLUMNS: Final = 48  # the widest preview, in cells
ROWS: Final = 20
PIXELS: Final = 640  # the longest side sent
_CHUNK: Final = 4096  # characters of base64 in one of kitty's escapes
_KITTY: Final = ("xterm-kitty", "xterm-ghostty")
_PROGRAMS: Final[dict[str, Way]] = {"iTerm.app": "iterm2", "WezTerm": "iterm2", "ghostty": "kitty"}


def way_of(environment: Mapping[str, str], colours: bool) -> Way | None:
    """How the terminal of this environment shows a picture; None where it cannot.

    Inside tmux and screen neither protocol arrives, whatever terminal is around them.

    Args:
        colours: whether colours are allowed.
    """
    term = environment.get("TERM", "")
    if term == "dumb":
        return None
    if not term.startswith(("tmux", "screen")):
        if way := _PROGRAMS.get(environment.get("TERM_PROGRAM", "")):
            return way
        if term in _KITTY or environment.get("KITTY_WINDOW_ID"):
            return "kitty"
    return "blocks" if colours else None


def show(image: Image.Image, console: Console, environment: Mapping[str, str]) -> None:
    """Show a picture where the console is a terminal that can; else nothing."""
    if not console.file.isatty():
        return
    way = way_of(environment, console.color_system is not None and not console.no_color)
    columns, rows = cells(image.size, min(COLUMNS, console.width), ROWS)
    if way == "blocks":
        console.print(blocks(image, columns, rows))
    elif way is not None:
        png = _png(image)
        console.file.write((kitty if way == "kitty" else iterm2)(png, columns, rows) + "\n")
        console.file.flush()


def cells(size: tuple[int, int], columns: int, rows: int) -> tuple[int, int]:
    """The (columns, rows) a picture of (width, height) takes inside so many; a cell is twice as high as wide."""
    width, height = size
    scale = min(columns / width, 2 * rows / height)
    return max(1, round(width * scale)), max(1, round(height * scale / 2))


def kitty(png: bytes, columns: int, rows: int) -> str:
    """Kitty's escapes for a PNG: base64 in chunks, the last one with m=0, no answer wanted (q=2)."""
    data = base64.standard_b64encode(png).decode("ascii")
    chunks = [data[i : i + _CHUNK] for i in range(0, len(data), _CHUNK)]
    out = []
    for number, chunk in enumerate(chunks):
        keys = f"a=T,f=100,q=2,c={columns},r={rows}," if number == 0 else ""
        out.append(f"\x1b_G{keys}m={int(number < len(chunks) - 1)};{chunk}\x1b\\")
    return "".join(out)


def iterm2(png: bytes, columns: int, rows: int) -> str:
    """iTerm2's escape for a PNG."""
    data = base64.standard_b64encode(png).decode("ascii")
    keys = f"inline=1;size={len(png)};width={columns};height={rows};preserveAspectRatio=1"
    return f"\x1b]1337;File={keys}:{data}\x07"


def blocks(image: Image.Image, columns: int, rows: int) -> Text:
    """The picture as upper half blocks: the foreground is the upper pixel of a cell, the background the lower."""
    from rich.color import Color
    from rich.style import Style
    from rich.text import Text

    from inkontext.safety.pictures import read_picture

    small = read_picture(image).rgb.resize((columns, 2 * rows))
    out = Text(no_wrap=True)
    for y in range(0, 2 * rows, 2):
        out.append("\n" if y else "")
        for x in range(columns):
            upper, lower = (Color.from_rgb(*_pixel(small, x, y + below)) for below in (0, 1))
            out.append("▀", Style(color=upper, bgcolor=lower))
    return out


def _pixel(image: Image.Image, x: int, y: int) -> tuple[int, int, int]:
    red, green, blue = image.getpixel((x, y))  # pyright: ignore[reportGeneralTypeIssues]
    return red, green, blue


def _png(image: Image.Image) -> bytes:
    """A PNG of at most PIXELS a side; without the record, which no terminal reads."""
    small = image.copy()
    small.thumbnail((PIXELS, PIXELS))
    buffer = io.BytesIO()
    small.save(buffer, "PNG")
    return buffer.getvalue()
