"""From a configuration to a stage that is ready to run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from inkontext.data.stream import ImageSource, Mixture, Source, WorldSource, batches, world_parts
from inkontext.errors import ConfigError
from inkontext.model.autoencoder import AutoEncoder
from inkontext.model.initialise import initialise_autoencoder
from inkontext.model.presets import PRESETS, Preset
from inkontext.runtime.device import choose_device
from inkontext.training.autoencoder import AutoencoderStage, by_size
from inkontext.training.config import RunConfig, SourceSection
from inkontext.training.loop import Stage
from inkontext.training.start import load_autoencoder

TASK_SHARES = {
    "autoencoder": {"t2i": 1.0, "local": 1.0, "text": 1.0},
    "t2i": {"t2i": 1.0},
    "kontext": {
        "local": 32, "global": 16, "text": 14, "character": 12, "style": 6, "cue": 6, "multi": 4, "t2i": 10,
    },
}  # fmt: skip
TASK_SHARES |= dict.fromkeys(("guidance", "ladd", "context-cache"), TASK_SHARES["kontext"])


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
    if config.stage == "guidance":
        from inkontext.training.guidance import build_guidance

        return build_guidance(config, preset, device)
    if config.stage == "ladd":
        from inkontext.training.ladd import build_ladd

        return build_ladd(config, preset, device)
    if config.stage == "context-cache":
        from inkontext.training.context_cache import build_context_cache

        return build_context_cache(config, preset, device)
    from inkontext.training.flow import build_flow

    if config.safety is not None:
        from inkontext.training.safety import SafeFlowStage

        return build_flow(config, preset, device, SafeFlowStage)
    return build_flow(config, preset, device)


def mixture(config: RunConfig, split: str = "train") -> Mixture:
    """The sources of a run in their shares; `split="test"` gives what was held out."""
    parts: list[tuple[Source, str | None, float]] = []
    for section in config.data.sources:
        parts += _parts(section, config, split)
    if config.safety is not None:
        from inkontext.training.safety import safe_parts

        parts = safe_parts(parts, config.safety, config, split)
    if not parts:
        raise ConfigError("no source has held-out rows; add `validation` to one, or a world source")
    return Mixture(parts, one_layout=split == "train")  # held-out rows are few and must show every layout


def _parts(section: SourceSection, config: RunConfig, split: str) -> Sequence[tuple[Source, str | None, float]]:
    size = section.size or config.data.size
    if section.kind == "world":
        source = WorldSource(size, split, section.photos, section.emoji)
        return world_parts(source, section.weight, section.tasks or TASK_SHARES[config.stage])
    path = section.path if split == "train" else section.validation
    if path is None:
        return []
    if section.kind == "images":
        if config.stage != "autoencoder":
            raise ConfigError(f"a source of kind 'images' has no instructions, which stage '{config.stage}' needs")
        return [(ImageSource(Path(path), size), None, section.weight)]
    if section.cache is not None and config.stage == "autoencoder":
        raise ConfigError("stage 'autoencoder' learns from pictures, not from latents; remove `cache` from its sources")
    if section.cache is not None and split == "train":
        from inkontext.data.latents import LatentSource

        return [(LatentSource(Path(section.cache), size), None, section.weight)]
    from inkontext.data.pairs import PairSource

    return [(PairSource(Path(path), size, square=config.stage == "autoencoder"), None, section.weight)]


def held_out_mixture(config: RunConfig) -> Mixture:
    """The held-out rows of every source that has them."""
    return mixture(config, "test")


def held_out(config: RunConfig, count: int = 64) -> list[Tensor]:
    """`count` pictures no step trains on, uint8 `[n, H, W, 3]` of each size."""
    return by_size(next(batches(held_out_mixture(config), 0, count)))


def start_autoencoder(config: RunConfig, preset: Preset) -> AutoEncoder:
    """A new autoencoder, or the one `model.start` names."""
    if config.model.start is None:
        return initialise_autoencoder(AutoEncoder(preset.autoencoder))
    return load_autoencoder(config.model.start)
