"""`inkontext eval t2i`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from inkontext.evaluation.t2i import run as t2i
from tests.cli.conftest import Cli, names

OWN = "def bright(picture, prompt):\n    return picture.convert('L').resize((1, 1)).getpixel((0, 0)) / 255\n"


@pytest.fixture
def prompts(here: Path) -> Path:
    (here / "own.csv").write_text(
        "Prompt,Category,Mood\na red cat,Animals,x\na sign that says 'A',Text,y\na dog,Animals,z\n"
    )
    (here / "own.py").write_text(OWN)
    return Path("own.csv")


def test_a_model_is_measured_and_goes_on(cli: Cli, here: Path, prompts: Path, debug_folder: Path) -> None:
    pytest.importorskip("rapidocr_onnxruntime")
    arguments = ("eval", "t2i", "--prompts", prompts, "-m", debug_folder, "--steps", 1, "--size", "48x32",
                 "--judge", "realism=own.py:bright", "--out", "run", "--json", "a.json")  # fmt: skip
    done = cli(*arguments)
    assert done.code == 0, done.err
    assert "…" not in done.out and "aesthetics: not measured" in done.out and "seconds a picture" in done.out
    assert "unknown column: Mood" in done.out
    body = json.loads((here / "a.json").read_text())
    assert (here / "run/results.json").read_bytes() == (here / "a.json").read_bytes()
    assert body["overall"]["judges"]["bright"]["n"] == 3 and body["overall"]["judges"]["text_exact"]["n"] == 1
    assert names(here / "run/outputs") == ["0000.png", "0001.png", "0002.png"] and body["rows"][0]["size"] == [48, 32]
    assert cli(*arguments).out == done.out
    refused = cli(*arguments, "--seed", 1)
    assert refused.code == 2 and "seed 0 there, 1 now" in refused.complaint
    given = cli("eval", "t2i", "--prompts", prompts, "--outputs", "run/outputs", "--judge", "realism=own.py:bright",
                "--json", "b.json")  # fmt: skip
    assert given.code == 0 and "speed: not measured (the pictures were given)" in given.out
    other = json.loads((here / "b.json").read_text())
    assert [row["scores"] for row in other["rows"]] == [row["scores"] for row in body["rows"]]


def test_an_interruption_says_what_is_kept(
    cli: Cli, prompts: Path, debug_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(t2i, "row_of", interrupt)
    done = cli("eval", "t2i", "--prompts", prompts, "-m", debug_folder, "--steps", 1, "--out", "run")
    assert done.code == 130 and "kept in 'run'" in done.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--limit", 0), "limit is 0"), (("--seed", -1), "seed is -1"), (("--size", "big"), "is not understood"),
        (("--outputs", "none"), "no folder 'none'"), (("--outputs", ".", "--steps", 3), "belong to a model"),
        (("--judge", "own.py:bright"), "write QUESTION="), (("--judge", "realism=own.py:x"), "no function 'x'"),
        (("--clip", "none"), "no folder 'none'; give --clip"), (("--aesthetic-head", "x"), "give --clip"),
        (("--json", "."), "name a file"), (("--out", "own.csv"), "name a folder"), (("--steps", 0), "steps must be"),
        (("--prompts", "none.txt"), "cannot be read"), (("--model", "nowhere"), "no model 'nowhere'"),
    ],
)  # fmt: skip
def test_bad_input(
    arguments: tuple[str, ...], words: str, cli: Cli, here: Path, prompts: Path, debug_folder: Path
) -> None:
    before = names(here)
    done = cli("eval", "t2i", "--prompts", prompts, "-m", debug_folder, *arguments)
    assert done.code == 2 and done.out == "" and [n for n in names(here) if n != "__pycache__"] == before
    lines = [line for line in done.err.splitlines() if not line.startswith("note:")]
    assert len(lines) == 1 and words in lines[0]
