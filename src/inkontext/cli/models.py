"""`inkontext models`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from inkontext.cli import options as o
from inkontext.cli.places import check_places

if TYPE_CHECKING:
    from inkontext.model.presets import Sampling, TransformerConfig


def models(json: o.Json = None) -> None:
    """List the models known by name."""
    check_places(json, None)
    rows = _rows()
    if json is not None:
        from inkontext.storage import write_json

        write_json(json, {"models": rows})
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    table = Table("name", box=SIMPLE_HEAD)
    for heading in ("parameters", "resolution", "text", "steps", "guidance"):
        table.add_column(heading, justify="right")
    table.add_column("weights")
    for row in rows:
        table.add_row(*("-" if value is None else str(value) for value in row.values()))
    console = Console()
    console.print(table)
    console.print("yours: give your own with --model (a folder, a .safetensors file or a hub id); random: untrained.")


def _rows() -> list[dict[str, Any]]:
    """The shipped models as their cards describe them, then the presets that no shipped model has the name of."""
    from inkontext.model.presets import PRESETS
    from inkontext.weights.card import CARD, read_card
    from inkontext.weights.source import EMBEDDED, SHIPPED

    cards = [card for name in EMBEDDED if (card := read_card(SHIPPED / name / CARD)) is not None]
    names = {card.name for card in cards}
    rows = [_row(card.name, card.transformer, card.sampling, "shipped") for card in cards]
    return rows + [
        _row(preset.name, preset.transformer, preset.sampling, "random" if preset.name in EMBEDDED else "yours")
        for preset in PRESETS.values() if preset.name not in names
    ]  # fmt: skip


def _row(name: str, shape: TransformerConfig, sampling: Sampling, weights: str) -> dict[str, Any]:
    import torch

    from inkontext.model.transformer import FluxTransformer

    with torch.device("meta"):
        count = sum(p.numel() for p in FluxTransformer(shape).parameters())
    return {
        "name": name,
        "parameters": f"{count / 1e6:,.1f} M",
        "resolution": sampling.resolution,
        "text": sampling.text_length,
        "steps": sampling.steps,
        "guidance": sampling.guidance,
        "weights": weights,
    }
