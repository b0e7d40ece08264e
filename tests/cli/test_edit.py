"""`inkontext edit`: the way it should go, and every way it should not."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from inkontext.coding import Coder
from inkontext.pipeline import Pipeline
from inkontext.safety.provenance import read_metadata
from tests.cli.conftest import Cli, Outcome, names

# --- the way it should go ---------------------------------------------------------------------------------


def test_an_edit_is_written_beside_with_its_record(cli: Cli, here: Path, picture: Path, debug_folder: Path) -> None:
    done = cli("edit", picture, "redder", "--model", debug_folder, "--steps", 1, "--seed", 7)
    assert done.code == 0
    assert done.out == "photo-edited.png\n"
    assert "random weights" in done.err
    record = read_metadata(here / "photo-edited.png")
    assert record is not None and (record["prompt"], record["seed"], record["steps"]) == ("redder", 7, 1)
    assert Image.open(here / "photo-edited.png").size == Image.open(picture).size
    assert names(here) == ["photo-edited.png", "photo.png"]


def test_the_command_line_and_python_give_the_same_picture(
    cli: Cli, here: Path, picture: Path, debug_folder: Path, pipeline: Pipeline
) -> None:
    cli("edit", picture, "redder", "-m", debug_folder, "--steps", 2, "-s", 3, "-o", "a.png")
    expected = pipeline.edit(picture, "redder", steps=2, seed=3).images[0]
    assert Image.open(here / "a.png").tobytes() == expected.tobytes()


def test_a_phones_photograph_is_edited_as_it_is_seen(
    cli: Cli, here: Path, debug_folder: Path, phone: tuple[Path, Image.Image]
) -> None:
    path, seen = phone
    seen.save(here / "seen.png")
    for name in (path, "seen.png"):
        done = cli("edit", name, "redder", "--ref", name, "-m", debug_folder, "--steps", 1, "-s", 3)
        assert done.code == 0, done.err
    beside, plain = Image.open(here / "IMG_0001-edited.png"), Image.open(here / "seen-edited.png")
    assert beside.size == (64, 96) and beside.tobytes() == plain.tobytes()


def test_the_default_name_never_overwrites(cli: Cli, here: Path, picture: Path, debug_folder: Path) -> None:
    common = ("edit", picture, "redder", "-m", debug_folder, "--steps", 1)
    outs = [cli(*common).out.split(), cli(*common).out.split()]
    outs += [cli(*common, "-n", 2).out.split() for _ in range(2)]
    written = [name for out in outs for name in out]
    assert len(written) == len(set(written)) == 6
    assert set(names(here)) == {*written, "photo.png"}


def test_a_named_output_is_overwritten(cli: Cli, here: Path, picture: Path, debug_folder: Path) -> None:
    (here / "a.webp").write_text("old")
    assert cli("edit", picture, "redder", "-m", debug_folder, "--steps", 1, "-o", "a.webp").code == 0
    assert Image.open(here / "a.webp").format == "WEBP"


def test_all_options_at_once(cli: Cli, here: Path, picture: Path, debug_folder: Path) -> None:
    mask = Image.new("L", (96, 64), 255)
    mask.paste(0, (30, 20, 60, 40))
    mask.save(here / "mask.png")
    done = cli(
        "edit", picture, "redder", "--ref", picture, "--ref", picture, "--scheme", "offset", "--mask", "mask.png",
        "--mask-edits", "black", "--mask-mode", "exact", "--strength", 0.9, "--size", "match", "--fit", "stretch",
        "--seed", 5, "--steps", 2, "--guidance", 3, "--negative", "blur", "--true-cfg", 2, "--solver", "multistep",
        "--numerics", "bfl", "--count", 2, "--model", debug_folder, "--device", "cpu", "--dtype", "float32",
        "--out", "deep/er/a.png", "--json", "deep/a.json",
    )  # fmt: skip
    assert done.code == 0
    assert done.out.split() == ["deep/er/a-1.png", "deep/er/a-2.png"]
    record = read_metadata(here / "deep/er/a-2.png")
    assert record is not None
    expected = {
        "prompt": "redder", "seed": 6, "references": 2, "scheme": "offset", "fit": "stretch", "guidance": 3.0,
        "negative": "blur", "true_cfg": 2.0, "solver": "multistep", "reference_numerics": "bfl",
        "mask": {"mode": "exact", "strength": 0.9, "share": round(600 / 6144, 6), "partly": 0.0,
                 "kind": "8-bit grey PNG", "cut": False},
    }  # fmt: skip
    assert {key: record[key] for key in expected} == expected
    assert "blur" in (here / "deep/a.json").read_text()


def test_the_json_has_records_and_timings(cli: Cli, here: Path, picture: Path, debug_folder: Path) -> None:
    cli("edit", picture, "redder", "-m", debug_folder, "--steps", 3, "-n", 2, "--json", "a.json")
    body = json.loads((here / "a.json").read_text())
    assert body["seconds"]["total"] > 0 and body["seconds"]["step_median"] > 0
    assert [r["seed"] for r in body["images"]] == [0, 1]


def test_bytes_outside_the_mask_are_kept_on_disk(cli: Cli, here: Path, picture: Path, debug_folder: Path) -> None:
    mask = Image.new("L", (96, 64), 0)
    mask.paste(255, (30, 20, 60, 40))
    mask.save(here / "mask.png")
    done = cli("edit", picture, "redder", "--mask", "mask.png", "-m", debug_folder, "--steps", 1, "-o", "a.png")
    assert "note: by the mask, 9.8 % of the picture may change (8-bit grey PNG)" in done.err.splitlines()
    before, after = (np.asarray(Image.open(p)) for p in (picture, here / "a.png"))
    kept = np.asarray(mask) == 0
    assert np.array_equal(before[kept], after[kept]) and not np.array_equal(before, after)


def test_without_that_promise_a_lossy_file_will_do(cli: Cli, picture: Path, here: Path, debug_folder: Path) -> None:
    Image.new("L", (96, 64), 255).save(here / "mask.png")
    done = cli("edit", picture, "redder", "--mask", "mask.png", "--mask-mode", "reference", "-m", debug_folder,
               "--steps", 1, "-o", "a.jpg")  # fmt: skip
    assert done.code == 0 and "note: by the mask, all of the picture may change (8-bit grey PNG)" in done.err


def test_the_model_may_come_from_the_environment(
    cli: Cli, picture: Path, debug_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INKONTEXT_MODEL", str(debug_folder))
    assert cli("edit", picture, "redder", "--steps", 1).code == 0


# --- bad input --------------------------------------------------------------------------------------------


def refused(outcome: Outcome, here: Path, before: list[str], code: int = 2) -> str:
    """The complaint of a run that must have written nothing."""
    assert outcome.code == code
    assert outcome.out == ""
    assert names(here) == before
    return outcome.complaint


def spoil(here: Path, photo: Image.Image) -> None:
    """A folder full of things that are no good."""
    photo.save(here / "photo.png")
    whole = (here / "photo.png").read_bytes()
    (here / "cut.png").write_bytes(whole[: len(whole) // 2])
    (here / "empty.png").write_bytes(b"")
    (here / "words.png").write_text("just words")
    header = bytearray(whole)
    header[16:24] = (30_000).to_bytes(4, "big") * 2
    (here / "bomb.png").write_bytes(header)  # the CRC no longer fits either
    photo.save(here / "eps.png", "EPS")
    Image.new("L", (5, 5), 255).save(here / "small-mask.png")
    Image.new("L", photo.size, 0).save(here / "black-mask.png")
    Image.new("L", photo.size, 255).save(here / "mask.png")
    Image.new("L", photo.size, 1).save(here / "ones.png")
    Image.new("RGB", photo.size, "red").save(here / "red.png")
    (here / "folder.png").mkdir()


BAD = {
    "missing": (("no.png", "x"), "does not exist"),
    "folder": (("folder.png", "x"), "is a folder"),
    "cut": (("cut.png", "x"), "cut short"),
    "empty": (("empty.png", "x"), "is not a picture"),
    "words": (("words.png", "x"), "is not a picture"),
    "bomb": (("bomb.png", "x"), "bomb.png"),
    "eps": (("eps.png", "x"), "is not a picture"),
    "long name": (("x" * 300, "x"), "cannot"),
    "line in name": (("no\nsuch.png", "x"), "does not exist"),
    "reference": (("photo.png", "x", "--ref", "cut.png"), "cut short"),
    "mask missing": (("photo.png", "x", "--mask", "no.png"), "does not exist"),
    "mask size": (("photo.png", "x", "--mask", "small-mask.png"), "5x5 but the picture is 96x64"),
    "mask empty": (("photo.png", "x", "--mask", "black-mask.png"), "nothing to edit"),
    "mask opaque": (("photo.png", "x", "--mask", "mask.png", "--mask-edits", "transparent"), "no transparency"),
    "mask words": (("photo.png", "x", "--mask", "mask.png", "--mask-edits", "red"), "unknown mask convention"),
    "mask mode": (("photo.png", "x", "--mask", "mask.png", "--mask-mode", "soft"), "unknown mask_mode"),
    "mask and size": (("photo.png", "x", "--mask", "mask.png", "--size", "40x40"), "size must be 'match'"),
    "mask of ones": (("photo.png", "x", "--mask", "ones.png"), "brightest value is 1 of 255"),
    "mask of ones, black": (("photo.png", "x", "--mask", "ones.png", "--mask-edits", "black"), "as good as black"),
    "mask in colours": (("photo.png", "x", "--mask", "red.png"), "the mask is in colours"),
    "mask and jpg": (("photo.png", "x", "--mask", "mask.png", "--out", "a.jpg"), "end the name of 'a.jpg' in .png"),
    "mask and webp": (("photo.png", "x", "--mask", "mask.png", "--out", "a.webp"), "end the name of 'a.webp' in .png"),
    "no prompt": (("photo.png", ""), "prompt is empty"),
    "blank prompt": (("photo.png", " \n "), "prompt is empty"),
    "long prompt": (("photo.png", "word " * 200), "tokens"),
    "steps": (("photo.png", "x", "--steps", "0"), "steps must be"),
    "size": (("photo.png", "x", "--size", "huge"), "is not understood"),
    "fit": (("photo.png", "x", "--fit", "squeeze"), "unknown fit"),
    "scheme": (("photo.png", "x", "--scheme", "pile"), "unknown reference scheme"),
    "solver": (("photo.png", "x", "--solver", "rk9"), "unknown solver"),
    "numerics": (("photo.png", "x", "--numerics", "comfy"), "unknown reference_numerics"),
    "negative": (("photo.png", "x", "--negative", "blur"), "set true_cfg"),
    "guidance": (("photo.png", "x", "--guidance", "-1"), "guidance must be"),
    "strength": (("photo.png", "x", "--strength", "0.5"), "strength acts through a mask"),
    "count": (("photo.png", "x", "--count", "0"), "count must be"),
    "seed": (("photo.png", "x", "--seed", "-1"), "seed -1 must be"),
    "device": (("photo.png", "x", "--device", "abacus"), "not available here"),
    "dtype": (("photo.png", "x", "--dtype", "int4"), "is not one of float32"),
    "suffix": (("photo.png", "x", "--out", "a.gif"), "end its name in .png"),
    "out is a folder": (("photo.png", "x", "--out", "folder.png"), "name a file"),
    "out in a file": (("photo.png", "x", "--out", "photo.png/a.png"), "name a file"),
    "out too long": (("photo.png", "x", "--out", "x" * 300 + ".png"), "cannot write"),
    "json is a folder": (("photo.png", "x", "--json", "folder.png"), "name a file"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input(case: str, cli: Cli, here: Path, photo: Image.Image, debug_folder: Path) -> None:
    arguments, words = BAD[case]
    spoil(here, photo)
    before = names(here)
    assert words in refused(cli("edit", *arguments, "--model", debug_folder), here, before)


@pytest.mark.parametrize("out", [None, "old.png"])
def test_wrong_pictures_are_found_before_the_model_is(cli: Cli, here: Path, out: str | None) -> None:
    outcome = cli("edit", "no.png", "x", "--model", "no-such-model", *(("--out", out) if out else ()))
    assert "picture 'no.png'" in refused(outcome, here, [])


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("nothing", "there is no model"), ("some.where/else.safetensors", "there is no model"),
        ("photo.png", "no complete safetensors"), (".", "holds neither"), ("model.ckpt", "pickle"),
    ],
)  # fmt: skip
def test_models_that_are_none(model: str, words: str, cli: Cli, here: Path, picture: Path) -> None:
    (here / "model.ckpt").write_bytes(b"pickle")
    assert words in refused(cli("edit", picture, "x", "--model", model), here, ["model.ckpt", "photo.png"])


@pytest.fixture
def own_model(debug_folder: Path, tmp_path: Path) -> Path:
    """A copy of the debug model to damage."""
    return shutil.copytree(debug_folder, tmp_path / "own")


def weights_of(model: Path) -> Path:
    return next((model / "transformer").glob("*.safetensors"))


def change_weights(model: Path, change: Any) -> None:
    tensors = load_file(weights_of(model))
    change(tensors)
    save_file(tensors, weights_of(model))


def _nan(tensors: dict[str, torch.Tensor]) -> None:
    name = next(n for n in sorted(tensors) if "transformer_blocks.1" in n and n.endswith("weight"))
    tensors[name].view(-1)[0] = float("nan")


def _missing(tensors: dict[str, torch.Tensor]) -> None:
    del tensors["proj_out.weight"]


def _shape(tensors: dict[str, torch.Tensor]) -> None:
    tensors["proj_out.weight"] = tensors["proj_out.weight"][:-1].contiguous()


@pytest.mark.parametrize(("change", "words"), [(_nan, "NaN"), (_missing, "proj_out"), (_shape, "proj_out")])
def test_weights_that_are_wrong(change: Any, words: str, cli: Cli, here: Path, picture: Path, own_model: Path) -> None:
    change_weights(own_model, change)
    assert words in refused(cli("edit", picture, "x", "-m", own_model, "--steps", 1), here, ["photo.png"])


def test_weights_cut_short(cli: Cli, here: Path, picture: Path, own_model: Path) -> None:
    data = weights_of(own_model).read_bytes()
    weights_of(own_model).write_bytes(data[: len(data) // 2])
    assert "no complete safetensors" in refused(cli("edit", picture, "x", "-m", own_model), here, ["photo.png"])


@pytest.mark.parametrize("part", ["tokenizer", "tokenizer_2", "text_encoder", "text_encoder_2", "vae"])
def test_a_part_of_the_model_is_missing(part: str, cli: Cli, here: Path, picture: Path, own_model: Path) -> None:
    shutil.rmtree(own_model / part)
    assert refused(cli("edit", picture, "x", "-m", own_model), here, ["photo.png"])


def test_not_enough_memory(
    cli: Cli, here: Path, picture: Path, debug_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INKONTEXT_MEMORY", "0.0001")
    complaint = refused(cli("edit", picture, "x", "-m", debug_folder), here, ["photo.png"], code=3)
    assert "GiB" in complaint and "; use a device" in complaint


@pytest.mark.parametrize(
    "error",
    [MemoryError(), torch.OutOfMemoryError("CUDA out of memory. Tried to allocate"),
     RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes")],
    ids=["python", "cuda", "cpu"],
)  # fmt: skip
def test_memory_that_runs_out_on_the_way(
    error: Exception, cli: Cli, here: Path, picture: Path, debug_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(Coder, "decode", fail)
    outcome = cli("edit", picture, "x", "-m", debug_folder, "--steps", 1)
    assert "out of memory; use" in refused(outcome, here, ["photo.png"], code=3)


def test_other_runtime_errors_are_not_hidden(
    cli: Cli, picture: Path, debug_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(Coder, "decode", fail)
    with pytest.raises(RuntimeError, match="a bug"):
        cli("edit", picture, "x", "-m", debug_folder, "--steps", 1)


@pytest.mark.parametrize("call", ["write_bytes", "replace"])
def test_a_full_disk(
    call: str, cli: Cli, here: Path, picture: Path, debug_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    (here / "a.png").write_text("old")
    monkeypatch.setattr(Path, call, full)
    outcome = cli("edit", picture, "x", "-m", debug_folder, "--steps", 1, "-o", "a.png")
    assert "No space left" in refused(outcome, here, ["a.png", "photo.png"], code=3)
    assert (here / "a.png").read_text() == "old"


def test_a_picture_whose_place_fills_up_while_it_is_made_is_kept_elsewhere(
    cli: Cli, here: Path, picture: Path, debug_folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    write, made = Path.write_bytes, cli("edit", picture, "x", "-m", debug_folder, "--steps", 1, "-o", "whole.png")
    assert made.code == 0

    def full(path: Path, data: bytes) -> int:
        if path.absolute().is_relative_to(here):
            raise OSError(28, "No space left on device")
        return write(path, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    outcome = cli("edit", picture, "x", "-m", debug_folder, "--steps", 1, "-o", "a.png")
    assert outcome.code == 3
    found = re.search(r"No space left on device.*; what was made is kept in '(.*)'$", outcome.complaint)
    assert found is not None, outcome.complaint
    assert (Path(found[1]) / "a.png").read_bytes() == (here / "whole.png").read_bytes()
    assert names(here) == ["photo.png", "whole.png"]


SAMPLING = """
from inkontext.cli.main import main
from inkontext.model.transformer import FluxTransformer

