"""`inkontext train CONFIG.toml [key=value ...]`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from inkontext.cli.places import check_folder


def train(
    context: typer.Context,
    config: Annotated[Path, typer.Argument(help="A TOML file; configs/ has one a run.")],
    overrides: Annotated[list[str] | None, typer.Argument(help="key=value, such as steps=100")] = None,
) -> None:
    """Train a stage of the recipe, or go on where its run folder stopped."""
    from inkontext.training.config import load_config

    settings = load_config(config, overrides or ())
    from inkontext.runtime.allocator import keep_freed_memory
    from inkontext.training.build import build
    from inkontext.training.loop import train as run
    from inkontext.training.resume import agree

    agree(Path(settings.run_dir), settings)  # a run that cannot go on says so before its networks are made
    check_folder(Path(settings.run_dir))
    keep_freed_memory()
    command = shlex.join([*context.command_path.split(), str(config), *(overrides or ())])
    print(run(settings, build(settings), command))
