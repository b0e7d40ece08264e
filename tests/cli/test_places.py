"""Whatever is wrong with a place to write is found before a model loads; no picture is lost, none replaces another."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from inkontext.cli.places import check_apart, check_file, check_folder
from inkontext.errors import OptionError
from inkontext.result import Result
from inkontext.safety import provenance
from inkontext.safety.provenance import encode_picture, read_metadata, save_picture
from tests.cli.conftest import Cli, names
from tests.session.painter import Painter

LONG = "x" * 251 + ".png"  # 255 bytes, the longest name there is; with a temporary suffix it would be too long
LONGER = "x" * 252 + ".png"
PICTURE = Image.new("RGB", (16, 16), "red")


@pytest.fixture
def closed(tmp_path: Path) -> Path:
    """A folder that takes no new file: one without the right to write, or for root, who may do all, of the kernel."""
    if os.geteuid() == 0:
        return Path("/proc/self")
    folder = tmp_path / "closed"
    folder.mkdir(mode=0o555)
    return folder


@pytest.fixture
def files(here: Path, photo: Image.Image, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Inputs, and a model that nobody may load."""

    def load(*model: Any) -> None:
        raise AssertionError("the model was loaded")

    monkeypatch.setattr("inkontext.cli.options.load", load)
    photo.save(here / "photo.png")
    Image.new("RGB", (40, 40), "blue").save(here / "ref.png")
    Image.new("L", photo.size, 255).save(here / "mask.png")
    (here / "cues.json").write_text('{"cues": [{"kind": "box", "points": [[0.1, 0.1], [0.5, 0.5]]}]}')
    (here / "link.png").symlink_to("photo.png")
    return names(here)


# --- before the model loads -------------------------------------------------------------------------------

EDIT = ("edit", "photo.png", "redder")
ALL = (*EDIT, "--ref", "hat=ref.png", "--mask", "mask.png", "--cue", "cues.json")
READ = "is read and would be overwritten"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((*EDIT, "-o", "both.png", "--json", "both.png"), "named for two outputs"),
        ((*EDIT, "-o", "both.png", "--json", "./deep/../both.png"), "named for two outputs"),
        ((*EDIT, "-o", "both.png", "-n", 2, "--json", "both-2.png"), "named for two outputs"),
        ((*EDIT, "-o", "photo.png"), READ), ((*EDIT, "--json", "photo.png"), READ),
        ((*EDIT, "-o", "link.png"), READ), ((*EDIT, "-o", "mask.png", "--mask", "mask.png"), READ),
        ((*ALL, "--json", "mask.png"), READ), ((*ALL, "-o", "ref.png"), READ), ((*ALL, "--json", "cues.json"), READ),
        ((*EDIT, "-o", LONGER), "a name of 256 bytes where 255 go"),
        ((*EDIT, "-o", "ü" * 126 + ".png"), "a name of 256 bytes where 255 go"),
        ((*EDIT, "-o", LONG, "-n", 10), "a name of 258 bytes where 255 go"),
        ((*EDIT, "--json", "new/" + LONGER), "a name of 256 bytes where 255 go"),
        (("generate", "a cat", "-o", "a.png", "--json", "a.png"), "named for two outputs"),
        (("generate", "a cat", "-o", LONGER), "a name of 256 bytes where 255 go"),
        (("generate", "a cat", "-o", "a.webp", "--size", "16384x16"), "do not go into '.webp', which ends at 16383"),
        (("inspect", "photo.png", "--json", "photo.png"), READ),
        (("eval", "alignment", "photo.png", "ref.png", "--json", "ref.png"), READ),
    ],
)  # fmt: skip
def test_outputs_that_cannot_be(
    cli: Cli, here: Path, files: list[str], arguments: tuple[Any, ...], told: str
) -> None:  # fmt: skip
    before = {name: (here / name).read_bytes() for name in files}
    done = cli(*arguments)
    assert done.code == 2
    assert told in done.complaint
    assert {name: (here / name).read_bytes() for name in names(here)} == before


