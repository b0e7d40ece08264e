"""Decode pictures nobody vouches for into one plain form.

Only a few formats are tried, the header's size is checked before a pixel is decoded, and every kind of
picture (EXIF-rotated, transparent, 16-bit, palette, CMYK, grey) becomes 8-bit RGB plus, perhaps, alpha.
"""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import IO, Final

import numpy as np
from PIL import ExifTags, Image, ImageCms, UnidentifiedImageError

from inkontext.errors import PictureError, one_line

# Format -> how names of its files end. MPO is opened by JPEG's reader, HEIF (a phone's photograph) by pillow-heif.
SUFFIXES: Final = {
    "PNG": (".png",), "JPEG": (".jpg", ".jpeg"), "WEBP": (".webp",), "GIF": (".gif",), "BMP": (".bmp",),
    "TIFF": (".tif", ".tiff"), "AVIF": (".avif",), "HEIF": (".heic", ".heif", ".hif"),
}  # fmt: skip
FORMATS = tuple(SUFFIXES)
_ENDINGS: Final = frozenset(suffix for suffixes in SUFFIXES.values() for suffix in suffixes)
_BRANDS: Final = b"avif avis heic heix heim heis hevc hevx hevm hevs mif1 msf1".split()  # of AVIF and HEIF
MAX_PIXELS = 128_000_000
# What Pillow raises on damaged files and bombs, found by flipping and cutting bytes of every format.
DAMAGE = (OSError, SyntaxError, ValueError, TypeError, KeyError, IndexError, EOFError, ArithmeticError,
           RuntimeError, struct.error, zlib.error, Image.DecompressionBombError)  # fmt: skip
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True)
class Picture:
    """A decoded picture.

    Attributes:
        rgb: mode RGB, transparency laid over white: what the model sees. Its `info` holds `icc` and nothing else of the
            file, so that an orientation that has been applied is not applied again.
        alpha: mode L, or None for an opaque picture.
        icc: colour profile of `rgb`.
        stored: with `alpha`, the RGB colours as they stand in the file, under the transparency.
    """

    rgb: Image.Image
    alpha: Image.Image | None = None
    icc: bytes | None = None
    stored: Image.Image | None = None

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        return self.rgb.size


PictureLike = str | Path | bytes | Image.Image | np.ndarray | Picture


def is_picture(name: str) -> bool:
    """Whether a file's name ends as a picture's does."""
    return PurePath(name).suffix.lower() in _ENDINGS


