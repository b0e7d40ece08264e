"""A whole model from its files to a device: found, measured against the memory, and filled with its weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import torch

from inkontext.errors import OptionError, refuse_address
from inkontext.model.autoencoder import AutoEncoder
from inkontext.model.presets import Sampling
from inkontext.model.text import TextTowers
from inkontext.model.transformer import FluxTransformer
from inkontext.runtime import plan
from inkontext.runtime.device import choose_device, choose_dtype
from inkontext.weights import load
from inkontext.weights.hashing import fingerprint
from inkontext.weights.source import TEXT_PARTS, model_from_environment, resolve


class Parts(NamedTuple):
    """What a pipeline is made of; `model` names the weights in records."""

    transformer: FluxTransformer
    autoencoder: AutoEncoder
    towers: TextTowers
    sampling: Sampling
    folder: Path
    model: dict[str, Any]


def load_parts(
    name_or_path: str | Path | None, device: str | torch.device | None, dtype: str | torch.dtype | None,
    autoencoder: str | Path | None, text: str | Path | None, resolution: int | None = None,
    context_resolution: int | None = None,
) -> Parts:  # fmt: skip
    """Arguments and errors as `Pipeline.from_pretrained`."""
    for part in (autoencoder, text):
        refuse_address(str(part or ""))
    source = resolve(
        name_or_path or model_from_environment(),
        Path(autoencoder) if autoencoder else None, Path(text) if text else None,
    )  # fmt: skip
    transformer_files, cfg = load.transformer_of(source)
    autoencoder_files, autoencoder_cfg = load.autoencoder_of(source)
    if cfg.in_channels != 4 * autoencoder_cfg.z_channels:
        raise OptionError(
            f"'{source.name}' takes {cfg.in_channels} channels a token where {4 * autoencoder_cfg.z_channels} are "
            "latents (a Fill or control model, or another model's autoencoder); use a Kontext or base model"
        )
    sampling = load.sampling_of(source, cfg)
    size = plan.ModelSize(
        transformer_files.count(), autoencoder_files.count(), plan.count_parameters(source.text, TEXT_PARTS),
        cfg, autoencoder_cfg, sampling.text_length,
    )  # fmt: skip
    target = choose_device(device)
    kind = choose_dtype(dtype, target, size.transformer)
    plan.check(size, target, kind, resolution or sampling.resolution, context_resolution)
    towers = load.load_towers(source.text, sampling.text_length, target, kind)
    return Parts(
        load.load_transformer(transformer_files, cfg, load.place_all(target, kind)),
        load.load_autoencoder(autoencoder_files, autoencoder_cfg, load.place_all(target, torch.float32)),
        towers,
        sampling,
        source.folder,
        {
            "name": source.card.name if source.card else source.name,
            "fingerprint": fingerprint(source.transformer),
            "trained": source.card.trained if source.card else True,
        },
    )