@pytest.mark.parametrize(
    "arguments",
    [
        (*EDIT, "-o", "{}/a.png"), (*EDIT, "--json", "{}/a.json"), (*EDIT, "-o", "{}/deep/a.png"),
        ("generate", "a cat", "-o", "{}/a.png"), ("session", "new", "{}/s", "photo.png"),
        ("chat", "photo.png", "--session", "{}/s"), ("convert", "tiny", "{}/m"), ("inspect", "tiny", "--json", "{}/a"),
        ("data", "make", "{}/d"), ("data", "tokenizer", "{}/t.json"), ("data", "check", "x", "--json", "{}/a"),
        ("data", "precompute", "x", "-o", "{}/p"), ("data", "report", "x", "--json", "{}/a"),
        ("models", "--json", "{}/a"), ("doctor", "--json", "{}/a"), ("eval", "world", "--json", "{}/a"),
        ("eval", "drift", "-o", "{}/d"), ("eval", "autoencoder", "--world", "-o", "{}/d"),
        ("eval", "latency", "-o", "{}/d"), ("eval", "t2i", "--prompts", "p.txt", "--json", "{}/a"),
        ("eval", "kontextbench", "--data", "d", "-o", "{}/d"), ("eval", "identity", "a", "b", "-o", "{}/d"),
        ("eval", "preference", "rate", "study", "--json", "{}/a"),
    ],
    ids=lambda arguments: " ".join(map(str, arguments))[:40],
)  # fmt: skip
@pytest.mark.usefixtures("files")
def test_a_folder_that_takes_nothing(cli: Cli, closed: Path, arguments: tuple[Any, ...]) -> None:
    done = cli(*(str(part).format(closed) for part in arguments))
    assert done.code == 2
    assert done.complaint.startswith("cannot write")
    assert done.complaint.endswith("choose another place")


