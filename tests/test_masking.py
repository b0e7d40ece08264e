"""Masks: read as their names say, cleaned of their file's noise, refused where nothing can be meant."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from inkontext.compositing import keep_outside
from inkontext.errors import MaskError, OptionError, PictureError
from inkontext.masking import BLACK, WHITE, find_mask, read_mask


def half(left: int, right: int) -> Image.Image:
    """A grey picture of 8x4, its left half of one value and its right of another."""
    return Image.fromarray(np.repeat(np.array([[left, right]], np.uint8), 4, axis=1).repeat(4, axis=0))


def values(mask: Image.Image) -> tuple[int, int]:
    assert (mask.mode, mask.size) == ("L", (8, 4))
    found = np.asarray(mask)
    return int(found[0, 0]), int(found[3, 7])


def over(alpha: Image.Image, colour: str = "black") -> Image.Image:
    image = Image.new("RGBA", alpha.size, colour)
    image.putalpha(alpha)
    return image


@pytest.mark.parametrize(
    ("mask", "edits", "free"),
    [
        (half(255, 0), "white", (255, 0)),
        (half(255, 0), "black", (0, 255)),
        (half(200, 0), "white", (200, 0)),
        (half(255, 0).convert("1"), "white", (255, 0)),
        (half(255, 0).convert("RGB"), "white", (255, 0)),
        (half(255, 0).convert("RGBA"), "white", (255, 0)),
        (half(255, 0).convert("P"), "black", (0, 255)),
        (over(half(255, 0)), "transparent", (0, 255)),
        (over(half(255, 55)), "transparent", (0, 200)),
        # Strokes drawn on a clear background: what is clear is not drawn, and so not edited.
        (over(half(255, 0), "white"), "white", (255, 0)),
        (over(half(255, 0), "black"), "black", (255, 0)),
    ],
    ids=lambda value: str(value) if isinstance(value, str | tuple) else value.mode,
)
def test_what_a_mask_sets_free(mask: Image.Image, edits: str, free: tuple[int, int]) -> None:
    assert values(read_mask(mask, (8, 4), edits)) == free


def test_a_sixteen_bit_mask() -> None:
    mask = Image.fromarray(np.repeat(np.array([[65535, 0]], np.uint16), 4, axis=1).repeat(4, axis=0))
    assert values(read_mask(mask, (8, 4))) == (255, 0)


def test_a_palette_mask_with_transparency() -> None:
    image = Image.new("P", (8, 4), 0)
    image.putpalette([0, 0, 0, 255, 255, 255])
    image.paste(1, (4, 0, 8, 4))
    buffer = io.BytesIO()
    image.save(buffer, "PNG", transparency=1)
    assert values(read_mask(buffer.getvalue(), (8, 4), "transparent")) == (0, 255)


def test_a_mask_is_turned_as_its_picture_is(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 8
    half(255, 0).rotate(-90, expand=True).save(tmp_path / "m.png", exif=exif)
    assert values(read_mask(tmp_path / "m.png", (8, 4))) == (255, 0)


@pytest.mark.parametrize(
    ("mask", "edits", "words"),
    [
        (Image.new("L", (8, 5), 255), "white", "8x5 but the picture is 8x4"),
        (Image.new("L", (4, 8), 255), "white", "same size"),
        (half(0, 0), "white", "white part is empty"),
        (half(255, 255), "black", "black part is empty"),
        (half(255, 0), "transparent", "no transparency"),
        (over(half(255, 255)), "transparent", "transparent part is empty"),
        (over(half(0, 0), "white"), "white", "white part is empty"),
    ],
)
def test_masks_that_do_not_work(mask: Image.Image, edits: str, words: str) -> None:
    with pytest.raises(MaskError, match=words):
        read_mask(mask, (8, 4), edits)


def test_an_unknown_mask_convention() -> None:
    with pytest.raises(OptionError, match="white, black, transparent"):
        read_mask(half(255, 0), (8, 4), "red")


# --- depths -----------------------------------------------------------------------------------------------

DEEP = {
    "16 bits": (np.uint16, 65535, "16-bit grey"),
    "32 bits of 8": (np.int32, 255, "32-bit grey"),
    "32 bits of 16": (np.int32, 65535, "32-bit grey"),
    "floats to 1": (np.float32, 1.0, "float grey"),
    "floats to 255": (np.float32, 255.0, "float grey"),
}


@pytest.mark.parametrize("depth", DEEP)
def test_deep_masks_are_divided_by_their_own_white(depth: str) -> None:
    dtype, white, kind = DEEP[depth]
    shares = np.linspace(0, 1, 32).reshape(4, 8)
    stored = (shares * white).astype(dtype)
    wanted = np.rint(stored.astype(float) / white * 255)
    wanted[wanted <= BLACK], wanted[wanted >= WHITE] = 0, 255
    found = find_mask(Image.fromarray(stored), (8, 4))
    assert np.array_equal(np.asarray(found.image), wanted) and found.kind == kind
    assert found.share == (wanted > 0).mean() and found.partly == ((wanted > 0) & (wanted < 255)).mean()


def test_one_bit_and_few_bits() -> None:
    pattern = Image.fromarray(np.eye(4, 8, dtype=bool))
    found = find_mask(pattern, (8, 4))
    assert np.array_equal(np.asarray(found.image), np.eye(4, 8) * 255) and found.kind == "1-bit"


@pytest.mark.parametrize("edits", ["white", "black"])
@pytest.mark.parametrize(
    ("dtype", "high", "words"),
    [
        (np.uint8, 1, "brightest value is 1 of 255"), (np.uint8, 3, "brightest value is 3 of 255"),
        (np.uint16, 1, "brightest value is 1 of 65535"), (np.uint16, 255, "brightest value is 255 of 65535"),
        (np.uint16, 1023, "brightest value is 1023 of 65535"), (np.uint16, 4095, "brightest value is 4095 of 65535"),
        (np.int32, 1, "brightest value is 1 of 255"), (np.float32, 0.003, "brightest value is 0.003 of 1"),
    ],
)  # fmt: skip
def test_zeros_and_ones_are_no_mask(dtype: type, high: float, words: str, edits: str) -> None:
    mask = Image.fromarray(np.where(np.eye(4, 8), high, 0).astype(dtype))
    with pytest.raises(MaskError, match=words) as error:
        read_mask(mask, (8, 4), edits)
    assert "\n" not in str(error.value) and "save it with" in str(error.value)


def test_values_that_are_no_greys() -> None:
    with pytest.raises(PictureError, match="values from -1 to 70000"):
        read_mask(Image.fromarray(np.array([[-1, 70000]], np.int32)), (2, 1))


def test_a_mask_in_colours_is_refused() -> None:
    mask = Image.new("RGB", (8, 4))
    mask.paste((255, 0, 0), (0, 0, 4, 4))
    with pytest.raises(MaskError, match=r"in colours \(50.0 % of it\)"):
        read_mask(mask, (8, 4))
    clear = mask.convert("RGBA")
    clear.putalpha(Image.new("L", (8, 4)))
    with pytest.raises(MaskError, match="white part is empty"):  # what is under full transparency is not seen
        read_mask(clear, (8, 4))


# --- noise ------------------------------------------------------------------------------------------------


def blob(size: tuple[int, int] = (120, 90), soft: float = 0.0) -> Image.Image:
    image = Image.new("L", size)
    ImageDraw.Draw(image).ellipse((30, 20, 90, 70), 255)
    return image.filter(ImageFilter.GaussianBlur(soft)) if soft else image


def stored(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)  # type: ignore[arg-type]
    return buffer.getvalue()


@pytest.mark.parametrize("quality", [30, 75, 95])
@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
def test_the_noise_of_a_lossy_mask_sets_nothing_free(kind: str, quality: int) -> None:
    """The mask of the file is that of the drawing, and no byte far outside moves."""
    data = stored(blob().convert("RGB"), kind, quality=quality)
    noisy = np.asarray(Image.open(io.BytesIO(data)).convert("L"))
    drawn = np.asarray(blob())
    assert ((noisy > 0) & (drawn == 0)).any()  # else nothing is tested
    found = find_mask(data, (120, 90))
    free = np.asarray(found.image)
    assert set(np.unique(free)) == {0, 255} and found.cut and found.partly == 0
    reach = (
        Image.fromarray(drawn).filter(ImageFilter.MaxFilter(3)),
        Image.fromarray(drawn).filter(ImageFilter.MinFilter(3)),
    )
    assert not free[np.asarray(reach[0]) == 0].any() and free[np.asarray(reach[1]) > 0].all()
    rng = np.random.default_rng(0)
    before, after = (Image.fromarray(rng.integers(0, 256, (90, 120, 3), np.uint8)) for _ in range(2))
    kept = np.asarray(keep_outside(before, after, found.image))
    assert np.array_equal(kept[free == 0], np.asarray(before)[free == 0])


def test_lossless_webp_keeps_soft_edges() -> None:
    soft = blob(soft=4)
    found = find_mask(stored(soft.convert("RGB"), "WEBP", lossless=True), (120, 90))
    assert not found.cut and found.partly > 0.05
    assert np.array_equal(np.asarray(found.image), np.asarray(read_mask(soft, (120, 90))))


def test_what_is_nearly_black_or_white_is_black_or_white() -> None:
    ramp = np.arange(256, dtype=np.uint8).reshape(8, 32)
    free = np.asarray(read_mask(Image.fromarray(ramp), (32, 8)))
    assert (free[ramp <= 16] == 0).all() and (free[ramp >= 235] == 255).all()
    middle = (ramp > 16) & (ramp < 235)
    assert np.array_equal(free[middle], ramp[middle])
    inverse = np.asarray(read_mask(Image.fromarray(ramp), (32, 8), "black"))
    assert np.array_equal(inverse, 255 - free)


# --- what is said -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mask", "words"),
    [
        (half(255, 0), "50.0 % of the picture may change (8-bit grey)"),
        (half(255, 255), "all of the picture may change (8-bit grey)"),
        (half(128, 0), "50.0 % of the picture may change, 50.0 % only in part (8-bit grey)"),
        (half(255, 0).convert("RGBA"), "50.0 % of the picture may change (8-bit RGBA)"),
    ],
    ids=["half", "whole", "part", "RGBA"],
)
def test_what_was_found_is_said(mask: Image.Image, words: str) -> None:
    assert find_mask(mask, (8, 4)).sentence() == words


def test_a_lossy_mask_says_that_it_was_cut() -> None:
    found = find_mask(stored(half(255, 0), "JPEG", quality=100), (8, 4))
    assert found.sentence().endswith("(8-bit grey JPEG, cut at half grey because it is lossy)")
    assert found.as_dict() == {"share": 0.5, "partly": 0.0, "kind": "8-bit grey JPEG", "cut": True}
    assert find_mask(found, (8, 4)) is found
    with pytest.raises(MaskError, match="same size"):
        find_mask(found, (9, 4))
