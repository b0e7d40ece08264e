"""Where the rows of a run come from: its sources in their shares, and what they hold out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from inkontext.data.latents import LatentSource
from inkontext.data.pairs import PairSource
from inkontext.data.stream import ImageSource, Mixture, Source, WorldSource, world_parts
from inkontext.errors import ConfigError
from inkontext.training.config import RunConfig
from inkontext.training.safe_rows import safe_parts
from inkontext.training.tables import SourceSection

TASK_SHARES = {
    "autoencoder": {"t2i": 1.0, "local": 1.0, "text": 1.0},
    "t2i": {"t2i": 1.0},
    "kontext": {
        "local": 32, "global": 16, "text": 14, "character": 12, "style": 6, "cue": 6, "multi": 4, "t2i": 10,
    },
}  # fmt: skip
TASK_SHARES |= dict.fromkeys(("guidance", "ladd", "context-cache"), TASK_SHARES["kontext"])


def mixture(config: RunConfig, split: str = "train") -> Mixture:
    """The sources of a run in their shares; `split="test"` gives what was held out."""
    parts: list[tuple[Source, str | None, float]] = []
    for section in config.data.sources:
        parts += _parts(section, config, split)
    if config.safety is not None:
        parts = safe_parts(parts, config.safety, config, split)
    if not parts:
        raise ConfigError("no source has held-out rows; add `validation` to one, or a world source")
    return Mixture(parts, one_layout=split == "train")  # held-out rows are few and must show every layout


def _parts(section: SourceSection, config: RunConfig, split: str) -> Sequence[tuple[Source, str | None, float]]:
    size = section.size or config.data.size
    if section.kind == "world":
        source = WorldSource(size, split, section.photos, section.emoji, section.level)
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
        return [(LatentSource(Path(section.cache), size), None, section.weight)]
    return [(PairSource(Path(path), size, square=config.stage == "autoencoder"), None, section.weight)]


def held_out_mixture(config: RunConfig) -> Mixture:
    """The held-out rows of every source that has them."""
    return mixture(config, "test")
