"""Every kind of picture becomes one plain form; everything else is refused in one sentence, quickly."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pillow_heif
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, ImageOps

from inkontext.errors import PictureError
from inkontext.safety.pictures import FORMATS, MAX_PIXELS, SUFFIXES, is_picture, open_image, read_picture

RNG = np.random.default_rng(0)
NOISE = Image.fromarray(RNG.integers(0, 256, (40, 50, 3), dtype=np.uint8))
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # fmt: skip
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def encoded(kind: str, image: Image.Image = NOISE, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def distance(a: Image.Image, b: Image.Image) -> float:
    """Mean difference in bytes; a wrong orientation of `photo` gives 30 and more."""
    return float(np.abs(np.asarray(a, np.int16) - np.asarray(b, np.int16)).mean())


def refusal(source: Any) -> str:
    """The one sentence a bad picture gets."""
    with pytest.raises(PictureError) as caught:
        read_picture(source)
    message = str(caught.value)
    assert message and "\n" not in message
    assert ";" in message, "the sentence says what to do"
    return message


# --- what is accepted -------------------------------------------------------------------------------------


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF"])
def test_every_exif_orientation_is_turned_upright(kind: str, orientation: int, photo: Image.Image) -> None:
    turned = {
        1: photo, 2: ImageOps.mirror(photo), 3: photo.rotate(180), 4: ImageOps.flip(photo),
        5: ImageOps.mirror(photo.rotate(-90, expand=True)), 6: photo.rotate(90, expand=True),
        7: ImageOps.mirror(photo.rotate(90, expand=True)), 8: photo.rotate(-90, expand=True),
    }  # fmt: skip
    exif = Image.Exif()
    exif[0x0112] = orientation
    quality = {"quality": 95} if kind in ("JPEG", "WEBP") else {}
    picture = read_picture(encoded(kind, turned[orientation], exif=exif, **quality))
    assert picture.size == photo.size
    assert distance(picture.rgb, photo) <= (4 if quality else 0)


def test_the_reference_way_ignores_orientation_and_drops_alpha(photo: Image.Image) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    clear = photo.convert("RGBA")
    clear.putalpha(0)
    picture = read_picture(encoded("PNG", clear, exif=exif), reference=True)
    assert picture.alpha is None
    assert picture.rgb.tobytes() == photo.tobytes()


def test_plain_rgb_keeps_its_bytes(photo: Image.Image) -> None:
    picture = read_picture(encoded("PNG", photo))
    assert (picture.rgb.mode, picture.alpha, picture.icc) == ("RGB", None, None)
    assert picture.rgb.tobytes() == photo.tobytes()


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_rgba_is_laid_over_white(kind: str) -> None:
    image = Image.new("RGBA", (4, 2), (200, 0, 0, 128))
    picture = read_picture(encoded(kind, image, **({"lossless": True} if kind == "WEBP" else {})))
    assert picture.alpha is not None and picture.stored is not None
    assert picture.alpha.getpixel((0, 0)) == 128
    assert picture.stored.getpixel((0, 0)) == (200, 0, 0)
    red, green, blue = picture.rgb.getpixel((0, 0))
    assert abs(red - 227) <= 1 and abs(green - 127) <= 1 and green == blue


def test_opaque_rgba_counts_as_opaque(photo: Image.Image) -> None:
    picture = read_picture(encoded("PNG", photo.convert("RGBA")))
    assert picture.alpha is None
    assert picture.rgb.tobytes() == photo.tobytes()


def test_grey_with_alpha() -> None:
    picture = read_picture(encoded("PNG", Image.new("LA", (3, 3), (0, 0))))
    assert picture.alpha is not None
    assert picture.rgb.getpixel((1, 1)) == (255, 255, 255)
    assert picture.alpha.getextrema() == (0, 0)


def test_palette() -> None:
    image = Image.new("P", (3, 2), 1)
    image.putpalette([0, 0, 0, 10, 20, 30])
    picture = read_picture(encoded("PNG", image))
    assert picture.alpha is None
    assert picture.rgb.getpixel((0, 0)) == (10, 20, 30)


@pytest.mark.parametrize("transparency", [1, bytes([255, 0])])
def test_palette_with_transparency(transparency: int | bytes) -> None:
    image = Image.new("P", (3, 2), 0)
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putpixel((2, 1), 1)
    picture = read_picture(encoded("PNG", image, transparency=transparency))
    assert picture.alpha is not None
    assert picture.alpha.getpixel((0, 0)) == 255 and picture.alpha.getpixel((2, 1)) == 0
    assert picture.rgb.getpixel((0, 0)) == (10, 20, 30) and picture.rgb.getpixel((2, 1)) == (255, 255, 255)


def test_rgb_with_a_transparent_colour() -> None:
    picture = read_picture(encoded("PNG", Image.new("RGB", (2, 2), (1, 2, 3)), transparency=(1, 2, 3)))
    assert picture.alpha is not None and picture.alpha.getextrema() == (0, 0)


@pytest.mark.parametrize(
    ("image", "colour"),
    [(Image.new("1", (2, 2), 1), (255, 255, 255)), (Image.new("L", (2, 2), 77), (77, 77, 77))],
)
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP"])
def test_one_bit_and_grey(kind: str, image: Image.Image, colour: tuple[int, int, int]) -> None:
    assert read_picture(encoded(kind, image)).rgb.getpixel((1, 1)) == colour


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
@pytest.mark.parametrize(("value", "byte"), [(0, 0), (257, 1), (32896, 128), (40000, 156), (65535, 255)])
def test_sixteen_bit_grey_is_scaled_not_clipped(kind: str, value: int, byte: int) -> None:
    image = Image.fromarray(np.full((2, 3), value, np.uint16))
    assert read_picture(encoded(kind, image)).rgb.getpixel((0, 0)) == (byte,) * 3


def test_sixteen_bit_colour_png() -> None:
    """Pillow cannot write one, so it is made by hand: 2x1, values 0x1234 and 0xFFFF."""
    rows = b"\0" + struct.pack(">6H", *[0x1234] * 3, *[0xFFFF] * 3)
    picture = read_picture(png(2, 1, 16, 2, zlib.compress(rows)))
    assert picture.rgb.getpixel((0, 0)) == (0x12,) * 3 and picture.rgb.getpixel((1, 0)) == (255,) * 3


@pytest.mark.parametrize(("value", "byte"), [(0.5, 128), (1.0, 255), (-3.0, 0), (float("nan"), 0)])
def test_float_tiff_in_unit_range(value: float, byte: int) -> None:
    image = Image.fromarray(np.array([[value, 0.25]], np.float32))
    assert read_picture(encoded("TIFF", image)).rgb.getpixel((0, 0)) == (byte,) * 3


def test_float_tiff_in_byte_range() -> None:
    image = Image.fromarray(np.array([[255.0, 51.0]], np.float32))
    assert read_picture(encoded("TIFF", image)).rgb.getpixel((1, 0)) == (51, 51, 51)


def tiff(width: int, height: int, bits: int, data: bytes, kind: int = 1, order: str = "<") -> bytes:
    """A grey TIFF of one strip, by hand: neither Pillow nor tifffile writes every depth."""
    fields = {
        256: width,
        257: height,
        258: bits,
        259: 1,
        262: 1,
        273: 8,
        277: 1,
        278: height,
        279: len(data),
        339: kind,
    }
    data += b"\0" * (len(data) % 2)
    entries = b"".join(
        struct.pack(f"{order}HHI", tag, 4 if tag in (273, 279) else 3, 1)
        + (struct.pack(f"{order}I", v) if tag in (273, 279) else struct.pack(f"{order}HH", v, 0))
        for tag, v in fields.items()
    )
    head = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, 8 + len(data))
    return head + data + struct.pack(f"{order}H", len(fields)) + entries + b"\0" * 4


GREYS = np.array([[0, 1, 255, 256, 1023, 2048], [4095, 4096, 20000, 32767, 65000, 65535]])


def bytes_of(values: np.ndarray, top: float) -> np.ndarray:
    return np.floor(np.clip(values.astype(float) / top, 0, 1) * 255 + 0.5).astype(np.uint8)


@pytest.mark.parametrize("order", ["<", ">"])
def test_sixteen_bits_of_either_byte_order(order: str) -> None:
    picture = read_picture(tiff(6, 2, 16, GREYS.astype(f"{order}u2").tobytes(), order=order))
    assert np.array_equal(np.asarray(picture.rgb)[..., 1], bytes_of(GREYS, 65535))


def test_twelve_bits_end_at_4095() -> None:
    values = np.minimum(GREYS, 4095)
    bits = "".join(f"{v:012b}" for v in values.ravel())
    data = int(bits, 2).to_bytes(len(bits) // 8, "big")
    assert np.array_equal(np.asarray(read_picture(tiff(6, 2, 12, data)).rgb)[..., 0], bytes_of(values, 4095))


def test_signed_sixteen_bits_end_at_32767() -> None:
    values = np.minimum(GREYS, 32767)
    picture = read_picture(tiff(6, 2, 16, values.astype("<i2").tobytes(), kind=2))
    assert np.array_equal(np.asarray(picture.rgb)[..., 0], bytes_of(values, 32767))


@pytest.mark.parametrize("top", [255, 65535])
def test_integers_of_32_bits_say_by_their_values_what_they_are(top: int) -> None:
    values = np.minimum(GREYS, top).astype(np.int32)
    wanted = bytes_of(values, top)
    assert np.array_equal(np.asarray(read_picture(Image.fromarray(values)).rgb)[..., 2], wanted)
    assert np.array_equal(np.asarray(read_picture(tiff(6, 2, 32, values.astype("<u4").tobytes())).rgb)[..., 2], wanted)


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_few_bits_end_at_their_own_white(kind: str, bits: int) -> None:
    values = np.arange(8) % 2**bits
    row = int("".join(f"{v:0{bits}b}" for v in values), 2).to_bytes(bits, "big")
    data = png(8, 1, bits, 0, zlib.compress(b"\0" + row)) if kind == "PNG" else tiff(8, 1, bits, row)
    assert np.array_equal(np.asarray(read_picture(data).rgb)[0, :, 0], bytes_of(values, 2**bits - 1))


def test_sixteen_bit_grey_with_alpha() -> None:
    rows = b"\0" + struct.pack(">4H", 0x8000, 0xFFFF, 0xFFFF, 0x4000)
    picture = read_picture(png(2, 1, 16, 4, zlib.compress(rows)))
    assert picture.alpha is not None and picture.stored is not None
    assert np.asarray(picture.alpha).tolist() == [[255, 64]]
    assert np.asarray(picture.stored)[0, :, 0].tolist() == [128, 255]


def test_floats_a_little_above_one_are_white() -> None:
    """A resampled picture overshoots; it is no picture in 0..255."""
    image = Image.fromarray(np.array([[1.04, 0.5]], np.float32))
    assert np.asarray(read_picture(image).rgb)[0, :, 0].tolist() == [255, 128]


@pytest.mark.parametrize(
    ("values", "words"),
    [(np.float32(4096), "floats up to 4096"), (np.int32(70000), "values from 0 to 70000"), (np.int32(-5), "from -5")],
)
def test_depths_that_cannot_be_told_are_refused(values: np.generic, words: str) -> None:
    with pytest.raises(PictureError, match=words) as error:
        read_picture(Image.fromarray(np.array([[0, values]], values.dtype)))
    assert "\n" not in str(error.value)


def test_cmyk_without_profile(photo: Image.Image) -> None:
    picture = read_picture(encoded("JPEG", photo.convert("CMYK"), quality=100))
    assert picture.icc is None
    assert distance(picture.rgb, photo) < 4


@pytest.mark.parametrize("profile", [SRGB, b"not a profile at all"])
def test_cmyk_with_a_profile_that_does_not_apply(profile: bytes, photo: Image.Image) -> None:
    data = encoded("JPEG", photo.convert("CMYK"), icc_profile=profile)
    with pytest.warns(UserWarning, match="profile is broken"):
        picture = read_picture(data)
    assert (picture.rgb.mode, picture.icc, picture.size) == ("RGB", None, photo.size)


def test_cmyk_with_its_own_profile(photo: Image.Image, monkeypatch: pytest.MonkeyPatch) -> None:
    """No CMYK profile is free to bundle; the conversion is asked for with the file's profile and its result used."""
    asked = []

    def convert(image: Image.Image, profile: Any, target: Any, outputMode: str) -> Image.Image:
        asked.append((image.mode, outputMode))
        return Image.new("RGB", image.size, (1, 2, 3))

    monkeypatch.setattr(ImageCms, "profileToProfile", convert)
    picture = read_picture(encoded("JPEG", photo.convert("CMYK"), icc_profile=SRGB))
    assert asked == [("CMYK", "RGB")]
    assert picture.rgb.getpixel((0, 0)) == (1, 2, 3) and picture.icc is None


