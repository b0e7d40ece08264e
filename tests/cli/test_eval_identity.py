"""`inkontext eval identity`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from tests.cli.conftest import Cli, names

OWN = "def colour(picture):\n    return [*picture.resize((1, 1)).getpixel((0, 0))]\n"


@pytest.fixture
def pictures(here: Path) -> Path:
    (here / "own.py").write_text(OWN)
    for turn, colour in enumerate(("red", "red", "purple", "blue")):
        Image.new("RGB", (8, 8), colour).save(here / f"{turn}.png")
    return here


def test_a_series_of_files_with_ones_own_function(cli: Cli, pictures: Path) -> None:
    common = ("eval", "identity", "--embedder", "own.py:colour")
    done = cli(*common, "--series", "0.png", "1.png", "2.png", "3.png", "--out", "run", "--json", "a.json")
    assert done.code == 0 and "…" not in done.out and "first picture" in done.out
    body = json.loads((pictures / "a.json").read_text())
    assert (pictures / "run/results.json").read_bytes() == (pictures / "a.json").read_bytes()
    assert [row["scores"]["own"] for row in body["rows"]] == [1.0, pytest.approx(0.5**0.5, abs=1e-6), 0.0]
    assert "report.html" in names(pictures / "run") and len(names(pictures / "run/pictures")) == 4
    done = cli(*common, "0.png", "1.png", "3.png", "--json", "b.json")
    assert done.code == 0
    assert [r["scores"]["own"] for r in json.loads((pictures / "b.json").read_text())["rows"]] == [1.0, 0.0]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("0.png", "1.png"), "nothing to compare by"), (("--embedder", "own.py:colour"), "needs two pictures"),
        (("--embedder", "own.py", "0.png", "1.png"), "names no function"),
        (("--embedder", "none.py:f", "0.png", "1.png"), "cannot be imported"),
        (("--embedder", "own.py:f", "0.png", "1.png"), "no function 'f'"),
        (("--face-model", "none", "0.png", "1.png"), "no glintr100.onnx"),
        (("--dino", "none", "0.png", "1.png"), "no folder 'none'; give --dino"),
        (("--pairs", "a.jsonl", "--series", "0.png"), "two kinds of input"),
        (("--json", ".", "0.png", "1.png"), "name a file"), (("none.png", "0.png"), "'none.png' does not exist"),
    ],
)  # fmt: skip
def test_bad_input(arguments: tuple[str, ...], words: str, cli: Cli, pictures: Path) -> None:
    before = names(pictures)
    done = cli("eval", "identity", *arguments)
    assert done.code == 2 and done.out == "" and words in done.complaint
    assert [n for n in names(pictures) if n != "__pycache__"] == before
