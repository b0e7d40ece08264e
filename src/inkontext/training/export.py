"""From trained modules to files that everything else loads."""

from __future__ import annotations

import copy
from pathlib import Path

import torch
from torch import nn

from inkontext.model.autoencoder import AutoEncoder
from inkontext.model.text import TextTowers
from inkontext.model.transformer import FluxTransformer
from inkontext.storage import write_json
from inkontext.weights.architecture import autoencoder_json
from inkontext.weights.autoencoder_map import autoencoder_map
from inkontext.weights.card import Card
from inkontext.weights.folder import STEM, save_folder
from inkontext.weights.tensors import write_sharded


def half(module: nn.Module, dtype: torch.dtype) -> nn.Module:
    """A copy of a module in another dtype on the CPU."""
    return copy.deepcopy(module).to("cpu", dtype)


def export_autoencoder(folder: Path, model: AutoEncoder, dtype: torch.dtype = torch.float16) -> None:
    """Write `folder/vae` in diffusers layout."""
    state = half(model, dtype).state_dict()
    tensors = {
        name: part
        for entry in autoencoder_map(model.cfg)
        for name, part in zip(entry.parts, entry.to_diffusers(state[entry.bfl]), strict=True)
    }
    specs = {name: (t.dtype, tuple(t.shape)) for name, t in tensors.items()}
    write_sharded(folder / "vae", STEM, specs, tensors.__getitem__)
    write_json(folder / "vae/config.json", autoencoder_json(model.cfg))


def export_model(
    folder: Path, card: Card, transformer: FluxTransformer, autoencoder: AutoEncoder, towers: TextTowers,
    dtype: torch.dtype = torch.bfloat16,
) -> None:  # fmt: skip
    """Write a whole model folder: networks in bfloat16, the autoencoder in float16 (its values need the digits)."""
    small = TextTowers(
        half(towers.t5, dtype), half(towers.clip, dtype), towers.t5_tokenizer, towers.clip_tokenizer, towers.length
    )
    save_folder(folder, card, half(transformer, dtype), half(autoencoder, torch.float16), small)