def test_a_run_in_a_folder_that_takes_nothing(cli: Cli, closed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = Path(__file__).parents[2] / "configs/debug/t2i.toml"
    monkeypatch.setattr("inkontext.training.build.build", lambda settings: pytest.fail("networks were built"))
    done = cli("train", config, f"run_dir={closed}/run")
    assert done.code in (2, 3)
    assert "cannot write" in done.complaint


def test_links_and_missing_files_are_compared_by_where_they_lead(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a")
    (tmp_path / "hard").hardlink_to(tmp_path / "a")
    (tmp_path / "folder").symlink_to(tmp_path)
    for other in ("hard", "folder/a", "./a"):
        with pytest.raises(OptionError, match="two outputs"):
            check_apart([tmp_path / "a", tmp_path / other])
    with pytest.raises(OptionError, match="is read"):
        check_apart([tmp_path / "folder/new"], [tmp_path / "new"])
    check_apart([tmp_path / "a", tmp_path / "b"], [tmp_path / "c", "NAME=x"])


def test_checking_leaves_nothing(tmp_path: Path) -> None:
    check_file(tmp_path / "deep/er/a.png")
    check_folder(tmp_path / "deep")
    assert not list(tmp_path.iterdir())


# --- after it ---------------------------------------------------------------------------------------------


def test_the_longest_name_can_be_written(cli: Cli, here: Path, picture: Path, debug_folder: Path) -> None:
    done = cli("edit", picture, "redder", "-m", debug_folder, "--steps", 1, "-o", LONG, "--json", LONG[:-4] + ".jsn")
    assert done.code == 0
    assert read_metadata(here / LONG)


@pytest.mark.parametrize("count", [1, 3])
def test_saving_at_once_gives_every_one_a_name(tmp_path: Path, count: int) -> None:
    """Eight that save under one free name at once: no picture replaces another, and those of one stand together."""
    results = [Result([Image.new("RGB", (8, 8), (n, i, 0)) for i in range(count)], [{"n": n}] * count)
               for n in range(8)]  # fmt: skip
    start, saved = threading.Barrier(8), {}

    def save(n: int) -> None:
        start.wait()
        saved[n] = results[n].save(tmp_path / "a.png", overwrite=False)

    threads = [threading.Thread(target=save, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    written = [path for paths in saved.values() for path in paths]
    assert len(set(written)) == 8 * count
    assert set(written) == set(tmp_path.iterdir())
    for n, paths in saved.items():
        assert [Image.open(path).getpixel((0, 0)) for path in paths] == [(n, i, 0) for i in range(count)]


@pytest.mark.parametrize("links", [True, False])
def test_a_name_that_is_taken_while_a_picture_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:  # fmt: skip
    plain = provenance.encode_picture

    def encode(image: Image.Image, kind: str, metadata: dict[str, Any] | None = None) -> bytes:
        taken = tmp_path / "a-2.png"
        if not taken.exists():
            taken.write_text("somebody else's")
        return plain(image, kind, metadata)

    def link(source: Path, target: Path) -> None:
        raise PermissionError("no links here")

    if not links:
        monkeypatch.setattr(os, "link", link)
    monkeypatch.setattr(provenance, "encode_picture", encode)
    made = Result([PICTURE, PICTURE], [{"n": 1}, {"n": 2}])
    assert [p.name for p in made.save(tmp_path / "a.png", overwrite=False)] == ["a-2-1.png", "a-2-2.png"]
    assert (tmp_path / "a-2.png").read_text() == "somebody else's"
    assert names(tmp_path) == ["a-2-1.png", "a-2-2.png", "a-2.png"]


def test_a_default_name_that_is_taken_during_the_edit(
    cli: Cli, here: Path, picture: Path, debug_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from inkontext.pipeline import Pipeline

    edit = Pipeline.edit

    def meanwhile(*given: Any, **more: Any) -> Result:
        (here / "photo-edited.png").write_text("another process's")
        return edit(*given, **more)

    monkeypatch.setattr(Pipeline, "edit", meanwhile)
    done = cli("edit", picture, "redder", "-m", debug_folder, "--steps", 1)
    assert (done.code, done.out) == (0, "photo-edited-2.png\n")
    assert (here / "photo-edited.png").read_text() == "another process's"
    assert names(here) == ["photo-edited-2.png", "photo-edited.png", "photo.png"]


def test_a_failed_edit_leaves_no_empty_file(
    cli: Cli, here: Path, picture: Path, debug_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from inkontext.pipeline import Pipeline

    def fail(*given: Any, **more: Any) -> Result:
        raise OptionError("it went wrong")

    monkeypatch.setattr(Pipeline, "edit", fail)
    assert cli("edit", picture, "redder", "-m", debug_folder, "--steps", 1).code == 2
    assert names(here) == ["photo.png"]


# --- long records -----------------------------------------------------------------------------------------

RECORDS = {
    "texts": {"prompt": "p" * 70_000, "seed": 3},
    "a text inside": {"seed": 3, "roles": {"said": "p" * 70_000}},
    "a list": {"seed": 3, "scores": [0.125] * 20_000},
    "lists of lists": {"seed": 3, "cues": [{"points": [[0.5, 0.5]] * 2000}] * 50},
    "very many keys": {f"key {n}": n for n in range(20_000)},
    "megabytes": {"seed": 3, "prompt": "p" * 9_000_000},
}


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
@pytest.mark.parametrize("record", RECORDS)
def test_a_long_record_costs_no_picture(tmp_path: Path, record: str, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    save_picture(PICTURE, path, RECORDS[record])
    assert Image.open(path).size == PICTURE.size
    read = read_metadata(path)
    assert read is not None
    if provenance.is_whole(path, RECORDS[record]):
        assert read == RECORDS[record]
    else:
        assert read["shortened"] is True
        assert record == "very many keys" or read["seed"] == 3
    assert provenance.is_whole(path, RECORDS[record]) == (suffix != ".jpg" and record != "megabytes")


def test_pixels_do_not_depend_on_the_record() -> None:
    import io

    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8))
    for kind in ("PNG", "JPEG", "WEBP"):
        short, long = (Image.open(io.BytesIO(encode_picture(noise, kind, r))) for r in ({"a": 1}, RECORDS["a list"]))
        assert short.tobytes() == long.tobytes()


def test_a_shortened_record_is_told(
    cli: Cli, here: Path, picture: Path, debug_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from inkontext.pipeline import Pipeline

    plain = Pipeline.edit

    def edit(*given: Any, **more: Any) -> Result:
        made = plain(*given, **more)
        made.records[0]["roles"] = {"said": "p" * 70_000}
        return made

    monkeypatch.setattr(Pipeline, "edit", edit)
    done = cli("edit", picture, "redder", "-m", debug_folder, "--steps", 1, "-o", "a.jpg", "--json", "a.json")
    assert done.code == 0
    assert "the record is too long for 'a.jpg' and stands there shortened" in done.err
    assert len(json.loads((here / "a.json").read_text())["roles"]["said"]) == 70_000
    assert Image.open(here / "a.jpg").size == (96, 64)


@pytest.mark.parametrize("verb", ["edit", "merge", "replay"])
def test_steps_of_a_session_check_their_json(
    cli: Cli, here: Path, painted: Painter, closed: Path, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    monkeypatch.setattr("inkontext.cli.options.load", lambda *model: pytest.fail("the model was loaded"))
    more = {"edit": ("redder",), "merge": (2,), "replay": ("t",)}[verb]
    assert "choose another place" in cli("session", verb, "s", *more, "--json", closed / "a.json").complaint
    if verb == "replay":
        assert "choose another place" in cli("session", "replay", "s", closed / "t").complaint
    if verb == "edit":
        Image.new("RGB", (8, 8)).save(here / "ref.png")
        assert READ in cli("session", "edit", "s", "x", "--ref", "ref.png", "--json", "ref.png").complaint
