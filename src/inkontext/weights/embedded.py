"""The models that come with the package, and the maker of models with random weights."""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from inkontext import __version__
from inkontext.errors import StorageError
from inkontext.model.autoencoder import AutoEncoder
from inkontext.model.presets import PRESETS, CLIPConfig, T5Config
from inkontext.model.text import TextTowers
from inkontext.model.transformer import FluxTransformer
from inkontext.weights.card import CARD, Card
from inkontext.weights.folder import save_folder
from inkontext.weights.source import SHIPPED

START, END = "<|startoftext|>", "<|endoftext|>"
BYTE_PIECES = 384  # 256 bytes, three special ones, and room as ByT5 leaves it


def cache_folder() -> Path:
    """Where generated files are kept: `INKONTEXT_CACHE`, else `~/.cache/inkontext`."""
    return Path(os.environ.get("INKONTEXT_CACHE") or Path.home() / ".cache/inkontext").expanduser()


def embedded(name: str) -> Path:
    """Folder of an embedded model; made with random weights in the cache where no trained one is shipped."""
    shipped = SHIPPED / name
    if (shipped / CARD).exists():
        return shipped
    folder = cache_folder() / f"{name}-untrained-{__version__}"
    if not (folder / "model_index.json").exists():
        _make_in_place(folder, name)
    return folder


def _make_in_place(folder: Path, name: str) -> None:
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".making-", dir=folder.parent) as temporary:
            made = make_untrained(Path(temporary) / name, name)
            if folder.exists():
                shutil.rmtree(folder)
            made.replace(folder)
    except OSError as error:
        raise StorageError(f"cannot write '{folder}' ({error.strerror}); set INKONTEXT_CACHE elsewhere") from error


def make_untrained(folder: Path, preset: str, seed: int = 0) -> Path:
    """Write a complete model of a preset's shapes with random weights, as a diffusers-layout folder."""
    spec = PRESETS[preset]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        transformer, autoencoder = FluxTransformer(spec.transformer), AutoEncoder(spec.autoencoder)
        towers = random_towers(spec.t5, spec.clip, spec.sampling.text_length)
    card = Card(spec.name, spec.transformer, spec.autoencoder, spec.sampling, trained=False)
    save_folder(folder, card, transformer, autoencoder, towers)
    return folder


def random_towers(t5: T5Config, clip: CLIPConfig, length: int) -> TextTowers:
    """Towers of these shapes but for the vocabulary, random weights, and tokenizers that read bytes."""
    from transformers import ByT5Tokenizer

    letters = byte_clip_tokenizer()
    t5, clip = replace(t5, vocab_size=BYTE_PIECES), replace(clip, vocab_size=len(letters))
    ids = letters.get_vocab()
    sequence, pooled = random_networks(t5, clip, start=ids[START], end=ids[END])
    return TextTowers(sequence, pooled, ByT5Tokenizer(extra_ids=0), letters, length)


def random_networks(t5: T5Config, clip: CLIPConfig, start: int, end: int) -> tuple[nn.Module, nn.Module]:
    """Text networks of these shapes with random weights; `start` and `end` are CLIP's tokens, it pools at `end`."""
    import transformers

    t5_shape: dict[str, Any] = asdict(t5) | {"tie_word_embeddings": False, "dropout_rate": 0.0}
    ends = {"bos_token_id": start, "eos_token_id": end, "pad_token_id": 0}
    clip_shape: dict[str, Any] = asdict(clip) | {"projection_dim": clip.hidden_size} | ends
    sequence = transformers.T5EncoderModel(transformers.T5Config(**t5_shape, feed_forward_proj="gated-gelu"))
    pooled = transformers.CLIPTextModel(transformers.CLIPTextConfig(**clip_shape))
    return sequence, pooled


def byte_clip_tokenizer():
    """A CLIP tokenizer without merges: 256 bytes, 256 word-final bytes, start and end (514 pieces)."""
    from transformers import CLIPTokenizer
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    letters = list(bytes_to_unicode().values())
    pieces = [*letters, *(c + "</w>" for c in letters), START, END]
    vocabulary = {piece: i for i, piece in enumerate(pieces)}
    return CLIPTokenizer(vocab=vocabulary, merges=[], model_max_length=77)
