"""Every format gives the rows that were written, and every mistake has a name."""

from __future__ import annotations

import json
import shutil
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.data.conftest import painted, png, save, write_lines, write_tar

from inkontext.data.fields import read_fields
from inkontext.data.formats import open_set
from inkontext.data.pairs import PairSource
from inkontext.errors import DataError


def kinds(path: Path) -> list[tuple[str, str]]:
    return [(problem.kind, problem.name) for problem in open_set(path).problems]


@pytest.mark.parametrize(
    ("row", "target", "references", "instruction"),
    [
        ({"target": "t.png", "references": ["a.png", "b.png"], "instruction": "x"}, "t.png", ("a.png", "b.png"), "x"),
        ({"image_path": "t.png", "control_path": "a.png", "caption": "x"}, "t.png", ("a.png",), "x"),
        ({"image_path": "t.png", "control_path_1": "b.png", "control_path_0": "a.png", "caption": "x"},
         "t.png", ("a.png", "b.png"), "x"),
        ({"image": "t.png", "kontext_images": '["a.png", "b.png"]', "prompt": "x"}, "t.png", ("a.png", "b.png"), "x"),
        ({"file_name": "t.png", "text": "x"}, "t.png", (), "x"),
        ({"file_name": "a.png", "output": "t.png", "instruction": "x"}, "t.png", ("a.png",), "x"),
        ({"original_image": "a.png", "edited_image": "t.png", "edit_prompt": "x"}, "t.png", ("a.png",), "x"),
        ({"source_img": "a.png", "target_img": "t.png", "mask_img": "m.png", "instruction": "x"},
         "t.png", ("a.png",), "x"),
        ({"input": "a.png", "target": "t.png", "source": "a web page", "instruction": "x"}, "t.png", ("a.png",), "x"),
        ({"target": "t.png", "references": None, "instruction": ""}, "t.png", (), ""),
        ({"target": "t.png"}, "t.png", (), None),
    ],
)  # fmt: skip
def test_field_names_of_other_tools(row, target, references, instruction) -> None:
    fields = read_fields(row)
    assert (fields.target, fields.references, fields.instruction) == (target, references, instruction)


NONSENSE = (
    {"target": 3},
    {"target": "t.png", "references": [1]},
    {"target": "t.png", "reference": "a.png", "control_path": "b.png"},
    {"target": "t.png", "kontext_images": "[a.png"},
    {"target": "t.png", "instruction": ["x"]},
    ["t.png"],
)


@pytest.mark.parametrize("row", NONSENSE)
def test_fields_that_make_no_sense(row) -> None:
    with pytest.raises(ValueError):
        read_fields(row)


def test_lines_are_read_relative_to_their_file(mixed: Path) -> None:
    listing = open_set(mixed)
    assert listing.format == "lines" and len(listing.rows) == 12 and not listing.problems
    assert [len(row.references) for row in listing.rows[:4]] == [0, 1, 1, 2]
    assert open_set(mixed / "metadata.jsonl").rows == listing.rows
    row = listing.rows[3]
    assert row.target.picture().size == (96, 64)
    assert np.array_equal(row.target.picture(), Image.open(mixed / "pictures/wide-3.png"))


def test_csv_of_diffsynth(tmp_path: Path) -> None:
    for name in ("t.png", "a.png", "b.png"):
        save(painted((32, 32)), tmp_path / name)
    (tmp_path / "metadata.csv").write_text(
        'image,prompt,kontext_images\nt.png,"red, please","[""a.png"", ""b.png""]"\n'
    )
    (row,) = open_set(tmp_path).sound()
    assert row.instruction == "red, please" and [Path(r.file).name for r in row.references] == ["a.png", "b.png"]


def test_twin_folders(tmp_path: Path) -> None:
    for stem in ("one", "two_0", "deep/three"):
        save(painted((64, 64)), tmp_path / f"target/{stem}.png").with_suffix(".txt").write_text(f"{stem} \n")
    save(painted((32, 64), 1), tmp_path / "control/one_1.jpg")
    save(painted((64, 64), 2), tmp_path / "control/one_0.png")
    save(painted((64, 64)), tmp_path / "control/two_0.webp")
    save(painted((64, 64)), tmp_path / "control/deep/three.png")
    rows = {row.key: row for row in open_set(tmp_path).sound()}
    assert [Path(r.file).name for r in rows["one"].references] == ["one_0.png", "one_1.jpg"]
    assert [Path(r.file).name for r in rows["two_0"].references] == ["two_0.webp"]
    assert rows["deep/three"].category == "deep" and rows["one"].instruction == "one"


