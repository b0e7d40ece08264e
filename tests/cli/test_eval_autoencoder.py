"""`inkontext eval autoencoder`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.cli.conftest import Cli


@pytest.fixture
def pictures(here: Path) -> Path:
    folder = here / "pictures"
    folder.mkdir()
    random = np.random.default_rng(0)
    for number in range(4):
        small = Image.fromarray(random.integers(0, 256, (6, 8, 3), np.uint8))
        small.resize((64, 48), Image.Resampling.BICUBIC).save(folder / f"{number}.png")
    return Path("pictures")


def test_a_model_on_a_folder_and_its_list_again(cli: Cli, here: Path, pictures: Path, debug_folder: Path) -> None:
    (pictures / "torn.png").write_bytes((pictures / "0.png").read_bytes()[:90])
    common = ("eval", "autoencoder", "-m", debug_folder, "--data", pictures)
    done = cli(*common, "--size", 32, "--out", "run", "--json", "a.json")
    assert done.code == 0 and "debug" in done.out and "JPEG, equal bytes" in done.out and "±" not in done.out
    assert "…" not in done.out  # the tables fit 80 columns
    assert "PDist missing: no VGG-16 weights" in done.out and "counted nowhere: 1: torn.png" in done.out
    body = json.loads((here / "a.json").read_text())
    assert (here / "run/results.json").read_bytes() == (here / "a.json").read_bytes()
    assert body["pictures"] == 4 and body["list"]["sha256"] in done.out and str(here) not in json.dumps(body)
    assert body["results"]["JPEG, equal bytes"]["bytes"] <= 512 and body["results"]["debug"]["pdist"]["mean"] is None
    again = cli(*common, "--list", "run/list.json", "--json", "b.json")
    assert again.code == 0 and again.out == done.out
    assert (here / "b.json").read_bytes() == (here / "a.json").read_bytes()
    resumed = cli(*common, "--size", 32, "--out", "run")
    assert (resumed.code, resumed.out) == (0, done.out)
    (pictures / "2.png").unlink()
    refused = cli(*common, "--list", "run/list.json")
    assert refused.code == 2 and "missing: 2.png" in refused.complaint


def test_the_world(cli: Cli, here: Path, debug_folder: Path) -> None:
    done = cli("eval", "autoencoder", "-m", debug_folder, "--world", "--limit", 3, "--size", 64, "--json", "w.json")
    assert done.code == 0 and "3 of the world, held out, drawn at 64 px" in " ".join(done.out.split())
    body = json.loads((here / "w.json").read_text())
    assert [row["name"] for row in body["rows"]] == ["local-0", "global-0", "character-0"]
    assert body["results"]["JPEG, equal bytes"]["bytes"] <= 2048
    assert body["results"]["resize to 1/8"]["psnr"]["mean"] < body["results"]["resize, equal bytes"]["psnr"]["mean"]


def test_mistakes(cli: Cli, here: Path, pictures: Path, debug_folder: Path) -> None:
    command = ("eval", "autoencoder", "-m", debug_folder)
    (here / "bad.json").write_text("{}")
    for arguments, told in (
        ((), "--data FOLDER or --world"),
        (("--world", "--data", pictures), "--data FOLDER or --world"),
        (("--world", "--list", "x.json", "--limit", 3), "leave out --size, --limit and --seed"),
        (("--world", "--list", "x.json"), "cannot read the list"),
        (("--world", "--list", "bad.json"), "no list of pictures"),
        (("--world", "--seed", -1), "the seed is -1"),
        (("--data", "nowhere"), "there is no folder 'nowhere'"),
        (("--data", pictures, "--size", 100), "the size is 100"),
        (("--data", pictures, "--vgg", "none.pth"), "no file 'none.pth'"),
        (("--data", pictures, "-m", debug_folder), "the same weights as"),
        (("--data", pictures, "-m", "nothing-like-it"), "there is no model 'nothing-like-it'"),
        (("--data", pictures, "--out", "bad.json"), "cannot write into 'bad.json'"),
    ):
        done = cli(*command, *arguments)
        assert done.code == 2 and told in done.complaint, done.err
    assert sorted(p.name for p in here.iterdir()) == ["bad.json", "pictures"]
