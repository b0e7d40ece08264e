"""Training throughput beside a plain loop over diffusers' transformer, at equal configuration, in one run.

    python -m benchmarks.training [--json FILE]

Both loops see the same latents and text, make the same rectified-flow loss, clip and step AdamW, in bfloat16
autocast, each in a process of its own and as its user would run it: ours with the attention and the allocator that
`inkontext train` sets. The frozen parts (autoencoder, towers) are left out on both sides.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from diffusers import FluxTransformer2DModel
from torch import Tensor, nn

from benchmarks.table import report
from inkontext.flow.path import flow_matching_loss, interpolate
from inkontext.model.initialise import initialise
from inkontext.model.presets import PRESETS
from inkontext.model.transformer import FluxTransformer
from inkontext.runtime.allocator import keep_freed_memory
from inkontext.runtime.attention import attention_for_training
from inkontext.sequence import image_ids, text_ids
from inkontext.training.optimiser import Learner
from inkontext.training.tables import OptimiserSection
from inkontext.weights.architecture import transformer_json

CFG = replace(PRESETS["tiny"].transformer, guidance_embed=False)
ROWS, GRID, TEXT = 32, (4, 4), PRESETS["tiny"].sampling.text_length


def batch(width: int, vec: int) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    tokens = GRID[0] * GRID[1]
    shapes = {
        "x0": (ROWS, tokens, 64), "context": (ROWS, tokens, 64), "eps": (ROWS, tokens, 64),
        "txt": (ROWS, TEXT, width), "vec": (ROWS, vec),
    }  # fmt: skip
    made = {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}
    return made | {"t": torch.sigmoid(torch.randn(ROWS, generator=generator))}


def plain(cfg_json: dict, data: dict[str, Tensor]) -> Callable[[], None]:
    """What a training script around diffusers does."""
    model: Any = FluxTransformer2DModel.from_config(cfg_json)
    model.train()
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-4)
    ids, words = image_ids(GRID, [GRID]), text_ids(TEXT)

    def step() -> None:
        z = interpolate(data["x0"], data["eps"], data["t"][:, None, None])
        with torch.autocast("cpu", torch.bfloat16):
            v = model(
                hidden_states=torch.cat([z, data["context"]], dim=1), encoder_hidden_states=data["txt"],
                pooled_projections=data["vec"], timestep=data["t"], img_ids=ids, txt_ids=words, return_dict=False,
            )[0][:, : z.shape[1]]  # fmt: skip
        flow_matching_loss(v.float(), data["x0"], data["eps"]).mean().backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)

    return step


def ours(model: FluxTransformer, data: dict[str, Tensor], compiled: bool) -> Callable[[], None]:
    """The same loss through our network and the recipe's `Learner`."""
    learner = Learner({"transformer": model}, OptimiserSection(ema=0.0), 10**6)
    if compiled:
        model.compile()
    ids, words = image_ids(GRID, [GRID]), text_ids(TEXT)
    count = iter(range(10**6))

    def step() -> None:
        z = interpolate(data["x0"], data["eps"], data["t"][:, None, None])
        with torch.autocast("cpu", torch.bfloat16), attention_for_training(z.device, len(ids) + TEXT):
            img = torch.cat([z, data["context"]], dim=1)
            v = model(img, ids, data["txt"], words, data["t"], data["vec"])[:, : z.shape[1]]
        flow_matching_loss(v.float(), data["x0"], data["eps"]).mean().backward()
        learner.update(next(count))

    return step


LOOPS: dict[str, Callable[[], Callable[[], None]]] = {
    "diffusers, plain loop": lambda: plain(transformer_json(CFG), batch(CFG.context_in_dim, CFG.vec_in_dim)),
    "ours": lambda: ours(new(), batch(CFG.context_in_dim, CFG.vec_in_dim), compiled=False),
    "ours, compile = true": lambda: ours(new(), batch(CFG.context_in_dim, CFG.vec_in_dim), compiled=True),
}


def new() -> FluxTransformer:
    keep_freed_memory()  # as `inkontext train` does
    torch.manual_seed(0)
    return initialise(FluxTransformer(CFG))


def child(name: str) -> None:
    """One loop in a process of its own: a step for every line that comes in, its seconds out."""
    step = LOOPS[name]()
    for _ in sys.stdin:
        started = time.perf_counter()
        step()
        print(time.perf_counter() - started, flush=True)


class Child:
    """A loop in another process."""

    def __init__(self, name: str) -> None:
        command = [sys.executable, "-m", "benchmarks.training", "--child", name]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def step(self) -> float:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())


def main() -> None:
    children = {name: Child(name) for name in LOOPS}
    for one in children.values():
        for _ in range(3):
            one.step()
    seconds: dict[str, list[float]] = {name: [] for name in LOOPS}
    for _ in range(9):  # in turn, so that a change of the machine's speed falls on all
        for name, one in children.items():
            seconds[name].append(one.step())
    for one in children.values():
        one.process.kill()
    base = seconds["diffusers, plain loop"]
    rows = [
        {
            "loop": name,
            "rows/s, median": ROWS / statistics.median(taken),
            "ratio, median of pairs": statistics.median(b / t for b, t in zip(base, taken, strict=True)),
            "aim": "" if name.startswith("diffusers") else ">= 1.2",
        }
        for name, taken in seconds.items()
    ]
    report(
        f"Training step of the tiny transformer, {ROWS} rows, bfloat16 autocast, {torch.get_num_threads()} threads",
        rows,
    )


if __name__ == "__main__":
    if "--child" in sys.argv:
        child(sys.argv[-1])
    else:
        main()