def test_twin_orphans_are_named(tmp_path: Path) -> None:
    for stem in ("paired", "alone"):
        save(painted((64, 64)), tmp_path / f"target/{stem}.png")
    (tmp_path / "target/paired.txt").write_text("x")
    (tmp_path / "target/alone.txt").write_text("  \n")
    (tmp_path / "target/gone.txt").write_text("x")
    for stem in ("paired", "stranger_0"):
        save(painted((64, 64)), tmp_path / f"reference/{stem}.png")
    save(painted((64, 64)), tmp_path / "reference/paired.jpg")
    assert sorted(kinds(tmp_path)) == [
        ("empty instruction", "target/alone.txt"),
        ("reference without target", "reference/stranger_0.png"),
        ("target without reference", "target/alone.png"),
        ("text without picture", "target/gone.txt"),
        ("two files of one name", "reference/paired.png"),
    ]
    with pytest.raises(DataError, match=r"cannot be trained on: .* and 3 more; .*data check"):
        PairSource(tmp_path, 64)


def test_captions(tmp_path: Path) -> None:
    save(painted((64, 64)), tmp_path / "a/b.png").with_suffix(".txt").write_text("a thing")
    save(painted((64, 64)), tmp_path / "c.png")
    listing = open_set(tmp_path)
    assert listing.format == "captions"
    first = listing.rows[0]
    assert (first.key, first.instruction, first.references) == ("a/b", "a thing", ())
    assert kinds(tmp_path) == [("no instruction", "c.png")]


def test_shards_as_webdataset_names_them(tmp_path: Path) -> None:
    pictures = [painted((64, 48), n) for n in range(4)]
    members = {
        "d/0001.ref1.png": png(pictures[2]),
        "d/0001.target.png": png(pictures[0]),
        "d/0001.ref0.png": png(pictures[1]),
        "d/0001.json": json.dumps({"instruction": "swap", "category": "local", "seed": 4}).encode(),
        "0002.PNG": png(pictures[3]),
        "0002.txt": "ein Bär".encode(),
        "0002.cls": b"3",
    }
    rows = open_set(write_tar(tmp_path / "a.tar", members)).sound()
    assert [(r.key, r.instruction, r.category) for r in rows] == [("d/0001", "swap", "local"), ("0002", "ein Bär", "")]
    for blob, picture in zip([*rows[0].pictures, *rows[1].pictures], pictures, strict=True):
        assert np.array_equal(blob.picture(), picture) and blob.size() == (64, 48)


@pytest.mark.parametrize("left", [300, 2000, 512 * 5, -1024])
def test_shards_cut_short(tmp_path: Path, left: int) -> None:
    body = {f"{n}.{kind}": png(painted((64, 64), n)) for n in range(3) for kind in ("target.png", "ref0.png")}
    path = write_tar(tmp_path / "a.tar", body | {f"{n}.txt": b"x" for n in range(3)})
    path.write_bytes(path.read_bytes()[:left] if left > 0 else path.read_bytes().rstrip(b"\0"))
    assert ("half-written", "a.tar") in [(kind, Path(name).name) for kind, name in kinds(path)]
    with pytest.raises(DataError):
        PairSource(path, 64)


def test_shards_that_lack_parts(tmp_path: Path) -> None:
    picture = png(painted((64, 64)))
    members = {"a.target.png": picture, "b.ref0.png": picture, "b.txt": b"x", "c.txt": b"x", "d.png": picture,
               "d.json": b"{", "e.png": picture, "e.txt": b""}  # fmt: skip
    path = write_tar(tmp_path / "a.tar", members)
    assert [(kind, name.rpartition(":")[2]) for kind, name in kinds(tmp_path)] == [
        ("no instruction", "a"), ("reference without target", "b"), ("text without picture", "c"),
        ("bad row", "d"), ("empty instruction", "e"),
    ]  # fmt: skip
    shutil.copy(path, tmp_path / "b.tar")
    assert ("duplicate key", "b.tar:a") in kinds(tmp_path)


