"""`inkontext inspect`: pictures, models, LoRA files."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from inkontext.pipeline import Pipeline
from tests.cli.conftest import Cli


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp"])
def test_how_a_picture_was_made(suffix: str, cli: Cli, here: Path, picture: Path, pipeline: Pipeline) -> None:
    pipeline.edit(picture, "make [bold]it[/] red 🐈", steps=1, seed=42).save(here / f"a.{suffix}")
    done = cli("inspect", f"a.{suffix}", "--json", "a.json")
    assert done.code == 0
    assert "make [bold]it[/] red 🐈" in done.out and "42" in done.out
    body = json.loads((here / "a.json").read_text())
    assert (body["kind"], body["seed"], body["model"]["name"]) == ("picture", 42, "debug")


@pytest.mark.parametrize("suffix", ["png", "gif", "tiff", "bmp"])
def test_a_foreign_picture(suffix: str, cli: Cli, here: Path, photo: Image.Image) -> None:
    photo.save(here / f"a.{suffix}")
    outcome = cli("inspect", f"a.{suffix}")
    assert outcome.code == 2 and "carries no InKontext record" in outcome.complaint


def test_a_model_folder(cli: Cli, here: Path, debug_folder: Path) -> None:
    done = cli("inspect", debug_folder, "--sha256", "--json", "a.json")
    assert done.code == 0
    body = json.loads((here / "a.json").read_text())
    files = [p.relative_to(debug_folder) for part in ("transformer", "vae") for p in (debug_folder / part).glob("*.s*")]
    assert body["sha256"] == {str(p): hashlib.sha256((debug_folder / p).read_bytes()).hexdigest() for p in files}
    assert len(files) == 2 and body["sha256"][str(files[0])] in done.out.replace("\n", "")


def test_a_lora_file(cli: Cli, here: Path) -> None:
    name = "transformer.transformer_blocks.0.attn.to_q"
    save_file(
        {f"{name}.lora_A.weight": torch.zeros(4, 64), f"{name}.lora_B.weight": torch.zeros(64, 4)}, "l.safetensors"
    )
    done = cli("inspect", "l.safetensors", "--json", "a.json")
    assert done.code == 0
    assert "lora" in json.loads((here / "a.json").read_text())["kind"].lower()


@pytest.mark.parametrize(
    ("what", "words"),
    [("no.png", "does not exist"), ("nothing", "there is no model"), ("words.png", "is not a picture"),
     ("words.safetensors", "no complete safetensors")],
)  # fmt: skip
def test_bad_input(what: str, words: str, cli: Cli, here: Path) -> None:
    for name in ("words.png", "words.safetensors"):
        (here / name).write_text("words")
    outcome = cli("inspect", what)
    assert outcome.code == 2 and outcome.out == ""
    assert words in outcome.complaint


def test_names_in_a_file_do_nothing_to_the_terminal(cli: Cli, here: Path) -> None:
    down = "\x1b[31mred\x07.lora_down.weight"
    save_file({down: torch.ones(4, 16)}, "odd.safetensors", {"who\x1b[2J": "me\nand \x1b]0;you"})
    done = cli("inspect", "odd.safetensors")
    assert done.code == 0 and "red" in done.out
    assert not set(done.out) & {"\x1b", "\x07"}
    save_file({down: torch.ones(4)}, "bad.safetensors")
    failed = cli("inspect", "bad.safetensors")
    assert failed.code == 2 and "no low-rank matrix" in failed.complaint and "\x1b" not in failed.complaint
