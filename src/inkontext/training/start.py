"""What a run begins from: another run's averaged weights, or a model folder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import torch

from inkontext.errors import ModelNotFoundError
from inkontext.model.autoencoder import AutoEncoder
from inkontext.model.text import TextTowers
from inkontext.model.transformer import FluxTransformer
from inkontext.weights import load
from inkontext.weights.card import Card
from inkontext.weights.source import resolve, resolve_autoencoder


class Start(NamedTuple):
    """A model to learn from, or to learn: its card, its networks and its text towers."""

    card: Card
    transformer: FluxTransformer
    autoencoder: AutoEncoder
    towers: TextTowers

    def with_transformer(self, transformer: FluxTransformer) -> Start:
        """Another transformer in it."""
        return self._replace(card=replace(self.card, transformer=transformer.cfg), transformer=transformer)

    def with_sampling(self, **changes: Any) -> Start:
        """Other values of how it is sampled."""
        return self._replace(card=replace(self.card, sampling=replace(self.card.sampling, **changes)))


def model_folder(place: str) -> Path:
    """The model of a run (`RUN/model`, written when it ends), or the folder itself.

    Raises:
        ModelNotFoundError: there is none yet.
    """
    folder = Path(place)
    if (folder / "model").is_dir():
        return folder / "model"
    if (folder / "config.json").exists() and not (folder / "model_index.json").exists():
        raise ModelNotFoundError(
            f"the run '{folder}' has not ended, so it has no model yet; let it reach its last step"
        )
    if folder.is_dir():
        return folder
    try:
        return resolve(place).folder
    except ModelNotFoundError as error:
        raise ModelNotFoundError(
            f"there is no run or model '{place}'; train that stage first or correct the path"
        ) from error


def load_autoencoder(place: str) -> AutoEncoder:
    """The autoencoder of a run or a model folder, float32."""
    component, cfg = load.autoencoder_of(resolve_autoencoder(model_folder(place)))
    module = load.load_autoencoder(component, cfg, load.place_all("cpu", torch.float32))
    return module.requires_grad_(True)


def load_start(place: str) -> Start:
    """The model of a run or a model folder, float32, ready to learn."""
    source = resolve(model_folder(place))
    component, cfg = load.transformer_of(source)
    files, autoencoder_cfg = load.autoencoder_of(source)
    sampling = load.sampling_of(source, cfg)
    place_here = load.place_all("cpu", torch.float32)
    card = source.card or Card(source.name, cfg, autoencoder_cfg, sampling)
    return Start(
        card,
        load.load_transformer(component, cfg, place_here).requires_grad_(True),
        load.load_autoencoder(files, autoencoder_cfg, place_here),
        load.load_towers(source.text, sampling.text_length, "cpu", torch.float32),
    )
