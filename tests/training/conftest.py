"""Debug runs in a folder of their own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from inkontext.training.build import build
from inkontext.training.config import RunConfig, load_config
from inkontext.training.loop import Stage

CONFIGS = Path(__file__).parents[2] / "configs/debug"
Make = Callable[..., tuple[RunConfig, Stage]]


@pytest.fixture
def make(tmp_path: Path, debug_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """`make("kontext", "steps=3")` -> configuration and stage of a debug run."""
    monkeypatch.chdir(tmp_path)

    def ready(name: str, *overrides: str) -> tuple[RunConfig, Stage]:
        start = [] if name == "autoencoder" else [f'model.start="{debug_folder}"']
        config = load_config(CONFIGS / f"{name}.toml", [*start, *overrides])
        return config, build(config)

    return ready
