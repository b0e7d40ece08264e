"""Pieces keep text short, words to be drawn fall into letters, and every loader reads the same ids."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer
from transformers import AutoTokenizer

from inkontext.data.tokenizer import corpus_lines, lengths, make_tokenizer, world_instructions
from inkontext.errors import DataError, OptionError
from inkontext.model.autoencoder import AutoEncoder
from inkontext.model.presets import PRESETS
from inkontext.model.transformer import FluxTransformer
from inkontext.training.new_towers import END, new_towers, wrap
from inkontext.weights.card import Card
from inkontext.weights.folder import save_folder
from inkontext.weights.load import load_towers

SHIPPED = Path(__file__).parents[2] / "configs/tiny/tokenizer.json"


@pytest.fixture(scope="module")
def pieces() -> Tokenizer:
    """The tokenizer of `tiny`."""
    return Tokenizer.from_file(str(SHIPPED))


def spoken(pieces: Tokenizer, text: str) -> list[str]:
    return [token.replace("Ġ", " ") for token in pieces.encode(text).tokens]


@pytest.mark.parametrize(
    ("text", "letters"),
    [
        ("Change \"cargo\" to 'WONDER'.", "cargoWONDER"),
        ("Write “Red” and ‘blue’ on it", "Redblue"),
        ("Paint STOP and ÄPFEL on it", "STOPÄPFEL"),
        ('"two words" are told', "twowords"),
        ("'two words' are told", "twowords"),
        ("say 'don't' again", "don't"),
    ],
)
def test_words_to_be_drawn_fall_into_letters(pieces: Tokenizer, text: str, letters: str) -> None:
    tokens = [token.strip() for token in spoken(pieces, text)]
    joined = "\0".join(tokens)
    assert "cargo" not in joined and "WONDER" not in joined
    spelt = [c for c in letters if c.isascii()]
    position = 0
    for letter in spelt:  # every letter is a token of its own, in order
        position = tokens.index(letter, position) + 1


@pytest.mark.parametrize("text", ["the cat's hat", "the dogs' bowl", 'a 5" screen on the table', "A hat for I"])
def test_other_words_stay_whole(pieces: Tokenizer, text: str) -> None:
    words = {"cat", "hat", "table", "dogs", "on"} & set(text.replace("'", " ").split())
    assert words <= {token.strip() for token in spoken(pieces, text)}


def test_every_text_comes_back(pieces: Tokenizer) -> None:
    for text in ('Füge den Text "Straße" hinzu 🎈', "  spaced   out\n", "'a' \"b\" C DE fgh", "日本語"):
        assert pieces.decode(pieces.encode(text).ids) == text
    assert pieces.encode("“x”").ids == pieces.encode('"x"').ids


def test_instructions_fit(pieces: Tokenizer) -> None:
    held_out = list(world_instructions(150, "test"))
    figures = lengths(pieces, held_out)
    assert figures["mean"] < 24 and figures["max"] <= 96
    assert figures["characters_per_token"] > 3


def test_all_loaders_agree(tmp_path: Path, pieces: Tokenizer) -> None:
    """Through transformers, our loader and diffusers: the same ids, and the same encodings to the bit."""
    from diffusers import FluxKontextPipeline

    text = "Change \"cargo\" to 'WONDER'."
    expected = pieces.encode(text).ids
    wrap(pieces, 64).save_pretrained(tmp_path / "alone")
    assert AutoTokenizer.from_pretrained(tmp_path / "alone")(text).input_ids == expected
    preset = PRESETS["debug"]
    count = pieces.get_vocab_size()
    preset = replace(preset, t5=replace(preset.t5, vocab_size=count), clip=replace(preset.clip, vocab_size=count))
    towers = new_towers(preset, str(SHIPPED))
    card = Card(preset.name, preset.transformer, preset.autoencoder, preset.sampling, trained=False)
    networks = FluxTransformer(preset.transformer), AutoEncoder(preset.autoencoder)
    save_folder(tmp_path / "model", card, *networks, towers)
    ours = load_towers(tmp_path / "model", towers.length, "cpu", torch.float32)
    theirs = FluxKontextPipeline.from_pretrained(tmp_path / "model")
    for tokenizer in (ours.t5_tokenizer, ours.clip_tokenizer, theirs.tokenizer, theirs.tokenizer_2):
        assert tokenizer(text).input_ids == expected
        assert tokenizer("", padding="max_length", max_length=4).input_ids == [1, 0, 0, 0]
    assert pieces.id_to_token(1) == END
    one = towers([text])
    two = ours([text])
    vec_txt = theirs.encode_prompt(text, None, max_sequence_length=towers.length)
    assert torch.equal(one.txt, two.txt) and torch.equal(one.vec, two.vec)
    assert torch.equal(one.txt, vec_txt[0]) and torch.equal(one.vec, vec_txt[1])


def test_corpus_files(tmp_path: Path) -> None:
    files = {
        "a.txt": "one\n\n two \n",
        "b.json": '["one", "two", 3]',
        "c.tsv": "one\tx\ntwo\ty\n",
        "d.jsonl": '{"target": "t.png", "caption": "one"}\n{"target": "t.png", "instruction": "two"}\n',
    }
    for name, body in files.items():
        (tmp_path / name).write_text(body)
        assert corpus_lines(tmp_path / name) == ["one", "two"], name


def test_learning_is_repeatable(tmp_path: Path) -> None:
    texts = [f"make the {a} {b}" for a in ("red", "round", "old") for b in ("house", "horse", "hose")] * 5
    for name in ("a.json", "b.json"):
        make_tokenizer(tmp_path / name, 320, texts)
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    assert json.loads((tmp_path / "a.json").read_text())["model"]["type"] == "BPE"


def test_bad_requests(tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text("[")
    (tmp_path / "none.txt").write_text("\n")
    (tmp_path / "bytes.txt").write_bytes(b"\xff\xfe\x00")
    for name, sentence in (
        ("bad.json", "not valid"),
        ("none.txt", "no text"),
        ("bytes.txt", "save it as UTF-8"),
        ("x", "cannot"),
    ):
        with pytest.raises(DataError, match=sentence):
            corpus_lines(tmp_path / name)
    with pytest.raises(OptionError, match="too few"):
        make_tokenizer(tmp_path / "t.json", 100, ["x"])
    with pytest.raises(OptionError, match=r"end in \.json"):
        make_tokenizer(tmp_path / "t.txt", 400, ["x"])
    with pytest.raises(DataError, match="no text to learn"):
        make_tokenizer(tmp_path / "t.json", 400, [])
    assert not list(tmp_path.glob("t.*"))
