"""`inkontext train CONFIG.toml [key=value ...]`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def train(
    config: Annotated[Path, typer.Argument(help="A TOML file; configs/ has one a run.")],
    overrides: Annotated[list[str] | None, typer.Argument(help="key=value, such as steps=100")] = None,
) -> None:
    """Train a stage of the recipe, or go on where its run folder stopped."""
    from inkontext.training.config import load_config

    settings = load_config(config, overrides or ())
    from inkontext.runtime.allocator import keep_freed_memory
    from inkontext.training.build import build
    from inkontext.training.loop import train as run

    keep_freed_memory()
    print(run(settings, build(settings)))
