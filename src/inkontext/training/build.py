"""From a configuration to a stage that is ready to run."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from inkontext.data.latents import use_caches
from inkontext.data.stream import batches
from inkontext.errors import ConfigError
from inkontext.model.autoencoder import AutoEncoder
from inkontext.model.grow import grow
from inkontext.model.initialise import align_heads, initialise, initialise_autoencoder
from inkontext.model.presets import PRESETS, Preset
from inkontext.model.text import TextTowers
from inkontext.model.transformer import FluxTransformer
from inkontext.runtime.device import choose_device
from inkontext.training.autoencoder import AutoencoderStage, by_size
from inkontext.training.config import RunConfig
from inkontext.training.context_cache import ContextCacheStage
from inkontext.training.flow import FlowStage
from inkontext.training.guidance import GuidanceStage
from inkontext.training.ladd import LaddStage
from inkontext.training.loop import Stage
from inkontext.training.new_towers import new_towers
from inkontext.training.safety import SafeFlowStage
from inkontext.training.sources import held_out_mixture, mixture
from inkontext.training.start import Start, load_autoencoder, load_start
from inkontext.training.tables import FlowSection
from inkontext.weights.card import Card

DISTILLING = {"guidance": GuidanceStage, "ladd": LaddStage, "context-cache": ContextCacheStage}


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
    if config.stage in DISTILLING and config.model.start is None:
        raise ConfigError(f"stage '{config.stage}' distils a model; name it or its run in model.start")
    kind = DISTILLING.get(config.stage, FlowStage if config.safety is None else SafeFlowStage)
    return kind(config, start_flow(config, preset), device)


def held_out(config: RunConfig, count: int = 64) -> list[Tensor]:
    """`count` pictures no step trains on, uint8 `[n, H, W, 3]` of each size."""
    return by_size(next(batches(held_out_mixture(config), 0, count)))


def start_autoencoder(config: RunConfig, preset: Preset) -> AutoEncoder:
    """A new autoencoder, or the one `model.start` names."""
    if config.model.start is None:
        return initialise_autoencoder(AutoEncoder(preset.autoencoder))
    return load_autoencoder(config.model.start)


def start_flow(config: RunConfig, preset: Preset) -> Start:
    """What a flow stage begins with: `model.start`, or new networks around `model.autoencoder`.

    The teacher instead of `model.start`, where `context_cache.teacher` names one.

    Raises:
        ConfigError: neither is given, or they do not fit together.
    """
    section = config.model
    if section.start is not None:
        teacher = config.context_cache.teacher if config.context_cache else None
        start = load_start(teacher or section.start)
        if section.autoencoder is not None:
            start = start._replace(autoencoder=load_autoencoder(section.autoencoder))
        if section.grow:
            start = start.with_transformer(grown(start.transformer, preset))
    elif section.autoencoder is None:
        raise ConfigError(f"stage '{config.stage}' needs model.autoencoder (or model.start); train that stage first")
    else:
        autoencoder = load_autoencoder(section.autoencoder)
        transformer = align_heads(initialise(FluxTransformer(preset.transformer)), section.aligned_heads)
        card = Card(preset.name, preset.transformer, autoencoder.cfg, preset.sampling)
        start = Start(card, transformer, autoencoder, new_towers(preset, section.tokenizer))
    if 4 * start.autoencoder.cfg.z_channels != start.transformer.cfg.in_channels:
        raise ConfigError(
            f"the autoencoder has {start.autoencoder.cfg.z_channels} channels and the transformer reads "
            f"{start.transformer.cfg.in_channels // 4}; take the autoencoder that belongs to it"
        )
    padded = padded_to(start.towers, section.text_length or start.towers.length)
    towers = use_caches(config, start.autoencoder, padded)
    start = start._replace(card=replace(start.card, autoencoder=start.autoencoder.cfg), towers=towers)
    if start.transformer.cfg.guidance_embed and config.stage not in DISTILLING:  # asked for what it was trained at
        start = start.with_sampling(guidance=(config.flow or FlowSection()).guidance)
    return start.with_sampling(resolution=config.data.size, text_length=towers.length)


def grown(transformer: FluxTransformer, preset: Preset) -> FluxTransformer:
    """The transformer enlarged to a preset's shape. Raises ConfigError where that is not larger in width or depth."""
    try:
        return grow(transformer, preset.transformer)
    except ValueError as error:
        raise ConfigError(f"model.grow: {error}; take a preset that is larger than model.start") from error


def padded_to(towers: TextTowers, length: int) -> TextTowers:
    """The same towers with prompts padded to another length; the pooled tower keeps its own."""
    towers.t5_tokenizer.model_max_length = length
    return TextTowers(towers.t5, towers.clip, towers.t5_tokenizer, towers.clip_tokenizer, length)