def test_an_rgb_profile_is_kept_and_a_grey_one_is_not(photo: Image.Image) -> None:
    grey = bytearray(SRGB)
    grey[16:20] = b"GRAY"
    assert read_picture(encoded("PNG", photo, icc_profile=SRGB)).icc == SRGB
    assert read_picture(encoded("PNG", photo.convert("L"), icc_profile=bytes(grey))).icc is None


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_the_first_frame_of_an_animation(kind: str) -> None:
    frames = [Image.new("RGB", (6, 4), c) for c in ((255, 0, 0), (0, 0, 255))]
    exact = {"lossless": True} if kind == "WEBP" else {}
    data = encoded(kind, frames[0], save_all=True, append_images=frames[1:], **exact)
    picture = read_picture(data)
    assert picture.size == (6, 4)
    assert picture.rgb.getpixel((3, 2)) == (255, 0, 0)


def test_mpo_gives_its_first_picture(photo: Image.Image) -> None:
    data = encoded("MPO", photo, save_all=True, append_images=[Image.new("RGB", photo.size)], quality=95)
    assert distance(read_picture(data).rgb, photo) < 4


PHONE = ("HEIF", "AVIF")  # what phones write; pillow_heif is registered here to make the files, by `inkontext` to read


@pytest.mark.parametrize("kind", PHONE)
def test_a_phones_photograph_is_what_its_library_decodes(kind: str, photo: Image.Image, tmp_path: Path) -> None:
    pillow_heif.register_heif_opener()
    path = tmp_path / "IMG_0001.HEIC"
    path.write_bytes(encoded(kind, photo, quality=90, icc_profile=SRGB))
    picture = read_picture(path)
    wanted = Image.open(path)
    assert (picture.size, picture.icc, picture.alpha) == (photo.size, SRGB, None)
    assert picture.rgb.tobytes() == wanted.convert("RGB").tobytes()
    assert distance(picture.rgb, photo) < 4
    assert read_picture(path.read_bytes()).rgb.tobytes() == picture.rgb.tobytes()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", PHONE)
