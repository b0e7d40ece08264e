"""The record goes into a picture and comes out again; a failed write changes nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, PngImagePlugin

from inkontext import __version__
from inkontext.errors import InKontextError, OptionError, PictureError, StorageError
from inkontext.pipeline import Pipeline
from inkontext.safety import provenance
from inkontext.safety.provenance import check_suffix, encode_picture, read_metadata, save_picture

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
PROMPTS = {
    "plain": "make the sky red",
    "unicode": "zmień niebo na czerwone, 空を赤くして, اجعل السماء حمراء",
    "emoji": "add a 🐈‍⬛ and a 👩🏽‍🚀",
    "quotes": 'write "Hi", \'there\' and \\ and {"inkontext": 1}',
    "lines": "first\nsecond\r\n\tthird \0 end",
    "long": "a very long prompt " * 1000,
}


def record(prompt: str) -> dict[str, Any]:
    return {"prompt": prompt, "seed": 2**62, "guidance": 2.5, "negative": None, "frame": {"box": [0, 1, 2, 3]}}


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("prompt", PROMPTS.values(), ids=PROMPTS)
def test_the_record_comes_back(suffix: str, prompt: str, tmp_path: Path, photo: Image.Image) -> None:
    save_picture(photo, tmp_path / f"a{suffix}", record(prompt))
    assert read_metadata(tmp_path / f"a{suffix}") == record(prompt)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
@settings(max_examples=30, deadline=None, derandomize=True)
@given(prompt=st.text(max_size=200))
def test_any_text_comes_back(suffix: str, prompt: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("any") / f"a{suffix}"
    save_picture(Image.new("RGB", (2, 2)), path, record(prompt))
    assert read_metadata(path) == record(prompt)


def test_jpeg_cuts_a_record_that_does_not_fit_and_says_so(tmp_path: Path, photo: Image.Image) -> None:
    prompt = "🐈" * 30_000
    save_picture(photo, tmp_path / "a.jpg", record(prompt))
    read = read_metadata(tmp_path / "a.jpg")
    assert read is not None and read["shortened"] is True
    assert read["prompt"] == prompt[:2000] + "…" and read["seed"] == 2**62


def test_pixels_and_profile_survive(tmp_path: Path, photo: Image.Image) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    marked = photo.copy()
    marked.info["icc_profile"] = profile
    for suffix in SUFFIXES:
        save_picture(marked, tmp_path / f"a{suffix}", record("x"))
        with Image.open(tmp_path / f"a{suffix}") as image:
            assert image.info["icc_profile"] == profile
            assert image.size == photo.size
    assert Image.open(tmp_path / "a.png").tobytes() == photo.tobytes()


def test_the_profile_goes_through_an_edit(tmp_path: Path, photo: Image.Image, pipeline: Pipeline) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    photo.save(tmp_path / "in.png", icc_profile=profile)
    (saved,) = pipeline.edit(tmp_path / "in.png", "redder", steps=1).save(tmp_path / "out.png")
    assert Image.open(saved).info["icc_profile"] == profile


def test_where_the_picture_was_taken_is_not_handed_on(tmp_path: Path, photo: Image.Image, pipeline: Pipeline) -> None:
    exif = Image.Exif()
    exif[0x010F] = "SecretCamera"
    exif.get_ifd(0x8825)[1] = "N"
    photo.save(tmp_path / "in.jpg", exif=exif)
    (saved,) = pipeline.edit(tmp_path / "in.jpg", "redder", steps=1).save(tmp_path / "out.jpg")
    kept = Image.open(saved).getexif()
    assert set(kept) == {0x010E, 0x0131}
    assert b"SecretCamera" not in saved.read_bytes()


def test_transparency_is_kept_where_the_format_has_it(tmp_path: Path) -> None:
    clear = Image.new("RGBA", (8, 8), (255, 0, 0, 0))
    for suffix in SUFFIXES:
        save_picture(clear, tmp_path / f"a{suffix}")
    assert Image.open(tmp_path / "a.png").tobytes() == clear.tobytes()
    assert Image.open(tmp_path / "a.webp").convert("RGBA").getpixel((3, 3))[3] == 0
    assert Image.open(tmp_path / "a.jpg").getpixel((3, 3)) == (255, 255, 255)


def test_the_maker_is_named(tmp_path: Path, photo: Image.Image) -> None:
    save_picture(photo, tmp_path / "a.png", record("x"))
    save_picture(photo, tmp_path / "a.jpg", record("x"))
    assert Image.open(tmp_path / "a.png").info["Software"] == f"InKontext {__version__}"
    assert Image.open(tmp_path / "a.jpg").getexif()[0x0131] == f"InKontext {__version__}"


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_foreign_picture_has_no_record(suffix: str, tmp_path: Path, photo: Image.Image) -> None:
    photo.save(tmp_path / f"a{suffix}")
    assert read_metadata(tmp_path / f"a{suffix}") is None


FOREIGN = ("words", "[1, 2]", '{"inkontext": 3}', '{"other": {}}', '{"inkontext": ', "[" * 100_000, "3", "null")


@pytest.mark.parametrize("text", FOREIGN, ids=[t[:16] for t in FOREIGN])
def test_foreign_words_are_no_record(text: str, tmp_path: Path, photo: Image.Image) -> None:
    info = PngImagePlugin.PngInfo()
    info.add_itxt("inkontext", text)
    photo.save(tmp_path / "a.png", pnginfo=info)
    assert read_metadata(tmp_path / "a.png") is None
    exif = Image.Exif()
    exif[0x010E] = text
    photo.save(tmp_path / "a.webp", exif=exif)
    assert read_metadata(tmp_path / "a.webp") is None


def test_broken_exif_is_no_record(tmp_path: Path, photo: Image.Image) -> None:
    photo.save(tmp_path / "a.webp", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff broken")
    assert read_metadata(tmp_path / "a.webp") is None


def test_what_is_no_picture_has_no_record_either(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("words")
    with pytest.raises(PictureError):
        read_metadata(tmp_path / "a.png")


@pytest.mark.parametrize("name", ["a", "a.gif", "a.png.txt", ".png", "a.tiff"])
def test_suffixes_that_hold_no_record(name: str) -> None:
    with pytest.raises(OptionError, match=r"\.png, \.jpg"):
        check_suffix(Path(name))


@pytest.mark.parametrize(("name", "kind"), [("a.PNG", "PNG"), ("b/a.JpEg", "JPEG"), ("a.b.webp", "WEBP")])
def test_suffixes_in_any_case(name: str, kind: str) -> None:
    assert check_suffix(Path(name)) == kind


def test_sizes_a_format_cannot_hold_are_told(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"20000x1 .*use \.png"):
        save_picture(Image.new("RGB", (20_000, 1)), tmp_path / "a.webp", record("x"))
    assert list(tmp_path.iterdir()) == []


def _disk_full(*_: Any, **__: Any) -> None:
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize(("target", "error"), [("encode", OptionError), ("write", StorageError)])
def test_a_failure_leaves_the_old_file_and_nothing_else(
    target: str, error: type[InKontextError], tmp_path: Path, photo: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.png"
    save_picture(photo, path, record("old"))
    before = path.read_bytes()
    owner, name = (Image.Image, "save") if target == "encode" else (Path, "write_bytes")
    monkeypatch.setattr(owner, name, _disk_full)
    with pytest.raises(error):
        save_picture(photo, path, record("new"))
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]


def test_an_interrupt_while_writing_leaves_nothing(
    tmp_path: Path, photo: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(path: Path, data: bytes) -> None:
        with path.open("wb") as file:
            file.write(data[: len(data) // 2])
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "write_bytes", interrupt)
    with pytest.raises(KeyboardInterrupt):
        save_picture(photo, tmp_path / "a.png", record("new"))
    assert list(tmp_path.iterdir()) == []


def test_the_same_picture_and_record_give_the_same_bytes(photo: Image.Image) -> None:
    for kind in ("PNG", "JPEG", "WEBP"):
        assert encode_picture(photo, kind, record("x")) == encode_picture(photo, kind, record("x"))


def test_the_record_in_a_png_is_json_others_can_read(tmp_path: Path, photo: Image.Image) -> None:
    save_picture(photo, tmp_path / "a.png", record("x"))
    with Image.open(tmp_path / "a.png") as image:
        image.load()
        assert json.loads(image.info[provenance.KEY]) == {"inkontext": record("x")}