forward = FluxTransformer.forward
def told(self, *arguments, **named):
    print("sampling", flush=True)
    return forward(self, *arguments, **named)
FluxTransformer.forward = told
main()
"""


def test_an_interrupt_in_mid_sampling(here: Path, picture: Path, debug_folder: Path) -> None:
    """A process of its own, stopped as Ctrl-C stops it, some steps after the model was loaded."""
    process = subprocess.Popen(
        [sys.executable, "-c", SAMPLING, "edit", picture, "x", "-m", debug_folder, "--steps", "1000", "-n", "100",
         "--out", "a.png"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=here, env=os.environ | {"COLUMNS": "200"},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a background job may ignore it
    )  # fmt: skip
    assert process.stdout is not None
    assert [process.stdout.readline() for _ in range(3)] == ["sampling\n"] * 3
    process.send_signal(signal.SIGINT)
    out, err = process.communicate()
    assert process.returncode == 130
    assert Outcome(130, out, err).complaint == "interrupted; nothing was written"
    assert set(out.splitlines()) <= {"sampling"} and names(here) == ["photo.png"]


# --- cues, names and text ---------------------------------------------------------------------------------


def test_cues_are_reported_and_recorded(cli: Cli, here: Path, picture: Path, debug_folder: Path) -> None:
    (here / "c.json").write_text('{"cues": [{"kind": "arrow", "points": [[0.9, 0.9], [0.5, 0.5]], "colour": "blue"}]}')
    done = cli(
        "edit", picture, "x", "-m", debug_folder, "--steps", 1, "--cue", "ellipse:10,10,40,40px,red", "--cue", "c.json"
    )
    assert (done.code, done.out) == (0, "photo-edited.png\n")
    assert "cue: the red ellipse" in done.err and "cue: the blue arrow" in done.err
    record = read_metadata(here / "photo-edited.png")
    assert record is not None
    assert [c["kind"] for c in record["cues"]] == ["ellipse", "arrow"]
    assert [c["name"] for c in record["cue_check"]["cues"]] == ["red ellipse", "blue arrow"]


def test_named_references_are_put_into_words(
    cli: Cli, here: Path, picture: Path, photo: Image.Image, debug_folder: Path, pipeline: Pipeline
) -> None:
    other = photo.transpose(Image.Transpose.ROTATE_180)
    other.save(here / "h.png")
    arguments = ("-m", debug_folder, "--steps", 1, "--dtype", "float32", "-o", "a.png")
    assert cli("edit", picture, "Put @hat on it", "--ref", "hat=h.png", *arguments).code == 0
    words = "Put the hat of the first picture on it in the second picture"
    expected = pipeline.edit(photo, words, references=[other], position=1, steps=1)
    assert Image.open(here / "a.png").tobytes() == expected.images[0].tobytes()
    record = read_metadata(here / "a.png")
    assert record is not None and (record["prompt"], record["position"]) == (words, 1)
    assert record["roles"] == {"said": "Put @hat on it", "names": {"hat": 1, "image": 2}}


def test_text_is_checked_and_other_seeds_are_tried(cli: Cli, here: Path, picture: Path, debug_folder: Path) -> None:
    pytest.importorskip("rapidocr_onnxruntime")
    done = cli(
        "edit", picture, "Write 'KONTEXT' on it", "-m", debug_folder, "--steps", 1, "-n", 2, "--check-text",
        "--retries", 1, "--json", "a.json",
    )  # fmt: skip
    assert done.code == 0 and done.err.count("none of which showed every word") == 2
    body = json.loads((here / "a.json").read_text())
    tried = [[t["seed"] for t in r["text_check"]["tries"]] for r in body["images"]]
    assert tried == [[0, 2], [1, 3]]
    assert all(r["text_check"]["kept"] == r["seed"] for r in body["images"])


CHECKS = {
    "cue outside": (("x", "--cue", "box:0.5,0.5,0.6,0.6"), "outside the picture"),
    "cue file": (("x", "--cue", "no.json"), "cannot read the cues"),
    "unknown name": (("put @hat on it",), "add --ref hat=FILE"),
    "unused name": (("put it on", "--ref", "hat=photo.png"), "say @hat there"),
    "two of a name": (("put @a on", "--ref", "a=photo.png", "--ref", "a=photo.png"), "two references are named"),
    "no words": (("make it red", "--check-text"), "quotation marks"),
    "retries alone": (("write 'A'", "--retries", "2"), "give --check-text as well"),
    "retries": (("write 'A'", "--check-text", "--retries", "-1"), "from 0 to 100"),
}


@pytest.mark.parametrize("case", CHECKS)
def test_mistakes_with_cues_names_and_text(case: str, cli: Cli, here: Path, picture: Path) -> None:
    arguments, words = CHECKS[case]
    assert words in refused(cli("edit", picture, *arguments, "--model", "no-such-model"), here, ["photo.png"])
