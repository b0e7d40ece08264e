"""`inkontext convert SOURCE TARGET`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from inkontext.cli import options as o
from inkontext.cli.places import check_folder


def convert(
    source: Annotated[str, typer.Argument(help="A model: tiny, a folder, a .safetensors file or a hub id.")],
    target: Annotated[Path, typer.Argument(help="A new folder.")],
    to: Annotated[str, typer.Option(help="diffusers, or bfl for a single file with ae.safetensors.")] = "diffusers",
    dtype: Annotated[str | None, typer.Option(help="Cast; by default every tensor keeps its bits.")] = None,
    autoencoder: o.Autoencoder = None,
    text: o.Text = None,
) -> None:
    """Write a model in the other layout, bit-exactly."""
    check_folder(target)
    import torch

    from inkontext.runtime.device import choose_dtype
    from inkontext.weights.convert import convert as convert_weights
    from inkontext.weights.source import resolve

    model = resolve(source, Path(autoencoder) if autoencoder else None, Path(text) if text else None)
    kind = None if dtype is None else choose_dtype(dtype, torch.device("cpu"), 0)
    print(convert_weights(model, target, to, kind))