def test_a_phones_photograph_is_upright(kind: str, orientation: int, photo: Image.Image) -> None:
    pillow_heif.register_heif_opener()
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(kind, photo, quality=95, exif=exif.tobytes())  # stored with the boxes `irot` and `imir`
    assert (b"irot" in data or b"imir" in data) == (orientation > 1)
    wanted = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    picture = read_picture(data)
    assert picture.size == (photo.size if orientation < 5 else photo.size[::-1])
    assert picture.rgb.tobytes() == wanted.convert("RGB").tobytes()
    assert distance(picture.rgb, photo.transpose(TURNS[orientation]) if orientation > 1 else photo) < 4


@pytest.mark.parametrize("kind", PHONE)
def test_a_transparent_photograph_of_a_phone(kind: str, photo: Image.Image) -> None:
    pillow_heif.register_heif_opener()
    clear = photo.convert("RGBA")
    clear.paste((200, 0, 0, 0), (0, 0, 32, 32))
    picture = read_picture(encoded(kind, clear, quality=95))
    assert picture.alpha is not None and picture.alpha.getextrema() == (0, 255)
    assert distance(picture.rgb.crop((2, 2, 30, 30)), Image.new("RGB", (28, 28), "white")) < 2


def test_ten_bits_of_a_phone_become_eight() -> None:
    ramp = np.tile(np.linspace(0, 65535, 64, dtype=np.uint16), (48, 1))
    file = io.BytesIO()
    deep = pillow_heif.from_bytes("RGB;16", (64, 48), np.dstack([ramp] * 3).tobytes())
    deep.save(file, quality=-1, chroma=444)
    assert pillow_heif.open_heif(file.getvalue(), convert_hdr_to_8bit=False).info["bit_depth"] == 10
    assert np.abs(np.asarray(read_picture(file.getvalue()).rgb, int)[..., 0] - (ramp >> 8)).max() <= 2