def identify(file: IO[bytes]) -> Image.Image:
    """Pillow's image of an open file: its header read, no pixel decoded. Raises one of `DAMAGE`.

    A HEIF or AVIF file is opened upright or with its turn as EXIF orientation, whatever else its EXIF says: the
    standard turns a picture by the boxes `irot` and `imir` alone.
    """
    formats = [kind for kind in FORMATS if kind not in ("AVIF", "HEIF")]
    if _has_brand(file):
        from pillow_heif import register_heif_opener  # a library that only these files need

        register_heif_opener(thumbnails=False, depth_images=False, aux_images=False)
        formats = ["AVIF", "HEIF"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a bomb is judged by the caller, a damaged file when it is decoded
        return Image.open(file, formats=formats)


def _has_brand(file: IO[bytes]) -> bool:
    file.seek(0)
    head = file.read(12)
    file.seek(0)
    return head[4:8] == b"ftyp" and head[8:] in _BRANDS


def read_picture(source: PictureLike, *, reference: bool = False, most: int | None = None) -> Picture:
    """Open a path, bytes, PIL image or uint8 array `[H, W]`, `[H, W, 3]` or `[H, W, 4]`; a `Picture` is there already.

    With `reference=True` the picture is converted as the reference implementations do it: EXIF orientation
    ignored and transparency dropped. More than `most` pixels are refused before any is decoded.

    Raises:
        PictureError: missing, unreadable, truncated, too large, or of a kind that is not a picture.
    """
    if isinstance(source, Picture):
        _check_size(source.size, _describe(source.rgb), most or MAX_PIXELS)
        return source
    return to_picture(open_image(source, most), _describe(source), reference)


def to_picture(image: Image.Image, name: str = "the picture", reference: bool = False) -> Picture:
    """The picture behind a decoded PIL image. Raises PictureError for a depth that is not understood."""
    try:
        return _alone(Picture(image.convert("RGB")) if reference else _normalise(image, name))
    except DAMAGE as error:
        raise PictureError(f"{name} cannot be converted to RGB ({one_line(error)}); re-save it as PNG") from error


def is_lossy(image: Image.Image) -> bool:
    """Whether the file that `open_image` decoded does not keep bytes as they were: JPEG, and WebP unless lossless."""
    if image.format == "TIFF":
        return image.info.get("compression") in ("jpeg", "webp")
    return image.format in ("JPEG", "MPO", "AVIF", "HEIF") or (image.format == "WEBP" and "lossless" not in image.info)


def open_image(source: PictureLike, most: int | None = None) -> Image.Image:
    """The fully decoded PIL image behind `source`, in its own mode and orientation. Raises as `read_picture`."""
    name = _describe(source)
    if isinstance(source, np.ndarray):
        source = _from_array(source)
    if isinstance(source, Image.Image):
        return _load(source, name, most)
    if not isinstance(source, str | Path | bytes):
        raise PictureError(f"a picture is a path, bytes, a PIL image or a uint8 array, not {type(source).__name__}")
    with _open_file(source, name) as file:
        image = _header(file, name)
        if image.format in ("AVIF", "HEIF"):
            _check_size(_stored_size(file), name, most or MAX_PIXELS)
        image = _load(image, name, most)
        if image.format == "WEBP" and _is_lossless_webp(file):
            image.info["lossless"] = True
        return image


def _is_lossless_webp(file: IO[bytes]) -> bool:
    """Whether the first picture of a RIFF file is coded as `VP8L`."""
    file.seek(12)
    while len(head := file.read(8)) == 8:
        kind, length = head[:4], int.from_bytes(head[4:], "little")
        if kind in (b"VP8 ", b"VP8L"):
            return kind == b"VP8L"
        file.seek(16 if kind == b"ANMF" else length + length % 2, io.SEEK_CUR)  # a frame holds chunks of its own
    return False


def _open_file(source: str | Path | bytes, name: str) -> IO[bytes]:
    if isinstance(source, bytes):
        return io.BytesIO(source)
    try:
        if Path(source).is_dir():
            raise PictureError(f"{name} is a folder; give the picture file inside it")
        return Path(source).open("rb")
    except FileNotFoundError as error:
        raise PictureError(f"{name} does not exist; check the path") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise PictureError(f"{name} cannot be read ({reason}); check the path and its permissions") from error


def _header(file: IO[bytes], name: str) -> Image.Image:
    """Read the header alone."""
    try:
        return identify(file)
    except UnidentifiedImageError as error:
        if _has_brand(file):
            raise PictureError(f"{name} is damaged or cut short; get the file again") from error
        raise PictureError(f"{name} is not a picture in {', '.join(FORMATS)}; convert it to PNG first") from error
    except Image.DecompressionBombError as error:
        raise PictureError(f"{name} claims more than {MAX_PIXELS // 10**6} megapixels; scale it down") from error
    except DAMAGE as error:
        raise PictureError(f"{name} is damaged or cut short ({one_line(error)}); get the file again") from error


def _load(image: Image.Image, name: str, most: int | None) -> Image.Image:
    _check_size(image.size, name, most or MAX_PIXELS)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image.load()
    except DAMAGE as error:
        raise PictureError(f"{name} is damaged or cut short ({one_line(error)}); get the file again") from error
    return image


def _stored_size(file: IO[bytes]) -> tuple[int, int]:
    """The largest (width, height) that the header of a HEIF or AVIF file gives one of its images.

    Its own size says too little: a box `clap` may show a corner of a picture that is decoded whole. Both libraries hold
    what is coded against these sizes: libheif refuses more, libavif more than 16384 squared.
    """
    file.seek(0)
    data, at, largest = file.read(), 0, (1, 1)
    while at + 16 <= len(data):
        length, kind = int.from_bytes(data[at : at + 4]), data[at + 4 : at + 8]
        length = int.from_bytes(data[at + 8 : at + 16]) if length == 1 else length or len(data) - at
        end, found = at + max(8, length), at
        while kind == b"meta" and (found := data.find(b"ispe", found, end)) >= 0:
            size: tuple[int, int] = struct.unpack(">II", data[found + 8 : found + 16].ljust(8, b"\0"))
            largest = max(largest, size, key=lambda sides: sides[0] * sides[1])
            found += 4
        at = end
    file.seek(0)
    return largest


def _check_size(size: tuple[int, int], name: str, most: int) -> None:
    width, height = size
    if width < 1 or height < 1:
        raise PictureError(f"{name} is {width}x{height} pixels; a picture needs at least one pixel")
    if width * height > most:
        raise PictureError(
            f"{name} is {width}x{height} = {width * height / 1e6:.0f} megapixels, "
            f"more than {most // 10**6}; scale it down first"
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
    name = getattr(source, "filename", "")
    return f"the picture '{name}'" if name else "the picture"


def _alone(picture: Picture) -> Picture:
    for part in (picture.rgb, picture.alpha, picture.stored):
        if part is not None:
            part.info = {"icc_profile": picture.icc} if picture.icc else {}
    return picture


def read_size(source: str | Path) -> tuple[int, int]:
    """(width, height) in pixels as they stand in the file, from its header alone. Raises PictureError."""
    name = _describe(source)
    with _open_file(source, name) as file:
        return _header(file, name).size


def _normalise(image: Image.Image, name: str) -> Picture:
    icc = image.info.get("icc_profile")
    if is_deep(image):
        _, white = brightest_and_white(image, name)
        image = _to_eight_bit(_upright(image), white)
    else:
        image = _upright(image)
    if image.mode == "CMYK":
        return Picture(_from_cmyk(image, icc))
    icc = icc if icc and icc[16:20] == b"RGB " else None  # a grey profile would be wrong for what we return
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        alpha = rgba.getchannel("A")
        if alpha.getextrema() != (255, 255):
            white = Image.new("RGBA", rgba.size, "white")
            return Picture(Image.alpha_composite(white, rgba).convert("RGB"), alpha, icc, rgba.convert("RGB"))
        image = rgba
    return Picture(image.convert("RGB"), None, icc)


def _upright(image: Image.Image) -> Image.Image:
    """A copy turned as its EXIF orientation says; EXIF that cannot be read says nothing."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            orientation = image.getexif().get(ExifTags.Base.Orientation)
    except DAMAGE:
        orientation = None
    method = _UPRIGHT.get(orientation) if isinstance(orientation, int) else None
    return image.copy() if method is None else image.transpose(method)


def is_deep(image: Image.Image) -> bool:
    """Whether a grey picture has more than 8 bits, or floats."""
    return image.mode in ("I", "F") or image.mode.startswith("I;16")


def brightest_and_white(image: Image.Image, name: str = "the picture") -> tuple[float, float]:
    """The largest value of a deep grey picture, and what white is in it.

    16 bits: 65535, unless the TIFF says that 12 are used, or that they are signed. Integers of 32 bits and floats
    say nothing of their white: integers are of 8 bits if none is above 255, else of 16; floats end at 1, or,
    where one is above 2, at 255.

    Raises:
        PictureError: values above these, or integers below 0.
    """
    values = _values(image)
    low, high = float(values.min()), float(values.max())
    if image.mode == "F":
        if high > 255.5:
            raise PictureError(f"{name} has floats up to {high:g}, with no white; save it with 8 or 16 bits")
        return high, 255.0 if high > 2 else 1.0
    if low < 0 or high > 65535:
        raise PictureError(f"{name} has values from {low:g} to {high:g}, no greys; save it with 8 or 16 bits")
    tags = getattr(image, "tag_v2", {})
    bits, kind = (int(np.ravel(tags.get(tag, usual))[0]) for tag, usual in ((258, 0), (339, 1)))
    if image.mode == "I":
        return high, 32767.0 if (bits, kind) == (16, 2) else 255.0 if high <= 255 else 65535.0
    return high, 4095.0 if bits == 12 else 65535.0


def _values(image: Image.Image) -> np.ndarray:
    """`[H, W]` float64; what is no number is 0."""
    return np.nan_to_num(np.asarray(image, dtype=np.float64), posinf=np.inf, neginf=-np.inf)


def _to_eight_bit(image: Image.Image, white: float) -> Image.Image:
    """Deep grey to 8 bits, rounded. Pillow's own conversion clips at 255 instead of scaling."""
    return Image.fromarray((np.clip(_values(image) / white, 0, 1) * 255 + 0.5).astype(np.uint8))


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
