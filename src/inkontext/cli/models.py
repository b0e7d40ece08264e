"""`inkontext models`."""

from __future__ import annotations

from typing import Any

from inkontext.cli import options as o


def models(json: o.Json = None) -> None:
    """List the models known by name."""
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
    import torch

    from inkontext.model.presets import PRESETS
    from inkontext.model.transformer import FluxTransformer
    from inkontext.weights.embedded import SHIPPED

    rows = []
    for preset in PRESETS.values():
        with torch.device("meta"):
            count = sum(p.numel() for p in FluxTransformer(preset.transformer).parameters())
        embedded = "shipped" if (SHIPPED / preset.name / "model_index.json").exists() else "random"
        rows.append(
            {
                "name": preset.name,
                "parameters": f"{count / 1e6:,.1f} M",
                "resolution": preset.sampling.resolution,
                "text": preset.sampling.text_length,
                "steps": preset.sampling.steps,
                "guidance": preset.sampling.guidance,
                "weights": embedded if preset.name in ("tiny", "debug") else "yours",
            }
        )
    return rows
