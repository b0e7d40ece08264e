"""From a configuration to a stage that is ready to run."""

from __future__ import annotations

import torch
from torch import Tensor

from inkontext.data.stream import batches
from inkontext.errors import ConfigError
from inkontext.model.autoencoder import AutoEncoder
from inkontext.model.initialise import initialise_autoencoder
from inkontext.model.presets import PRESETS, Preset
from inkontext.runtime.device import choose_device
from inkontext.training.autoencoder import AutoencoderStage, by_size
from inkontext.training.config import RunConfig
from inkontext.training.context_cache import build_context_cache
from inkontext.training.flow import build_flow
from inkontext.training.guidance import build_guidance
from inkontext.training.ladd import build_ladd
from inkontext.training.loop import Stage
from inkontext.training.safety import SafeFlowStage
from inkontext.training.sources import held_out_mixture, mixture
from inkontext.training.start import load_autoencoder

DISTILLING = {"guidance": build_guidance, "ladd": build_ladd, "context-cache": build_context_cache}


def build(config: RunConfig) -> Stage:
    """Make the networks, load what the run starts from, open the data.

    Raises:
        ConfigError, DataError, ModelNotFoundError, WeightsError: with the sentence that says what to do.
    """
    if config.model.preset not in PRESETS:
        raise ConfigError(f"unknown preset '{config.model.preset}'; choose one of {', '.join(PRESETS)}")
    preset = PRESETS[config.model.preset]
    device = choose_device(config.device)
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)
    if config.stage == "autoencoder":
        return AutoencoderStage(config, start_autoencoder(config, preset), mixture(config), held_out(config), device)
    if config.stage in DISTILLING:
        return DISTILLING[config.stage](config, preset, device)
    if config.safety is not None:
        return build_flow(config, preset, device, SafeFlowStage)
    return build_flow(config, preset, device)


def held_out(config: RunConfig, count: int = 64) -> list[Tensor]:
    """`count` pictures no step trains on, uint8 `[n, H, W, 3]` of each size."""
    return by_size(next(batches(held_out_mixture(config), 0, count)))


def start_autoencoder(config: RunConfig, preset: Preset) -> AutoEncoder:
    """A new autoencoder, or the one `model.start` names."""
    if config.model.start is None:
        return initialise_autoencoder(AutoEncoder(preset.autoencoder))
    return load_autoencoder(config.model.start)
