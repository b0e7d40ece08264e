"""Which pictures are measured: choosing, placing, hashing, reusing."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from inkontext.data.world import sample_pair
from inkontext.errors import DataError, OptionError, PictureError
from inkontext.evaluation.autoencoder.pictures import from_folder, from_world, read_list, reader


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Eight pictures of several sizes, one in a folder of its own, and a file that is none."""
    made = tmp_path / "pictures"
    (made / "more").mkdir(parents=True)
    random = np.random.default_rng(0)
    for number, size in enumerate([(96, 64), (64, 96), (64, 64), (40, 50), (200, 100), (65, 97), (64, 70)]):
        pixels = random.integers(0, 256, (size[1], size[0], 3), np.uint8)
        Image.fromarray(pixels).save(made / f"p{number}.png")
    Image.fromarray(random.integers(0, 256, (80, 80, 3), np.uint8)).save(made / "more/q.webp", lossless=True)
    (made / "notes.txt").write_text("no picture")
    (made / ".hidden.png").write_bytes(b"x")
    return made


def test_the_shorter_side_is_resized_and_the_centre_cropped(folder: Path) -> None:
    listed = from_folder(folder, 64)
    assert [e.name for e in listed.entries] == ["more/q.webp", *(f"p{n}.png" for n in range(7))]
    places = {e.name: (e.resized, e.crop) for e in listed.entries}
    assert places["p0.png"] == ((96, 64), (16, 0, 80, 64))
    assert places["p1.png"] == ((64, 96), (0, 16, 64, 80))
    assert places["p4.png"] == ((128, 64), (32, 0, 96, 64))
    assert places["p3.png"] == ((64, 80), (0, 8, 64, 72))  # enlarged
    read = reader(listed, folder)
    pixels = {e.name: read(e) for e in listed.entries}
    assert all(p.shape == (64, 64, 3) and p.dtype == np.uint8 for p in pixels.values())
    whole = Image.open(folder / "p0.png")
    assert (pixels["p0.png"] == np.asarray(whole)[:, 16:80]).all()  # nothing to resize: not a value changes
    small = Image.open(folder / "p4.png").resize((128, 64), Image.Resampling.LANCZOS)
    assert (pixels["p4.png"] == np.asarray(small)[:, 32:96]).all()


def test_the_hash_knows_bytes_size_and_names(folder: Path, tmp_path: Path) -> None:
    listed = from_folder(folder, 64)
    copied = shutil.copytree(folder, tmp_path / "elsewhere")
    assert from_folder(copied, 64).sha256 == listed.sha256
    assert from_folder(copied, 32).sha256 != listed.sha256
    (copied / "p0.png").rename(copied / "p9.png")
    assert from_folder(copied, 64).sha256 != listed.sha256


def test_a_limit_draws_by_seed_and_holds_the_smaller_one(folder: Path) -> None:
    names = {(n, s): [e.name for e in from_folder(folder, 64, n, s).entries] for n in (2, 5, 99) for s in (0, 1)}
    assert set(names[2, 0]) < set(names[5, 0]) and len(names[5, 0]) == 5 and len(names[99, 0]) == 8
    assert names[5, 0] != names[5, 1] and names[99, 0] == names[99, 1]
    assert names[5, 0] == sorted(names[5, 0])


def test_a_list_is_written_read_and_checked(folder: Path, tmp_path: Path) -> None:
    listed = from_folder(folder, 64, 5)
    listed.write(tmp_path / "list.json")
    again = read_list(tmp_path / "list.json")
    assert again == listed and again.sha256 == json.loads((tmp_path / "list.json").read_text())["sha256"]
    again.check(folder)
    first, second = (e.name for e in listed.entries[:2])
    (folder / first).unlink()
    (folder / second).write_bytes(b"other")
    with pytest.raises(DataError, match=rf"missing: {first}; of other bytes: {second}\)"):
        again.check(folder)
    with pytest.raises(PictureError, match="changed since"):
        reader(again, folder)(again.entries[1])


@pytest.mark.parametrize("change", ["size", "name", "empty", "outside", "shape"])
def test_a_changed_list_is_refused(folder: Path, tmp_path: Path, change: str) -> None:
    from_folder(folder, 64, 3).write(tmp_path / "list.json")
    body = json.loads((tmp_path / "list.json").read_text())
    if change == "size":
        body["size"] = 32
    elif change == "empty":
        body["pictures"] = []
    elif change == "shape":
        body = [1]
    else:
        body["pictures"][0]["name"] = "../x.png" if change == "outside" else "other.png"
    (tmp_path / "list.json").write_text(json.dumps(body))
    with pytest.raises(DataError, match=r"changed after|no list of pictures"):
        read_list(tmp_path / "list.json")


def test_what_is_no_picture_stays_in_the_list(folder: Path) -> None:
    (folder / "p2.png").write_bytes((folder / "p2.png").read_bytes()[:200])
    Image.new("RGB", (40_000, 1)).save(folder / "p5.png")
    listed = from_folder(folder, 64)
    bad = {e.name: e for e in listed.entries if e.crop is None}
    assert set(bad) == {"p2.png", "p5.png"} and bad["p2.png"].sha256 is not None
    read = reader(listed, folder)
    with pytest.raises(PictureError, match="damaged or cut short"):
        read(bad["p2.png"])
    for path in folder.rglob("*.*"):
        path.write_bytes(b"no picture")
    with pytest.raises(DataError, match="not one of the 8"):
        from_folder(folder, 64)


def test_known_entries_are_not_decoded_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = from_folder(folder, 64)
    monkeypatch.setattr("inkontext.evaluation.autoencoder.pictures.read_picture", None)
    assert from_folder(folder, 64, known=listed.entries) == listed
    with pytest.raises(TypeError):  # at another size the crop is another one
        from_folder(folder, 32, known=listed.entries)


def test_the_worlds_pictures(tmp_path: Path) -> None:
    listed = from_world(64, 7, seed=3)
    assert [e.name for e in listed.entries][:3] == ["local-6144", "global-6144", "character-6144"]
    assert listed.entries[6].name == "local-6145"
    target = sample_pair(6144, "global", 64, "test").target
    assert (reader(listed, None)(listed.entries[1]) == np.asarray(target)).all()
    listed.write(tmp_path / "list.json")
    read_list(tmp_path / "list.json").check(None)
    assert from_world(64, 7, seed=4).sha256 != listed.sha256


@pytest.mark.parametrize(("size", "limit"), [(60, None), (16, None), (4096, None), (64, 0)])
def test_impossible_sizes_and_limits(folder: Path, size: int, limit: int | None) -> None:
    with pytest.raises(OptionError, match="must be"):
        from_folder(folder, size, limit)
