"""One row of a set on disk, opened only when it is read, and what can be wrong with a set."""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass, field
from pathlib import Path

from PIL import ExifTags, Image

from inkontext.errors import DataError, PictureError
from inkontext.geometry import Size
from inkontext.safety.pictures import DAMAGE, FORMATS, MAX_PIXELS, identify, read_picture

_HEAD = 65536  # bytes that hold nearly every header; a longer one is read whole
_TURNED = range(5, 9)  # EXIF orientations that swap width and height


@dataclass(frozen=True, slots=True)
class Blob:
    """The bytes of a file, or of a member of a tar archive (`length` bytes from `offset`).

    Attributes:
        file: path of the file or archive.
        member: name inside the archive.
    """

    file: str
    member: str = ""
    offset: int = 0
    length: int = -1

    @property
    def name(self) -> str:
        """How to tell a person which picture this is."""
        return f"{self.file}:{self.member}" if self.member else self.file

    def read(self, most: int = -1) -> bytes:
        """The bytes, at most that many.

        Raises:
            PictureError: missing, unreadable, or the archive is shorter than it was.
        """
        try:
            with Path(self.file).open("rb") as file:
                file.seek(self.offset)
                count = self.length if self.length >= 0 else -1
                data = file.read(min(count, most) if count >= 0 and most >= 0 else max(count, most))
        except FileNotFoundError as error:
            raise PictureError(f"picture '{self.name}' does not exist; check the path") from error
        except OSError as error:
            raise PictureError(f"picture '{self.name}' cannot be read ({error.strerror}); check the file") from error
        if self.length >= 0 and most < 0 and len(data) < self.length:
            raise PictureError(f"picture '{self.name}' is cut short; write its archive again")
        return data

    def picture(self) -> Image.Image:
        """The decoded RGB picture, upright, transparency over white.

        Raises:
            PictureError: naming the file.
        """
        if not self.member:
            return read_picture(self.file).rgb
        try:
            return read_picture(self.read()).rgb
        except PictureError as error:
            raise PictureError(str(error).replace("the picture ", f"picture '{self.name}' ", 1)) from error

    def size(self) -> Size:
        """(width, height) of the upright picture, from the header alone.

        Raises:
            PictureError: missing, or no picture.
        """
        for most in (_HEAD, -1):
            try:
                return _header_size(self.read(most))
            except DAMAGE as error:
                if most < 0:
                    raise PictureError(f"'{self.name}' is no picture in {', '.join(FORMATS)}; replace it") from error
        raise AssertionError


def _header_size(data: bytes) -> Size:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with identify(io.BytesIO(data)) as image:
            width, height = image.size
            # For PNG, getexif() would decode every pixel to look for a block behind them.
            told = image.format != "PNG" or "exif" in image.info
            turned = told and image.getexif().get(ExifTags.Base.Orientation) in _TURNED
    if width * height > MAX_PIXELS:
        raise ValueError(f"more than {MAX_PIXELS // 10**6} megapixels")
    return (height, width) if turned else (width, height)


@dataclass(frozen=True, slots=True)
class Row:
    """A target, its references (none for text-to-image) and its instruction, pictures still on disk."""

    key: str
    target: Blob
    references: tuple[Blob, ...] = ()
    instruction: str = ""
    mask: Blob | None = None
    category: str = ""

    @property
    def pictures(self) -> tuple[Blob, ...]:
        """Target first, then the references."""
        return (self.target, *self.references)


# kind -> what to do about it. The first group stops training.
FATAL = {
    "half-written": "write it again",
    "bad row": "correct the line",
    "missing file": "add the file or remove the row",
    "broken picture": "replace the picture or remove the row",
    "target without reference": "add the reference, or move the target to a set of its own for text-to-image",
    "reference without target": "add the target or remove the reference; stems must be equal",
    "no instruction": "add one",
    "empty instruction": "write one",
    "two files of one name": "keep one",
    "mask of another size": "give the mask the target's size",
}
MILD = {
    "text without picture": "remove it if it is not needed",
    "duplicate key": "rename one",
    "too small": "it will be enlarged",
    "extreme shape": "it will be cut to the widest canvas",
    "sizes differ": "fine for a reference; an edit of the whole picture should keep its size",
}


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong: a kind of `FATAL` or `MILD`, the file or row, and details."""

    kind: str
    name: str
    detail: str = ""

    @property
    def fatal(self) -> bool:
        """Whether training refuses the set for it."""
        return self.kind in FATAL

    @property
    def brief(self) -> str:
        """Kind, name and details."""
        return f"{self.kind}: {self.name}" + (f" ({self.detail})" if self.detail else "")


@dataclass
class Listing:
    """The rows of a set, and what is wrong with it as far as names tell."""

    path: Path
    format: str
    rows: list[Row] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def blame(self, kind: str, name: str | Path, detail: str = "") -> None:
        """Note a problem; names are told relative to the set's folder."""
        self.problems.append(Problem(kind, self.short(str(name)), self.short(detail)))

    def short(self, text: str) -> str:
        """A text without the set's folder in its paths."""
        return text.replace(f"{self.path}/", "")

    def sound(self) -> list[Row]:
        """The rows, when nothing stops training.

        Raises:
            DataError: with the first problem, and how many more.
        """
        bad = [problem for problem in self.problems if problem.fatal]
        if bad:
            more = f" and {len(bad) - 1} more" if len(bad) > 1 else ""
            raise DataError(
                f"'{self.path}' cannot be trained on: {bad[0].brief}{more}; {FATAL[bad[0].kind]} "
                "(`inkontext data check` lists everything)"
            )
        if not self.rows:
            raise DataError(f"'{self.path}' holds no rows; check the path")
        return self.rows
