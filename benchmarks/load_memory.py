"""Host memory while weights stream in, against the size of what is read.

    python benchmarks/load_memory.py [--gigabytes 1.4] [--json FILE]

Writes a FLUX-shaped model as one BFL file and as three diffusers shards, then loads each in a fresh process and
compares the peak of resident memory (VmHWM, less what was there before loading) with the file. Linux only.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import re
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from inkontext.model.presets import TransformerConfig
from inkontext.model.transformer import FluxTransformer
from inkontext.weights import tensors
from inkontext.weights.component import find_component
from inkontext.weights.load import load_transformer, place_all
from inkontext.weights.tensors import Specs, TensorFiles, write_sharded, write_tensors
from inkontext.weights.transformer_map import transformer_map

AIM = 1.1
WIDTH = 1024
BLOCK_BYTES = 2 * 69_300_000  # what one double and two single blocks of this width hold in bfloat16


def config(gigabytes: float) -> TransformerConfig:
    """FLUX's proportions (two single blocks to a double one) at a third of its width."""
    depth = max(1, round(gigabytes * 1e9 / BLOCK_BYTES))
    return TransformerConfig(hidden_size=WIDTH, num_heads=WIDTH // 128, depth=depth, depth_single_blocks=2 * depth)


def random_tensor(spec: tuple[torch.dtype, Any]) -> Tensor:
    dtype, shape = spec
    return torch.randn(tuple(shape)).mul_(0.02).to(dtype)


def make(folder: Path, cfg: TransformerConfig) -> dict[str, list[Path]]:
    """The model in both layouts, a tensor at a time."""
    with torch.device("meta"):
        shapes = {name: tuple(t.shape) for name, t in FluxTransformer(cfg).state_dict().items()}
    bfl: Specs = {name: (torch.bfloat16, shape) for name, shape in shapes.items()}
    entries = transformer_map(cfg)
    parts = {n: s for e in entries for n, s in zip(e.parts, e.part_shapes(shapes[e.bfl]), strict=True)}
    diffusers: Specs = {name: (torch.bfloat16, shape) for name, shape in parts.items()}
    write_tensors(folder / "model.safetensors", bfl, lambda name: random_tensor(bfl[name]))
    total = sum(torch.Size(shape).numel() * 2 for shape in parts.values())
    tensors.SHARD_BYTES = int(total / 3 * 1.02)
    write_sharded(folder / "sharded", "model", diffusers, lambda name: random_tensor(diffusers[name]))
    return {"single": [folder / "model.safetensors"], "sharded": sorted((folder / "sharded").glob("*.safetensors"))}


def memory(field: str) -> int:
    """A field of this process's memory status, bytes."""
    found = re.search(rf"^{field}:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert found, field
    return int(found[1]) * 1024


def load(paths: list[Path], cfg: TransformerConfig, device: str) -> dict[str, float]:
    """Load once; peak and remaining growth of resident memory. Meant for a process of its own."""
    torch.set_num_threads(2)
    component = find_component(TensorFiles(paths), "transformer")
    torch.isfinite(torch.randn(2**16).to(torch.bfloat16)).all()  # starts torch's threads
    Path("/proc/self/clear_refs").write_text("5")  # the peak restarts at what is resident now
    before, started = memory("VmRSS"), time.perf_counter()
    module = load_transformer(component, cfg, place_all(device, torch.bfloat16))
    seconds = time.perf_counter() - started
    assert next(module.parameters()).device.type == device
    return {"peak": memory("VmHWM") - before, "after": memory("VmRSS") - before, "seconds": seconds}


def _child(queue: Any, *arguments: Any) -> None:
    queue.put(load(*arguments))


def load_apart(paths: list[Path], cfg: TransformerConfig, device: str) -> dict[str, float]:
    """`load` in a fresh interpreter."""
    context = multiprocessing.get_context("spawn")
    queue = context.SimpleQueue()
    process = context.Process(target=_child, args=(queue, paths, cfg, device))
    process.start()
    process.join()
    if process.exitcode:
        raise RuntimeError(f"the loading process ended with {process.exitcode}")
    return queue.get()


def measure(gigabytes: float) -> dict[str, Any]:
    """All three cases; each ratio is the figure that should stay below `AIM`."""
    cfg = config(gigabytes)
    with tempfile.TemporaryDirectory(prefix="load-memory-") as temporary:
        files = make(Path(temporary), cfg)
        model = files["single"][0].stat().st_size
        shard = max(p.stat().st_size for p in files["sharded"])
        whole = load_apart(files["single"], cfg, "cpu")
        parts = load_apart(files["sharded"], cfg, "cpu")
        staged = load_apart(files["sharded"], cfg, "meta")
    rows = [
        {"case": "one file to the CPU", "measure": "peak / file", "ratio": whole["peak"] / model} | whole,
        {"case": "shards to the CPU", "measure": "(peak - model) / shard", "ratio": (parts["peak"] - model) / shard}
        | parts,
        {"case": "shards staged for a device", "measure": "peak / shard", "ratio": staged["peak"] / shard} | staged,
    ]
    return {"model_bytes": model, "shard_bytes": shard, "shards": len(files["sharded"]), "aim": AIM, "rows": rows}


def table(result: dict[str, Any]) -> str:
    lines = [
        f"model {result['model_bytes'] / 1e6:.0f} MB bfloat16, {result['shards']} shards of at most "
        f"{result['shard_bytes'] / 1e6:.0f} MB",
        f"{'case':28} {'peak MB':>8} {'kept MB':>8} {'seconds':>8} {'ratio':>6}  of",
    ]
    lines += [
        f"{r['case']:28} {r['peak'] / 1e6:8.0f} {r['after'] / 1e6:8.0f} {r['seconds']:8.1f} {r['ratio']:6.3f}  "
        f"{r['measure']} (aim <= {AIM})"
        for r in result["rows"]
    ]
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gigabytes", type=float, default=1.4, help="size of the model made for it (default 1.4)")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    arguments = parser.parse_args()
    result = measure(arguments.gigabytes)
    print(table(result))
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=2) + "\n")
    return 0 if all(row["ratio"] <= AIM for row in result["rows"]) else 1


if __name__ == "__main__":
    sys.exit(main())
