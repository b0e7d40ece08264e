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
_JPEG_ROOM = 64_000  # bytes of text; an EXIF segment holds 65533 in all


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
        if metadata and text:
            exif[_IMAGE_DESCRIPTION] = text if kind == "WEBP" or len(text) <= _JPEG_ROOM else _shortened(metadata)
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


def _shortened(metadata: dict[str, Any]) -> str:
    """The record with long texts cut, for a JPEG's 64 KiB."""
    cut = {key: value[:2000] + "…" if isinstance(value, str) and len(value) > 2000 else value
           for key, value in metadata.items()}  # fmt: skip
    return json.dumps({KEY: cut | {"shortened": True}})


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
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            text = image.info.get(KEY) or image.getexif().get(_IMAGE_DESCRIPTION)
        body = json.loads(text) if isinstance(text, str) else None
    except (*DAMAGE, RecursionError):  # somebody else's broken metadata is not our record
        return None
    record = body.get(KEY) if isinstance(body, dict) else None
    return record if isinstance(record, dict) else None
