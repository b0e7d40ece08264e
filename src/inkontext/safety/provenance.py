"""Write pictures with the record of how they were made, and read it back."""

from __future__ import annotations

import io
import json
import warnings
from pathlib import Path
from typing import Any

from PIL import Image, PngImagePlugin

from inkontext import __version__
from inkontext.errors import OptionError
from inkontext.safety.pictures import DAMAGE, open_image
from inkontext.storage import atomic_path

KEY = "inkontext"
_FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}
_IMAGE_DESCRIPTION, _SOFTWARE = 0x010E, 0x0131
# Bytes of text. An EXIF segment of JPEG holds 65533 in all; readers of PNG refuse chunks of more than some megabytes.
_ROOM = {"JPEG": 64_000, "PNG": 4_000_000, "WEBP": 4_000_000}
_SIDES = {"JPEG": 65_500, "PNG": 2**31 - 1, "WEBP": 16_383}  # pixels, the longest that a format holds
_CUTS = (2000, 200, 20)  # letters of a text, entries of a list


def check_suffix(path: Path) -> str:
    """Pillow's format name for the path; raises OptionError for a suffix that cannot hold the record."""
    try:
        return _FORMATS[path.suffix.lower()]
    except KeyError:
        raise OptionError(f"cannot write '{path}'; end its name in {', '.join(_FORMATS)}") from None


def check_keeps_bytes(path: Path, mask_mode: str) -> None:
    """Raises OptionError where the file's format would change what an exact mask keeps."""
    if mask_mode == "exact" and check_suffix(path) != "PNG":
        raise OptionError(
            f"a mask keeps every byte outside it, which '{path.suffix}' cannot hold; end the name of '{path}' in .png"
        )


def check_holds(path: Path, size: tuple[int, int]) -> None:
    """Raises OptionError where a picture of that size (width, height) does not go into the file's format."""
    if max(size) > (most := _SIDES[check_suffix(path)]):
        raise OptionError(
            f"{size[0]}x{size[1]} pixels do not go into '{path.suffix}', which ends at {most} a side; end the name of "
            f"'{path}' in .png"
        )


def is_whole(path: Path, metadata: dict[str, Any]) -> bool:
    """Whether a file of that name holds the whole record; else it is shortened there."""
    return _fits(json.dumps({KEY: metadata}), check_suffix(path))


def encode_picture(image: Image.Image, kind: str, metadata: dict[str, Any] | None = None) -> bytes:
    """The file bytes of a picture as `PNG`, `JPEG` or `WEBP`, metadata and colour profile inside.

    JPEG is written at quality 95 without chroma subsampling, transparency laid over white. A record that is too long
    for the format is shortened, and says so.
    """
    options: dict[str, Any] = {"icc_profile": image.info.get("icc_profile")}
    text = _text(metadata, kind) if metadata else None
    if kind == "PNG":
        info = PngImagePlugin.PngInfo()
        info.add_text("Software", f"InKontext {__version__}")
        if text:
            info.add_itxt(KEY, text)
        options["pnginfo"] = info
    else:
        exif = Image.Exif()
        exif[_SOFTWARE] = f"InKontext {__version__}"
        if text:
            exif[_IMAGE_DESCRIPTION] = text
        options |= {"exif": exif, "quality": 95}
    if kind == "JPEG":
        options["subsampling"] = 0
        if image.mode == "RGBA":
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
        image = image.convert("RGB")
    buffer = io.BytesIO()
    try:
        image.save(buffer, kind, **options)
    except (OSError, ValueError) as error:  # WebP ends at 16383 pixels a side, JPEG at 65535
        raise OptionError(f"{image.width}x{image.height} pixels do not go into {kind} ({error}); use .png") from error
    return buffer.getvalue()


def _text(metadata: dict[str, Any], kind: str) -> str:
    """The record as JSON that fits into the format: whole, or with long texts and lists cut, or none of it."""
    shortened = {"shortened": True}
    tries = (metadata, *(_cut(metadata, most) | shortened for most in _CUTS), shortened)
    return next(text for text in (json.dumps({KEY: body}) for body in tries) if _fits(text, kind))


def _fits(text: str, kind: str) -> bool:
    return len(text) <= _ROOM[kind]  # ASCII, so a letter is a byte


def _cut(value: Any, most: int) -> Any:
    if isinstance(value, dict):
        return {key: _cut(part, most) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_cut(part, most) for part in value[:most]]
    return value[:most] + "…" if isinstance(value, str) and len(value) > most else value


def save_picture(
    image: Image.Image, path: Path, metadata: dict[str, Any] | None = None, *, overwrite: bool = True
) -> None:  # fmt: skip
    """Write a picture whole or not at all, in the format its suffix names.

    Raises:
        OptionError: an unknown suffix.
        FileExistsError: without `overwrite`, the file is there, perhaps since a moment ago.
        StorageError: the disk refuses.
    """
    data = encode_picture(image, check_suffix(path), metadata)
    with atomic_path(path, overwrite=overwrite) as temporary:
        temporary.write_bytes(data)


def read_metadata(path: Path) -> dict[str, Any] | None:
    """The record inside a picture, or None if it has none of ours. Raises PictureError for no picture."""
    image = open_image(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            text = image.info.get(KEY) or image.getexif().get(_IMAGE_DESCRIPTION)
        body = json.loads(text) if isinstance(text, str) else None
    except (*DAMAGE, RecursionError):  # somebody else's broken metadata is not our record
        return None
    record = body.get(KEY) if isinstance(body, dict) else None
    return record if isinstance(record, dict) else None
