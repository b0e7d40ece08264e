"""`inkontext generate`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from inkontext.safety.provenance import read_metadata
from tests.cli.conftest import Cli, names


def test_a_picture_from_text(cli: Cli, here: Path, debug_folder: Path) -> None:
    done = cli("generate", "a cat", "-m", debug_folder, "--steps", 1, "--size", "50x30", "--json", "a.json")
    assert (done.code, done.out) == (0, "generated.png\n")
    assert Image.open(here / "generated.png").size == (50, 30)
    record = read_metadata(here / "generated.png")
    assert record is not None and (record["task"], record["prompt"]) == ("generate", "a cat")
    assert json.loads((here / "a.json").read_text())["prompt"] == "a cat"


def test_the_default_name_never_overwrites(cli: Cli, here: Path, debug_folder: Path) -> None:
    for extra in ((), (), ("-n", 2), ("-n", 2)):
        assert cli("generate", "a cat", "-m", debug_folder, "--steps", 1, *extra).code == 0
    assert len(names(here)) == 6


def test_all_options_at_once(cli: Cli, here: Path, debug_folder: Path) -> None:
    done = cli(
        "generate", "a cat", "--size", "16:9", "--seed", 5, "--steps", 2, "--guidance", 3, "--negative", "blur",
        "--true-cfg", 2, "--solver", "heun", "--numerics", "diffusers", "--count", 2, "--model", debug_folder,
        "--device", "cpu", "--dtype", "bfloat16", "--out", "a.webp",
    )  # fmt: skip
    assert done.out.split() == ["a-1.webp", "a-2.webp"]
    record = read_metadata(here / "a-2.webp")
    assert record is not None
    assert (record["seed"], record["true_cfg"], record["dtype"]) == (6, 2.0, "bfloat16")
    assert Image.open(here / "a-1.webp").size == (80, 48)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("",), "prompt is empty"), (("word " * 200,), "tokens"), (("a cat", "--size", "0x4"), "size"),
        (("a cat", "--size", "99:1"), "too extreme"), (("a cat", "--out", "a.bmp"), "end its name in .png"),
        (("a cat", "--true-cfg", "0"), "true_cfg must be"), (("a \udcff cat",), "not valid Unicode"),
    ],
)  # fmt: skip
def test_bad_input(arguments: tuple[str, ...], words: str, cli: Cli, here: Path, debug_folder: Path) -> None:
    outcome = cli("generate", *arguments, "-m", debug_folder)
    assert outcome.code == 2 and outcome.out == "" and names(here) == []
    assert words in outcome.complaint