def sized(data: bytes, width: int, height: int) -> bytes:
    """The file with another size in every `ispe` box of its header."""
    out, at = bytearray(data), 0
    while (at := out.find(b"ispe", at)) >= 0:
        out[at + 8 : at + 16] = struct.pack(">II", width, height)
        at += 4
    return bytes(out)


@pytest.mark.parametrize("kind", PHONE)
def test_a_phones_bomb_is_refused_by_its_header(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pillow_heif.register_heif_opener()
    data = encoded(kind)
    monkeypatch.setattr(Image.Image, "load", NoDecoding())
    monkeypatch.setattr(type(Image.open(io.BytesIO(data))), "load", NoDecoding())
    assert "12000x12000 = 144 megapixels" in refusal(sized(data, 12_000, 12_000))
    for side in (30_000, 2**31 - 1):
        refusal(sized(data, side, side))
    with pytest.raises(PictureError, match="more than 0; scale"):
        read_picture(data, most=NOISE.width * NOISE.height - 1)


def test_a_phones_header_that_promises_less_than_there_is() -> None:
    pillow_heif.register_heif_opener()
    assert "damaged or cut short" in refusal(sized(encoded("HEIF"), 2, 2))


def test_the_endings_of_pictures_are_named_once() -> None:
    """Every format that is read has its endings, every ending its format, and Pillow agrees."""
    pillow_heif.register_heif_opener()
    Image.init()
    known = Image.registered_extensions()
    assert tuple(SUFFIXES) == FORMATS
    for kind, suffixes in SUFFIXES.items():
        assert suffixes and all(known[suffix] == kind for suffix in suffixes)
        assert all(is_picture(f"a{suffix}") and is_picture(f"b/A.1{suffix.upper()}") for suffix in suffixes)
    assert not any(map(is_picture, ("a", "a.txt", "png", ".png", "a.png.txt", "Thumbs.db", "a.jp2", "a.psd", "")))


@pytest.mark.parametrize("shape", [(4, 6), (4, 6, 3)])
def test_arrays(shape: tuple[int, ...]) -> None:
    array = RNG.integers(0, 256, shape, dtype=np.uint8)
    picture = read_picture(array)
    assert picture.size == (6, 4)
    assert np.array_equal(np.asarray(picture.rgb), array if array.ndim == 3 else np.dstack([array] * 3))


def test_an_array_with_alpha() -> None:
    picture = read_picture(np.full((2, 2, 4), 100, np.uint8))
    assert picture.alpha is not None and picture.alpha.getextrema() == (100, 100)


def test_path_string_bytes_and_image_agree(tmp_path: Path, photo: Image.Image) -> None:
    path = tmp_path / "a.png"
    photo.save(path)
    read = [read_picture(s).rgb.tobytes() for s in (path, str(path), path.read_bytes(), Image.open(path), photo)]
    assert set(read) == {photo.tobytes()}


def test_the_callers_image_is_left_alone(photo: Image.Image) -> None:
    before = photo.tobytes()
    read_picture(photo).rgb.putpixel((0, 0), (9, 9, 9))
    assert photo.tobytes() == before


def test_files_are_closed(tmp_path: Path) -> None:
    for kind in ("PNG", "GIF", "TIFF"):
        (tmp_path / "a").write_bytes(encoded(kind, save_all=True, append_images=[NOISE]))
        with warnings.catch_warnings():
            warnings.simplefilter("error", ResourceWarning)
            assert open_image(tmp_path / "a").size == NOISE.size


def test_broken_exif_does_not_spoil_a_good_picture(photo: Image.Image) -> None:
    data = encoded("PNG", photo, exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff broken")
    assert read_picture(data).rgb.tobytes() == photo.tobytes()


# --- what is refused --------------------------------------------------------------------------------------


def png(width: int, height: int, depth: int, colour: int, body: bytes) -> bytes:
    """A PNG whose header may lie."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def test_missing_and_folder(tmp_path: Path) -> None:
    assert "does not exist" in refusal(tmp_path / "no.png")
    assert "is a folder" in refusal(tmp_path)
    (tmp_path / "file").write_bytes(b"")
    refusal(tmp_path / "file/inside.png")


@pytest.mark.parametrize("name", ["x" * 5000, "a\0b.png", ""])
def test_names_no_file_can_have(name: str) -> None:
    refusal(name)


@pytest.mark.parametrize(
    "data",
    [b"", b"\x89PNG", b"Just some words.\n", bytes(1000), b"\x89PNG\r\n\x1a\n" + bytes(50), b"\xff\xd8\xff", b"GIF89a"],
)
def test_what_is_no_picture(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(data)
    assert "a.png" in refusal(tmp_path / "a.png")
    refusal(data)


@pytest.mark.parametrize("kind", ["EPS", "PDF", "ICO", "PPM", "TGA", "JPEG2000", "PCX"])
def test_kinds_nobody_needs_are_not_opened(kind: str, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(encoded(kind))
    assert "is not a picture in PNG, JPEG" in refusal(tmp_path / "a.png")


def test_fits_is_not_opened() -> None:
    card = b"".join(line.ljust(80).encode() for line in ("SIMPLE  =                    T", "BITPIX  = 8", "END"))
    assert "is not a picture" in refusal(card.ljust(2880))


class NoDecoding:
    """Stands in for Image.load to show that a header was enough."""

    def __call__(self, image: Image.Image) -> None:
        raise AssertionError("a bomb was decoded")


@pytest.mark.parametrize(("width", "height"), [(30_000, 30_000), (60_000, 60_000), (2**31 - 1, 2**31 - 1)])
@pytest.mark.parametrize("depth_colour", [(1, 0), (8, 2), (16, 6)])
def test_bombs_are_refused_by_their_header(
    width: int, height: int, depth_colour: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Image.Image, "load", NoDecoding())
    data = png(width, height, *depth_colour, zlib.compress(bytes(100_000)))
    assert len(data) < 2000
    assert "megapixels" in refusal(data)


@pytest.mark.parametrize("side", [11_400, 13_000])
def test_bombs_pillow_lets_through_are_refused(side: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between our limit and twice Pillow's, Pillow only warns."""
    monkeypatch.setattr(Image.Image, "load", NoDecoding())
    assert side * side > MAX_PIXELS
    assert f"{side}x{side}" in refusal(png(side, side, 1, 0, b""))


def test_bombs_are_refused_where_pillow_has_no_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    monkeypatch.setattr(Image.Image, "load", NoDecoding())
    assert "900 megapixels" in refusal(png(30_000, 30_000, 8, 2, b""))


def test_a_bomb_is_refused_in_every_format(tmp_path: Path) -> None:
    bmp = bytearray(encoded("BMP"))
    bmp[18:26] = struct.pack("<ii", 30_000, 30_000)
    gif = bytearray(encoded("GIF"))
    gif[6:10] = struct.pack("<HH", 60_000, 60_000)
    jpeg = bytearray(encoded("JPEG"))
    start = jpeg.index(b"\xff\xc0") + 5
    jpeg[start : start + 4] = struct.pack(">HH", 60_000, 60_000)
    for data in (bmp, gif, jpeg):
        assert "megapixels" in refusal(bytes(data))


@pytest.mark.parametrize(("width", "height"), [(400, 300), (3000, 3000)])
def test_a_header_that_promises_more_than_there_is(width: int, height: int) -> None:
    assert "damaged or cut short" in refusal(png(width, height, 8, 2, zlib.compress(bytes(3000))))


def test_a_header_that_promises_less_than_there_is() -> None:
    """60 MB of zeros behind a 2x2 header: only what the header names is read."""
    assert read_picture(png(2, 2, 8, 2, zlib.compress(bytes(60_000_000)))).size == (2, 2)


def test_a_text_chunk_bomb_is_refused() -> None:
    data = png(2, 2, 8, 2, zlib.compress(bytes(14)))
    text = b"Comment\0\0" + zlib.compress(bytes(50_000_000))
    chunk = struct.pack(">I", len(text)) + b"zTXt" + text + struct.pack(">I", zlib.crc32(b"zTXt" + text))
    refusal(data[:33] + chunk + data[33:])


def test_fifty_megabytes_of_exif() -> None:
    picture = read_picture(encoded("PNG", exif=b"Exif\0\0" + bytes(50_000_000)))
    assert picture.size == NOISE.size


def test_no_pixels() -> None:
    refusal(png(0, 5, 8, 2, b""))
    refusal(Image.new("RGB", (0, 5)))


@pytest.mark.parametrize(
    "array",
    [np.zeros((0, 4, 3), np.uint8), np.zeros((4, 4, 2), np.uint8), np.zeros((4, 4, 3)), np.zeros(4, np.uint8)],
    ids=["empty", "two bands", "floats", "a row"],
)
def test_arrays_that_are_no_pictures(array: np.ndarray) -> None:
    with pytest.raises(PictureError, match="array picture"):
        read_picture(array)


@pytest.mark.parametrize("thing", [None, 3, io.BytesIO(), [1, 2]])
def test_things_that_are_no_pictures(thing: Any) -> None:
    with pytest.raises(PictureError, match="a picture is a path, bytes"):
        read_picture(thing)


def test_a_mode_that_has_no_rgb() -> None:
    assert "cannot be converted to RGB" in refusal(Image.new("La", (2, 2)))


def test_large_arrays_and_images_are_refused_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inkontext.safety.pictures.MAX_PIXELS", 10)
    for source in (np.zeros((4, 4, 3), np.uint8), Image.new("RGB", (4, 4))):
        assert "4x4" in refusal(source)


SAMPLES: dict[str, Callable[[], bytes]] = {
    "png": lambda: encoded("PNG"),
    "palette": lambda: encoded("PNG", NOISE.convert("P"), transparency=3),
    "jpeg": lambda: encoded("JPEG", exif=_turned()),
    "cmyk": lambda: encoded("JPEG", NOISE.convert("CMYK")),
    "webp": lambda: encoded("WEBP", exif=_turned()),
    "lossless webp": lambda: encoded("WEBP", lossless=True),
    "animated webp": lambda: encoded("WEBP", save_all=True, append_images=[NOISE.rotate(90)]),
    "gif": lambda: encoded("GIF", save_all=True, append_images=[NOISE.rotate(90)]),
    "bmp": lambda: encoded("BMP"),
    "avif": lambda: encoded("AVIF", exif=_turned()),
    "heif": lambda: (pillow_heif.register_heif_opener(), encoded("HEIF", exif=_turned().tobytes()))[1],
    "tiff": lambda: encoded("TIFF", compression="tiff_lzw", exif=_turned()),
}


def _turned() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "words"
    return exif


@pytest.mark.parametrize("sample", SAMPLES)
def test_cut_anywhere_is_refused_or_whole(sample: str) -> None:
    """A cut file never gives half a picture: it is refused, or what is missing was not needed."""
    data = SAMPLES[sample]()
    whole = read_picture(data).rgb.tobytes()
    refused = 0
    for end in sorted({*range(0, len(data), max(1, len(data) // 60)), *range(max(0, len(data) - 12), len(data))}):
        try:
            picture = read_picture(data[:end])
        except PictureError as error:
            assert "\n" not in str(error)
            refused += 1
        else:
            assert picture.rgb.tobytes() == whole
    assert refused > 30


@pytest.mark.parametrize("sample", SAMPLES)
@settings(max_examples=60, deadline=None, derandomize=True)
@given(flips=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=6), near=st.booleans())
def test_damage_never_gives_another_error(sample: str, flips: list[tuple[float, int]], near: bool) -> None:
    data = bytearray(SAMPLES[sample]())
    span = min(len(data), 300 if near else len(data)) - 1
    for where, value in flips:
        data[int(where * span)] = value
    try:
        picture = read_picture(bytes(data))
    except PictureError as error:
        assert "\n" not in str(error)
    else:
        assert picture.rgb.mode == "RGB" and picture.size[0] * picture.size[1] <= MAX_PIXELS


def test_a_callers_own_limit_is_kept_before_anything_is_decoded(tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    Image.new("1", (2000, 1000)).save(path)
    path.write_bytes(path.read_bytes()[:60])  # the header alone; decoding would fail otherwise
    with pytest.raises(PictureError, match="2000x1000 = 2 megapixels, more than 1; scale it down first"):
        read_picture(path, most=1_000_000)
    with pytest.raises(PictureError, match="damaged or cut short"):
        read_picture(path, most=2_000_000)
