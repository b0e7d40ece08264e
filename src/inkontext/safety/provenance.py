"""Write pictures with the record of how they were made, and read it back."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

from PIL import Image, PngImagePlugin

from inkontext import __version__
from inkontext.errors import OptionError
from inkontext.safety.pictures import open_image
from inkontext.storage import atomic_path

KEY = "inkontext"
_FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}
_IMAGE_DESCRIPTION, _SOFTWARE = 0x010E, 0x0131


def check_suffix(path: Path) -> str:
    """Pillow's format name for the path; raises OptionError for a suffix that cannot hold the record."""
    try:
        return _FORMATS[path.suffix.lower()]
    except KeyError:
        raise OptionError(f"cannot write '{path}'; end its name in {', '.join(_FORMATS)}") from None


def encode_picture(image: Image.Image, kind: str, metadata: dict[str, Any] | None = None) -> bytes:
    """The file bytes of a picture as `PNG`, `JPEG` or `WEBP`, metadata and colour profile inside.

    JPEG is written at quality 95 without chroma subsampling, transparency laid over white.
    """
    options: dict[str, Any] = {"icc_profile": image.info.get("icc_profile")}
    text = json.dumps({KEY: metadata}) if metadata else None
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
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def save_picture(image: Image.Image, path: Path, metadata: dict[str, Any] | None = None) -> None:
    """Write a picture whole or not at all, in the format its suffix names.

    Raises:
        OptionError: an unknown suffix.
        StorageError: the disk refuses.
    """
    data = encode_picture(image, check_suffix(path), metadata)
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def read_metadata(path: Path) -> dict[str, Any] | None:
    """The record inside a picture, or None if it has none of ours. Raises PictureError for no picture."""
    image = open_image(path)
    text = image.info.get(KEY) or image.getexif().get(_IMAGE_DESCRIPTION)
    if not isinstance(text, str):
        return None
    try:
        body = json.loads(text)
    except json.JSONDecodeError:
        return None
    record = body.get(KEY) if isinstance(body, dict) else None
    return record if isinstance(record, dict) else None
