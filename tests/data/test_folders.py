"""Which files are pictures that somebody put there, and under which name they are found."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from PIL import Image

from inkontext.data.folders import files_in, is_hidden, named_file, pictures_below, pictures_by_stem, pictures_in

NFC, NFD = (unicodedata.normalize(form, "Café") for form in ("NFC", "NFD"))
LEFT_BEHIND = (
    "._a.png", ".DS_Store", "Thumbs.db", "desktop.ini", ".ipynb_checkpoints/a-checkpoint.png", "__MACOSX/._b.png",
    "@eaDir/a.png/SYNOPHOTO_THUMB_M.jpg", ".hidden/deep/c.png", ".b.jpg",
)  # fmt: skip


def touched(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (2, 2)).save(folder / name, "PNG")
    return folder


def test_what_programs_leave_behind_is_no_picture(tmp_path: Path) -> None:
    touched(tmp_path, *LEFT_BEHIND, "a.png", "deep/b.JPG", "deep/c.heic")
    (tmp_path / "folder.png").mkdir()
    assert [p.relative_to(tmp_path).as_posix() for p in pictures_below(tmp_path)] == [
        "a.png", "deep/b.JPG", "deep/c.heic",
    ]  # fmt: skip
    assert [p.name for p in pictures_in(tmp_path)] == ["a.png"]
    assert [p.name for p in files_in(tmp_path, "*.db")] == ["Thumbs.db"]  # only pictures and texts are asked for


def test_a_hidden_folder_that_was_named_is_read(tmp_path: Path) -> None:
    touched(tmp_path, ".cache/set/a.png")
    assert [p.name for p in pictures_below(tmp_path / ".cache/set")] == ["a.png"]
    assert not is_hidden("./a.png") and not is_hidden("../a.png") and is_hidden("x/.a/b.png")


def test_two_pictures_of_one_name_are_refused(tmp_path: Path) -> None:
    assert set(pictures_by_stem(touched(tmp_path, "b.png", f"{NFD}.jpg"))) == {NFC, "b"}
    touched(tmp_path, "b.webp")
    with pytest.raises(ValueError, match=r"two pictures of one name, b\.png and b\.webp"):
        pictures_by_stem(tmp_path)


@pytest.mark.parametrize(("there", "named"), [(NFC, NFD), (NFD, NFC), (NFC, NFC), (NFD, NFD)])
def test_one_name_in_two_forms_is_one_name(tmp_path: Path, there: str, named: str) -> None:
    touched(tmp_path, f"{there}/deep/{there} 1.png")
    assert named_file(tmp_path, f"{named}/deep/{named} 1.png").is_file()
    assert list(pictures_by_stem(tmp_path / there / "deep")) == [f"{NFC} 1"]


def test_of_two_twins_none_is_guessed(tmp_path: Path) -> None:
    touched(tmp_path, f"{NFC}.png", f"{NFD}.png")
    assert named_file(tmp_path, f"{NFD}.png") == tmp_path / f"{NFD}.png"
    with pytest.raises(ValueError, match="two pictures of one name"):
        pictures_by_stem(tmp_path)


def test_backslashes_of_windows(tmp_path: Path) -> None:
    touched(tmp_path, "images/new/a.png")
    assert named_file(tmp_path, r"images\new\a.png") == tmp_path / "images/new/a.png"
    assert named_file(tmp_path, rf"images\{NFD}\a.png") == tmp_path / "images" / NFD / "a.png"
    touched(tmp_path, r"images\odd.png")  # a name that only other systems allow
    assert named_file(tmp_path, r"images\odd.png") == tmp_path / r"images\odd.png"


@pytest.mark.parametrize(
    ("name", "words"), [("images\new.png", "control character"), ("a\0b", "control"), ("ä" * 130, "too long")]
)
def test_what_can_be_no_path(tmp_path: Path, name: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        named_file(tmp_path, name)
    assert named_file(tmp_path, "none.png") == tmp_path / "none.png"
    assert named_file(tmp_path, f"{NFC}.png") == tmp_path / f"{NFC}.png"
