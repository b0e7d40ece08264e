"""Decode pictures nobody vouches for into one plain form.

Only a few formats are tried, the header's size is checked before a pixel is decoded, and every kind of
picture (EXIF-rotated, transparent, 16-bit, palette, CMYK, grey) becomes 8-bit RGB plus, perhaps, alpha.
"""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from inkontext.errors import PictureError

FORMATS = ("PNG", "JPEG", "MPO", "WEBP", "GIF", "BMP", "TIFF")
MAX_PIXELS = 128_000_000
PictureLike = str | Path | bytes | Image.Image | np.ndarray


@dataclass(frozen=True)
class Picture:
    """A decoded picture: `rgb` (mode RGB, transparency laid over white), `alpha` (mode L) or None, ICC profile."""

    rgb: Image.Image
    alpha: Image.Image | None = None
    icc: bytes | None = None

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        return self.rgb.size


def read_picture(source: PictureLike, *, reference: bool = False) -> Picture:
    """Open a path, bytes, PIL image or uint8 array `[H, W]`, `[H, W, 3]` or `[H, W, 4]`.

    With `reference=True` the picture is converted as the reference implementations do it: EXIF orientation
    ignored and transparency dropped.

    Raises:
        PictureError: missing, unreadable, truncated, too large, or of a kind that is not a picture.
    """
    image = open_image(source)
    if reference:
        return Picture(image.convert("RGB"))
    try:
        return _normalise(image)
    except (OSError, SyntaxError, ValueError) as error:
        raise PictureError(f"{_describe(source)} cannot be converted to RGB ({error}); re-save it as PNG") from error


def open_image(source: PictureLike) -> Image.Image:
    """The fully decoded PIL image behind `source`, in its own mode and orientation. Raises as `read_picture`."""
    if isinstance(source, Image.Image):
        _check_size(source, _describe(source))
        image = source
    elif isinstance(source, np.ndarray):
        return _from_array(source)
    else:
        image = _open_file(source)
    try:
        image.load()
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise PictureError(f"{_describe(source)} is damaged or cut short ({error}); get the file again") from error
    return image


def _open_file(source: str | Path | bytes) -> Image.Image:
    name = _describe(source)
    if not isinstance(source, bytes):
        path = Path(source)
        if path.is_dir():
            raise PictureError(f"{name} is a folder; give the picture file inside it")
        if not path.exists():
            raise PictureError(f"{name} does not exist; check the path")
        source = path
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            data = io.BytesIO(source) if isinstance(source, bytes) else source
            image = Image.open(data, formats=FORMATS)
    except UnidentifiedImageError as error:
        raise PictureError(f"{name} is not a picture in {', '.join(FORMATS)}; convert it to PNG first") from error
    except Image.DecompressionBombError as error:
        raise PictureError(f"{name} claims more than {MAX_PIXELS // 10**6} megapixels; scale it down") from error
    except (OSError, SyntaxError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise PictureError(f"{name} cannot be read ({reason}); check the file and its permissions") from error
    _check_size(image, name)
    return image


def _check_size(image: Image.Image, name: str) -> None:
    width, height = image.size
    if width < 1 or height < 1:
        raise PictureError(f"{name} is {width}x{height} pixels; a picture needs at least one pixel")
    if width * height > MAX_PIXELS:
        raise PictureError(
            f"{name} is {width}x{height} = {width * height / 1e6:.0f} megapixels, "
            f"more than {MAX_PIXELS // 10**6}; scale it down first"
        )


def _from_array(array: np.ndarray) -> Image.Image:
    if array.dtype != np.uint8 or array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (3, 4)):
        raise PictureError(
            f"an array picture must be uint8 of shape [H, W], [H, W, 3] or [H, W, 4], "
            f"not {array.dtype} {list(array.shape)}"
        )
    if 0 in array.shape:
        raise PictureError("an array picture needs at least one pixel")
    return Image.fromarray(array)


def _describe(source: PictureLike) -> str:
    if isinstance(source, str | Path):
        return f"picture '{source}'"
    return f"the picture '{source.filename}'" if getattr(source, "filename", "") else "the picture"  # type: ignore[union-attr]


def _normalise(image: Image.Image) -> Picture:
    icc = image.info.get("icc_profile")
    image = ImageOps.exif_transpose(image)
    if image.mode == "CMYK":
        return Picture(_from_cmyk(image, icc))
    if image.mode in ("I;16", "I;16L", "I;16B", "I;16N", "I", "F"):
        image = _to_eight_bit(image)
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        alpha = rgba.getchannel("A")
        if alpha.getextrema() != (255, 255):
            white = Image.new("RGBA", rgba.size, "white")
            return Picture(Image.alpha_composite(white, rgba).convert("RGB"), alpha, icc)
        image = rgba
    return Picture(image.convert("RGB"), None, icc)


def _to_eight_bit(image: Image.Image) -> Image.Image:
    """16-bit and 32-bit grey to 8 bits. Pillow's own conversion clips at 255 instead of scaling."""
    values = np.asarray(image, dtype=np.float64)
    top = 65535.0 if image.mode != "F" else 1.0 if values.max(initial=0) <= 1 else 255.0
    return Image.fromarray((np.clip(values / top, 0, 1) * 255 + 0.5).astype(np.uint8))


def _from_cmyk(image: Image.Image, icc: bytes | None) -> Image.Image:
    if icc:
        try:
            profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
            converted = ImageCms.profileToProfile(image, profile, ImageCms.createProfile("sRGB"), outputMode="RGB")
        except (ImageCms.PyCMSError, OSError):
            warnings.warn("the CMYK picture's colour profile is broken; using plain conversion", stacklevel=2)
        else:
            assert converted is not None
            return converted
    return image.convert("RGB")
