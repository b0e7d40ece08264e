"""Training from precomputed latents and text embeddings."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from inkontext.data.cache import Shards, read_rows
from inkontext.data.examples import Example
from inkontext.data.pairs import RowSource
from inkontext.errors import DataError
from inkontext.model.autoencoder import AutoEncoder
from inkontext.model.text import TextEncoding, TextTowers
from inkontext.weights.hashing import weights_digest

if TYPE_CHECKING:
    from inkontext.training.config import RunConfig


class LatentSource(RowSource):
    """The rows of a folder that `data precompute` finished: latents `[z, H/8, W/8]` in place of pictures.

    They carry no check that the set has not changed since; running `data precompute` again brings them up to date.

    Raises:
        DataError: it is not finished, or was made at another size.
    """

    def __init__(self, folder: Path, size: int) -> None:
        self.folder = folder
        self.head, self.rows = read_rows(folder)
        if self.head["size"] != size:
            raise DataError(
                f"the latents in '{folder}' were made at {self.head['size']} pixels and the run trains at {size}; "
                "run `inkontext data precompute` at that size"
            )
        if not self.rows:
            raise DataError(f"'{folder}' holds no rows; precompute a set that has some")
        self.shards = Shards(folder, {"latents": self.head["autoencoder"]})
        absent = next((key for row in self.rows for key in _keys(row) if key not in self.shards), None)
        if absent is not None:
            raise DataError(f"'{folder}' lacks the latents '{absent}'; run `inkontext data precompute` again")
        super().__init__([tuple(key.rpartition("-")[2] for key in _keys(row)) for row in self.rows])

    def load(self, number: int) -> Example:
        row = self.rows[number]
        target, *references = (self.shards[key] for key in _keys(row))
        return Example(target, tuple(references), row["instruction"], row["category"])


def _keys(row: dict[str, Any]) -> list[str]:
    return [row["target"], *row["references"]]


class CachedTowers(TextTowers):
    """Frozen towers that look prompts up, and run for those that were never precomputed."""

    def __init__(self, towers: TextTowers, caches: Sequence[Shards]) -> None:
        super().__init__(towers.t5, towers.clip, towers.t5_tokenizer, towers.clip_tokenizer, towers.length)
        self.caches = caches

    def __call__(self, prompts: list[str]) -> TextEncoding:
        found = [self._find(text_key(prompt)) for prompt in prompts]
        if not found or None in found:
            return super().__call__(prompts)
        device = next(self.t5.parameters()).device
        txt, vec = (torch.stack([pair[i] for pair in found if pair]).to(device) for i in range(2))
        return TextEncoding(txt, vec)

    def _find(self, key: str) -> tuple[Tensor, Tensor] | None:
        for cache in self.caches:
            if f"{key}.vec" in cache:
                return cache[f"{key}.txt"], cache[f"{key}.vec"]
        return None


def use_caches(config: RunConfig, autoencoder: AutoEncoder, towers: TextTowers) -> TextTowers:
    """Check that the caches a run names belong to its models; give frozen towers their embeddings.

    Raises:
        DataError: a cache was made with another autoencoder, or with other towers.
    """
    folders = [Path(source.cache) for source in config.data.sources if source.cache is not None]
    heads = {folder: read_rows(folder)[0] for folder in folders}
    if not folders:
        return towers
    made_with = fingerprint_of(autoencoder)
    for folder, head in heads.items():
        if not head["autoencoder"].startswith(made_with):
            raise DataError(f"the latents in '{folder}' come from another autoencoder; run `inkontext data precompute`")
    with_text = [folder for folder, head in heads.items() if head["text"] is not None]
    if config.model.train_text or not with_text:
        return towers
    reads = towers_fingerprint(towers)
    for folder in with_text:
        if not heads[folder]["text"].startswith(reads):
            raise DataError(f"the embeddings in '{folder}' come from other towers; run `inkontext data precompute`")
    return CachedTowers(towers, [Shards(folder, {"text": heads[folder]["text"]}) for folder in with_text])


def content_key(data: bytes, canvas: tuple[int, int]) -> str:
    """Key of a picture's latents: what the file holds, and the canvas it is laid on."""
    return f"{hashlib.sha256(data).hexdigest()[:32]}-{canvas[0]}x{canvas[1]}"


def text_key(prompt: str) -> str:
    """Key of a prompt's embeddings."""
    return hashlib.sha256(prompt.encode()).hexdigest()[:32]


def fingerprint_of(autoencoder: AutoEncoder) -> str:
    """Hash of an autoencoder's weights, scale and shift."""
    cfg = autoencoder.cfg
    return weights_digest(autoencoder.state_dict(), words=f"{cfg.scale_factor!r} {cfg.shift_factor!r}")


def towers_fingerprint(towers: TextTowers) -> str:
    """Hash of the towers' weights, of how they split text, and of the length they pad to."""
    probe = "Change “the 2 red cars” to 'BLUE Éclair', please."
    ids = [towers.t5_tokenizer(probe).input_ids, towers.clip_tokenizer(probe).input_ids]
    return weights_digest(towers.t5.state_dict(), towers.clip.state_dict(), words=f"{towers.length} {ids}")
