"""Pictures from outside: photographs and stickers from folders, and what is wrong with some folders."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from inkontext.data.world import Outside, sample_pair
from inkontext.data.world.outside import CROPS
from inkontext.data.world.render import render
from inkontext.data.world.scene import Scene, Sticker
from inkontext.data.world.score import score
from inkontext.errors import OptionError, PictureError

NAMES = [f"{a} {b}" for a in ("red", "old", "tiny", "odd") for b in ("apple", "car", "whale", "drum", "tree", "fan")]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    root = tmp_path_factory.mktemp("outside")
    raw = np.random.default_rng(1)
    for split in ("train", "test"):
        (root / "photos" / split).mkdir(parents=True)
        for i in range(4):
            small = Image.fromarray(raw.integers(0, 256, (5, 7, 3), dtype=np.uint8))
            small.resize((210, 150), Image.Resampling.BICUBIC).save(root / "photos" / split / f"{i}.png")
    (root / "emoji").mkdir()
    names = {}
    for i, name in enumerate(NAMES):
        picture = Image.new("RGBA", (40, 40))
        colour = tuple(int(v) for v in raw.integers(0, 256, 3))
        picture.paste((*colour, 255), (6, 6, 34, 34))
        picture.save(root / "emoji" / f"{i}.png")
        names[f"{i}.png"] = name
    (root / "emoji" / "names.json").write_text(json.dumps(names))
    return root / "photos", root / "emoji"


def test_both_kinds_join_and_bytes_are_fixed(folders: tuple[Path, Path]) -> None:
    photos = stickers = 0
    one, two = Outside(*folders), Outside(*folders)
    for seed in range(60):
        a, b = sample_pair(seed, None, 64, "train", one), sample_pair(seed, None, 64, "train", two)
        assert a.target.tobytes() == b.target.tobytes()
        assert a.instruction == b.instruction
        scenes: tuple[Scene, ...] = (*a.reference_scenes, a.scene_after)
        photos += any(s.background.photo for s in scenes)
        stickers += any(isinstance(t, Sticker) for s in scenes for t in s.things)
    assert photos > 10
    assert stickers > 10


def test_phones_photographs_are_drawn_from_as_they_are_seen(phone: tuple[Path, Image.Image]) -> None:
    path, seen = phone
    outside = Outside(path.parent)
    (name,) = outside.photo_names("train")
    wanted = seen.resize((32, 32), Image.Resampling.BILINEAR, (0, 0, 64, 64))  # the first crop, at the top left
    assert np.abs(np.asarray(outside.photo(name, 0, 32), int) - np.asarray(wanted, int)).mean() < 3


def test_splits_keep_their_own(folders: tuple[Path, Path]) -> None:
    outside = Outside(*folders)
    assert set(outside.sticker_names("train")).isdisjoint(outside.sticker_names("test"))
    assert all(name.startswith("train/") for name in outside.photo_names("train"))
    assert all(name.startswith("test/") for name in outside.photo_names("test"))


def test_edits_on_photographs_stay_in_the_mask_and_are_scored(folders: tuple[Path, Path]) -> None:
    outside = Outside(*folders)
    for seed in range(60):
        pair = sample_pair(seed, "local", 64, "test", outside)
        before, after = np.asarray(pair.references[0]), np.asarray(pair.target)
        assert not ((before != after).any(axis=-1) & (np.asarray(pair.mask) == 0)).any()
        if seed < 15:
            assert score(pair, pair.target, outside).success
            assert not score(pair, pair.references[0], outside).success


def test_a_flat_folder_serves_both_splits(folders: tuple[Path, Path]) -> None:
    flat = Outside(folders[0] / "train")
    assert flat.photo_names("train") == flat.photo_names("test")


def test_a_crop_is_square_and_mirrors(folders: tuple[Path, Path]) -> None:
    outside = Outside(folders[0])
    name = outside.photo_names("train")[0]
    crops = [outside.photo(name, i, 48) for i in range(CROPS)]
    assert all(c.size == (48, 48) for c in crops)
    assert np.array_equal(np.asarray(crops[0])[:, ::-1], np.asarray(crops[1]))


def test_memory_is_bounded(folders: tuple[Path, Path]) -> None:
    outside = Outside(folders[0], memory=0)
    for name in outside.photo_names("train"):
        outside.photo(name, 0, 64)
    assert len(outside._kept) == 1


def test_empty_and_broken_folders_are_told(folders: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="No photographs"):
        Outside(tmp_path)
    with pytest.raises(OptionError, match=r"names\.json"):
        Outside(emoji=tmp_path)
    (tmp_path / "names.json").write_text("[1, 2")
    with pytest.raises(OptionError, match=r"names\.json"):
        Outside(emoji=tmp_path)
    (tmp_path / "names.json").write_text("{}")
    with pytest.raises(OptionError, match="no usable name"):
        Outside(emoji=tmp_path)
    (tmp_path / "a.jpg").write_bytes(b"not a picture")
    with pytest.raises(PictureError, match=r"a\.jpg"):
        for seed in range(40):
            sample_pair(seed, "global", 64, "train", Outside(tmp_path))
    pairs = (sample_pair(seed, "local", 64, "train", Outside(*folders)) for seed in range(40))
    pair = next(p for p in pairs if p.scene_after.background.photo)
    with pytest.raises(OptionError, match="Outside"):
        render(pair.scene_after, 64)
