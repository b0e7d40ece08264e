"""`inkontext convert`."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from tests.cli.conftest import Cli, names


def tensors_in(folder: Path) -> dict[str, torch.Tensor]:
    return {name: t for part in ("transformer", "vae") for f in (folder / part).glob("*.safetensors")
            for name, t in load_file(f).items()}  # fmt: skip


def test_there_and_back_keeps_every_bit(cli: Cli, here: Path, debug_folder: Path) -> None:
    there = cli("convert", debug_folder, "bfl", "--to", "bfl")
    assert (there.code, there.out) == (0, "bfl\n")
    assert {"debug.safetensors", "ae.safetensors"} <= set(names(here / "bfl"))
    assert cli("convert", "bfl/debug.safetensors", "back", "--to", "diffusers").code == 0
    before, after = tensors_in(debug_folder), tensors_in(here / "back")
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_a_cast(cli: Cli, here: Path, debug_folder: Path) -> None:
    assert cli("convert", debug_folder, "half", "--dtype", "bfloat16").code == 0
    assert {t.dtype for t in tensors_in(here / "half").values()} == {torch.bfloat16}


def test_a_converted_model_edits(cli: Cli, here: Path, picture: Path, debug_folder: Path) -> None:
    cli("convert", debug_folder, "bfl", "--to", "bfl")
    for model, out in ((debug_folder, "a.png"), ("bfl", "b.png")):
        assert cli("edit", picture, "redder", "-m", model, "--steps", 1, "-o", out).code == 0
    assert Image.open("a.png").tobytes() == Image.open("b.png").tobytes()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nothing", "new"), "there is no model"), (("{debug}", "new", "--to", "comfy"), "unknown layout"),
        (("{debug}", "taken"), "exists already"), (("{debug}", "new", "--dtype", "int4"), "is not one of float32"),
    ],
)  # fmt: skip
def test_bad_input(arguments: tuple[str, ...], words: str, cli: Cli, here: Path, debug_folder: Path) -> None:
    (here / "taken").mkdir()
    (here / "taken/file").write_text("mine")
    outcome = cli("convert", *(a.format(debug=debug_folder) for a in arguments))
    assert outcome.code == 2 and outcome.out == ""
    assert words in outcome.complaint
    assert names(here) == ["taken"] and (here / "taken/file").read_text() == "mine"
