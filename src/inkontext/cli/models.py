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
    from rich.console import Console
    from rich.table import Table

    table = Table("name", "parameters", "resolution", "text", "steps", "guidance", "weights")
    for row in rows:
        table.add_row(*(str(value) for value in row.values()))
    Console().print(table)


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
                "weights": embedded if preset.name in ("tiny", "debug") else "yours (folder, file or hub id)",
            }
        )
    return rows
