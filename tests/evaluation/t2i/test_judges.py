"""Judges against the networks' own outputs, functions of the user's, and what is installed."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from transformers import CLIPImageProcessor, CLIPModel

from inkontext import reading
from inkontext.errors import OptionError
from inkontext.evaluation.reading import Reader
from inkontext.evaluation.t2i import judges
from inkontext.evaluation.t2i.judges import (
    QUESTIONS,
    FunctionJudge,
    Judge,
    TextExact,
    TextSimilarity,
    answer,
    judges_for,
)
from inkontext.evaluation.t2i.judges import unanswered as why
from inkontext.plugins import Plugin, load_function
from inkontext.weights.embedded import byte_clip_tokenizer
from tests.evaluation.test_reading import sign

OWN = """
def darkness(picture, prompt):
    return 1 - picture.convert("L").resize((1, 1)).getpixel((0, 0)) / 255

darkness.unit = "0-1"
darkness.higher_is_better = False

def words(picture, prompt):
    return len(prompt.split())
"""


def named(name: str, there: list[Judge]) -> Judge:
    return next(judge for judge in there if judge.name == name)


def test_clip_and_a_head_against_the_network(networks: tuple[Path, Path], photo: Image.Image, tmp_path: Path) -> None:
    torch.manual_seed(1)
    head = torch.nn.Sequential(*(torch.nn.Linear(a, b) for a, b in ((16, 12), (12, 5), (5, 1))))
    # Eleven layers are numbered so that 10 comes after 2 only where numbers are read as such.
    renamed = {f"layers.{(0, 2, 10)[int(n[0])]}{n[1:]}": t.detach().clone() for n, t in head.state_dict().items()}
    save_file(renamed, tmp_path / "head.safetensors")
    there, problems = judges_for(networks[0], tmp_path / "head.safetensors", device="cpu")
    text, rating = named("clip_text", there), named("aesthetic_head", there)
    assert text.available() is None and rating.available() is None and not problems and rating.identity["head"]
    model = CLIPModel.from_pretrained(networks[0])
    pixels = CLIPImageProcessor.from_pretrained(networks[0])(images=photo, return_tensors="pt")["pixel_values"]
    with torch.no_grad():
        out = model(pixel_values=pixels, **byte_clip_tokenizer()("a red cat", return_tensors="pt"))
        expected = float(out.logits_per_image[0, 0] / model.logit_scale.exp())
        rated = float(head(out.image_embeds)[0, 0])
    assert answer(text, "a red cat", photo).value == pytest.approx(expected, abs=1e-5)
    assert answer(rating, "a red cat", photo).value == pytest.approx(rated, abs=1e-5)


def test_heads_that_do_not_fit(networks: tuple[Path, Path], tmp_path: Path) -> None:
    file = tmp_path / "head.safetensors"
    for tensors, words in (
        ({"weight": torch.zeros(1, 7), "bias": torch.zeros(1)}, "no linear layer after 16 numbers"),
        ({"weight": torch.zeros(2, 16), "bias": torch.zeros(2)}, "do not end in one number"),
        ({"weight": torch.zeros(1, 16)}, "no linear layer"),
        ({"other": torch.zeros(1)}, "do not end"),
    ):
        save_file(tensors, file)
        with pytest.raises(OptionError, match=words):
            judges_for(networks[0], file, device="cpu")
    with pytest.raises(OptionError, match="give --clip FOLDER with it"):
        judges_for(None, file)


def test_words_are_read_in_a_picture() -> None:
    pytest.importorskip("rapidocr_onnxruntime")
    reader = Reader()
    near, exact = TextSimilarity(reader), TextExact(reader)
    picture = sign("KONTEXT")
    assert answer(exact, "a sign that says 'KONTEXT'", picture).value == 1.0
    assert answer(near, "a sign that says 'CONTEXT'", picture).value == pytest.approx(6 / 7, abs=1e-6)
    assert answer(exact, "a sign that says 'CONTEXT'", picture).value == 0.0
    none = answer(near, "a cat", picture)
    assert none.value is None and none.reason == "the prompt asks for no words in quotes"


def test_functions_of_ones_own(tmp_path: Path, photo: Image.Image) -> None:
    file = tmp_path / "my_scores.py"
    file.write_text(OWN)
    there, _ = judges_for(own=[f"realism={file}:darkness", f"prompt_following={file}:words"])
    dark, words = named("darkness", there), named("words", there)
    assert (dark.question, dark.unit, dark.higher_is_better) == ("realism", "0-1", False)
    assert answer(dark, "x", Image.new("RGB", (4, 4), "black")).value == 1.0
    assert answer(words, "one two three", photo).value == 3.0 and words.unit == "score"
    assert str(tmp_path) not in str(dark.identity) and dark.identity["function"] == "my_scores.py:darkness"
    assert why("realism", there) is None and why("prompt_following", there) is None
    before = dark.identity["digest"]
    file.write_text(OWN + "\n# changed\n")
    assert load_function(f"{file}:darkness").identity["digest"] != before


def test_a_judge_that_fails_or_says_nothing_is_missing(photo: Image.Image) -> None:
    def broken(picture: Image.Image, prompt: str) -> float:
        return {"nan": math.nan, "text": "much", "none": None, "torch": torch.tensor(0.25)}[prompt]  # type: ignore[return-value]

    judge = FunctionJudge("broken", "realism", Plugin(broken, {}))
    told = {prompt: answer(judge, prompt, photo) for prompt in ("nan", "text", "none", "torch", "else")}
    assert told["torch"].value == 0.25
    assert told["nan"].reason == "the judge's score is not finite" and told["none"].reason == "the judge gave no score"
    assert told["text"].reason == "the judge failed (ValueError)"
    assert told["else"].reason == "the judge failed (KeyError)" and told["else"].evidence == {
        "error": "KeyError: 'else'"
    }
    assert all(score.value is None for prompt, score in told.items() if prompt != "torch")


def test_a_judge_cannot_change_the_picture(photo: Image.Image) -> None:
    before = photo.tobytes()
    judge = FunctionJudge("vandal", "realism", Plugin(lambda picture, _: picture.paste(0, (0, 0, 9, 9)) or 1, {}))
    assert answer(judge, "", photo).value == 1.0 and photo.tobytes() == before


def test_installed_judges_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, photo: Image.Image) -> None:
    (tmp_path / "scorer_for_tests.py").write_text(OWN)
    info = tmp_path / "scorer_for_tests-2.5.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: scorer-for-tests\nVersion: 2.5\n")
    (info / "entry_points.txt").write_text(
        "[inkontext.judges]\nrealism.dark = scorer_for_tests:darkness\naesthetics.gone = scorer_for_tests:nowhere\n"
        "beauty.x = scorer_for_tests:words\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    there, problems = judges_for()
    dark, gone = named("dark", there), named("gone", there)
    assert answer(dark, "", Image.new("RGB", (2, 2), "white")).value == 0.0 and dark.identity["version"] == "2.5"
    assert "cannot be imported (AttributeError" in (gone.available() or "")
    assert [(p.kind, p.name) for p in problems] == [("installed judge without a question", "beauty.x")]
    assert "AttributeError" in (why("aesthetics", there) or "")
    sys.modules.pop("scorer_for_tests", None)


def test_without_anything_only_the_reader_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judges, "installed", lambda group: [])
    there, _ = judges_for()
    told = {question: why(question, there) for question in QUESTIONS}
    assert told["prompt_following"] == "no CLIP model; --clip FOLDER; or --judge prompt_following=FILE.py:FUNCTION"
    assert told["realism"] == "no judge; --judge realism=FILE.py:FUNCTION"
    assert "--aesthetic-head FILE.safetensors; or --judge" in (told["aesthetics"] or "")
    monkeypatch.setattr(reading, "find_spec", lambda name: None)
    assert "pip install 'inkontext[eval]'" in (why("typography", there) or "")


@pytest.mark.parametrize(
    ("own", "words"),
    [
        (["own.py:f"], "write QUESTION="), (["speed=own.py:f"], "one of prompt_following"),
        (["realism=own"], "names no function"), (["realism=no_such_module:f"], "cannot be imported"),
        (["realism=math:nothing"], "no function 'nothing'"),
        (["realism=math:sin", "aesthetics=math:sin"], "two judges are called 'sin'"),
    ],
)  # fmt: skip
def test_mistakes_are_named(own: list[str], words: str) -> None:
    with pytest.raises(OptionError, match=words):
        judges_for(own=own)
