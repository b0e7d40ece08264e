"""`inkontext doctor`."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING, Any

from inkontext.cli import options as o
from inkontext.cli.places import check_places

if TYPE_CHECKING:
    import torch
    from rich.table import Table

GIB = 2**30


def doctor(device: o.Device = None, resolution: o.Resolution = None, json: o.Json = None) -> None:
    """Say what this machine can do: device, memory, kernels, and which models would fit."""
    check_places(json, None)
    o.check_resolutions(resolution)
    body = _examine(device, resolution)
    if json is not None:
        from inkontext.storage import write_json

        write_json(json, body)
    from rich.console import Console

    console = Console()
    for key in ("inkontext", "python", "torch", "device", "threads", "memory_gib", "disk_gib", "attention"):
        console.print(f"[bold]{key}[/]  {body[key]}")
    rates = "   ".join(f"{name} {rate:,.0f}" for name, rate in body["matmul_gflops"].items())
    console.print(f"[bold]matmul_gflops[/]  {rates}")
    side = "the model's size" if resolution is None else f"{resolution} x {resolution}"
    console.print(f"\nGiB that one edit at {side} needs; {body['memory_gib']} are free here:")
    console.print(_fit_table(body["models"]))


def _fit_table(rows: list[dict[str, Any]]) -> Table:
    """One row a model, one column a dtype."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    kinds = list(dict.fromkeys(row["dtype"] for row in rows))
    table = Table("model", box=SIMPLE_HEAD)
    for kind in kinds:
        table.add_column(kind, justify="right")
    for name in dict.fromkeys(row["name"] for row in rows):
        cells = {row["dtype"]: row for row in rows if row["name"] == name}
        table.add_row(name, *(_cell(cells[kind]) for kind in kinds))
    return table


def _cell(row: dict[str, Any]) -> str:
    return f"{row['needs_gib']:.2f} " + ("[green]fits[/]" if row["fits"] else "[red]  no[/]")


def _examine(name: str | None, resolution: int | None) -> dict[str, Any]:
    import shutil

    import torch

    from inkontext import __version__
    from inkontext.runtime.device import choose_device
    from inkontext.runtime.flops import matmul_rate
    from inkontext.runtime.plan import available_bytes

    device = choose_device(name)
    free = available_bytes(device)
    cuda = device.type == "cuda"
    kinds = ("float32", "bfloat16", "float16") if cuda else ("float32", "bfloat16")
    return {
        "inkontext": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "device": torch.cuda.get_device_name(device) if cuda else f"{device.type} ({platform.machine()})",
        "threads": torch.get_num_threads(),
        "memory_gib": round(free / GIB, 1),
        "disk_gib": round(shutil.disk_usage(".").free / GIB, 1),
        "attention": _attention_kernels(cuda),
        "matmul_gflops": {kind: matmul_rate(device, getattr(torch, kind)) / 1e9 for kind in kinds},
        "resolution": resolution,
        "models": [row for kind in kinds[:2] for row in _fits(device, kind, free, resolution)],
    }


def _attention_kernels(cuda: bool) -> list[str]:
    import torch

    if not cuda:
        return ["flash (CPU)", "math"]
    backend = torch.backends.cuda
    enabled = {
        "flash": backend.flash_sdp_enabled(),
        "memory-efficient": backend.mem_efficient_sdp_enabled(),
        "cudnn": backend.cudnn_sdp_enabled(),
        "math": backend.math_sdp_enabled(),
    }
    return [kernel for kernel, on in enabled.items() if on]


def _fits(device: torch.device, kind: str, free: int, resolution: int | None) -> list[dict[str, Any]]:
    import torch

    from inkontext.model.autoencoder import AutoEncoder
    from inkontext.model.presets import PRESETS
    from inkontext.model.transformer import FluxTransformer
    from inkontext.runtime.plan import ModelSize, text_parameters

    rows = []
    for preset in PRESETS.values():
        with torch.device("meta"):
            networks = FluxTransformer(preset.transformer), AutoEncoder(preset.autoencoder)
        transformer, autoencoder = (sum(p.numel() for p in network.parameters()) for network in networks)
        text = text_parameters(preset.t5, preset.clip)
        size = ModelSize(
            transformer, autoencoder, text, preset.transformer, preset.autoencoder, preset.sampling.text_length
        )
        need = size.need(getattr(torch, kind), (resolution or preset.sampling.resolution) ** 2).total
        rows.append({"name": preset.name, "dtype": kind, "needs_gib": need / GIB, "fits": need <= free})
    return rows