def test_broken_lines_are_named(mixed: Path) -> None:
    path = mixed / "metadata.jsonl"
    lines = path.read_text().splitlines()
    lines[2] = "{nonsense"
    lines[3] = '{"references": [], "instruction": "x"}'
    lines[4] = json.dumps({"target": "pictures/absent.png", "instruction": "x"})
    path.write_text("\n".join(lines)[:-10])
    assert [kind for kind, _ in kinds(mixed)] == ["bad row", "bad row", "half-written"]
    assert [name for _, name in kinds(mixed)] == ["metadata.jsonl:3", "metadata.jsonl:4", "metadata.jsonl:12"]


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda p: None, "there is no data set"),
        (lambda p: p.mkdir(), "holds no data set"),
        (lambda p: (p / "target").mkdir(parents=True), "none of reference/"),
        (lambda p: save(painted((8, 8)), p / "reference/a.png"), "none of target/"),
        (lambda p: write_lines(p / "metadata.jsonl", []), "holds no rows"),
        (lambda p: save(painted((8, 8)), p / "a.tar.gz.png").rename(p / "a.tar.gz"), "compressed"),
        (lambda p: save(painted((8, 8)), p.with_suffix(".png")).rename(p), "no data set"),
        (lambda p: write_lines(p / "metadata.jsonl", [{"target": "no.png", "instruction": "x"}]), "missing file"),
    ],
)
def test_no_set_at_all(tmp_path: Path, make, sentence: str) -> None:
    make(tmp_path / "set")
    with pytest.raises(DataError, match=sentence):
        PairSource(tmp_path / "set", 64)


def test_exif_turns_the_picture_and_its_canvas(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # stored lying on its side: shown, it is turned by 90 degrees clockwise
    lying = painted((128, 32))
    for suffix in ("jpg", "png", "webp"):
        lying.save(tmp_path / f"a.{suffix}", exif=exif)
        write_lines(tmp_path / "metadata.jsonl", [{"target": f"a.{suffix}", "instruction": "x"}])
        source = PairSource(tmp_path, 64)
        assert open_set(tmp_path).rows[0].target.size() == (32, 128), suffix
        assert source.example(0).target.shape == (128, 32, 3)
        upright = np.asarray(lying.transpose(Image.Transpose.ROTATE_270), dtype=int)
        assert np.abs(source.example(0).target.astype(int) - upright).mean() < 6


def test_target_and_references_have_canvases_of_their_own(mixed: Path) -> None:
    source = PairSource(mixed, 64)
    layouts = {tuple(p.shape[:2] for p in (e.target, *e.references)) for e in map(source.load, range(12))}
    wide, tall = (48, 80), (80, 48)
    one = (64, 64)
    assert layouts == {(a, *[one] * n) for a in (wide, one, tall) for n in range(3)}
    # A picture that has its canvas's size already comes through untouched.
    row = next(i for i, r in enumerate(source.rows) if "square" in r.target.file)
    assert np.array_equal(source.load(row).target, source.rows[row].target.picture())


def test_a_bomb_s_header_is_a_broken_picture(tmp_path: Path) -> None:
    """More than twice Pillow's own limit, at which it raises an error of its own kind."""
    bomb = bytearray(png(painted((8, 8))))
    bomb[16:24] = struct.pack(">II", 60_000, 60_000)
    bomb[29:33] = struct.pack(">I", zlib.crc32(bomb[12:29]))
    (tmp_path / "a.png").write_bytes(bomb)
    write_lines(tmp_path / "metadata.jsonl", [{"target": "a.png", "instruction": "x"}])
    with pytest.raises(DataError, match="broken picture"):
        PairSource(tmp_path, 64)


def test_phones_photographs_are_rows_as_they_are_seen(tmp_path: Path, phone: tuple[Path, Image.Image]) -> None:
    path, seen = phone
    path.rename(tmp_path / f"set.{path.suffix[1:]}")
    data = (tmp_path / f"set.{path.suffix[1:]}").read_bytes()
    save(painted((64, 96)), tmp_path / "twins/reference/a.png")
    twin = tmp_path / f"twins/target/a{path.suffix}"
    twin.parent.mkdir()
    twin.write_bytes(data)
    twin.with_suffix(".txt").write_text("x")
    shard = write_tar(tmp_path / "a.tar", {f"0001.target{path.suffix.lower()}": data, "0001.txt": b"x"})
    for place in (tmp_path / "twins", shard):
        (row,) = open_set(place).sound()
        assert row.target.size() == (64, 96)
        assert row.target.picture().tobytes() == seen.tobytes()
