"""Training throughput beside a plain loop over diffusers' transformer, at equal configuration, in one run.

    python -m benchmarks.training [--json FILE]

Both loops see the same latents and text, make the same rectified-flow loss, clip and step AdamW, in bfloat16
autocast. The frozen parts (autoencoder, towers) are left out on both sides.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import replace

import torch
from diffusers import FluxTransformer2DModel
from torch import Tensor, nn

from benchmarks.table import report
from inkontext.flow.path import flow_matching_loss, interpolate
from inkontext.model.initialise import initialise
from inkontext.model.presets import PRESETS
from inkontext.model.transformer import FluxTransformer
from inkontext.sequence import image_ids, text_ids
from inkontext.training.config import OptimiserSection
from inkontext.training.optimiser import Learner
from inkontext.weights.architecture import transformer_json

ROWS, GRID, TEXT = 32, (4, 4), 64


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
    model = FluxTransformer2DModel.from_config(cfg_json).train()
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
        with torch.autocast("cpu", torch.bfloat16):
            img = torch.cat([z, data["context"]], dim=1)
            v = model(img, ids, data["txt"], words, data["t"], data["vec"])[:, : z.shape[1]]
        flow_matching_loss(v.float(), data["x0"], data["eps"]).mean().backward()
        learner.update(next(count))

    return step


def main() -> None:
    cfg = replace(PRESETS["tiny"].transformer, guidance_embed=False)
    data = batch(cfg.context_in_dim, cfg.vec_in_dim)
    torch.manual_seed(0)
    loops = {
        "diffusers, plain loop": plain(transformer_json(cfg), data),
        "ours": ours(initialise(FluxTransformer(cfg)), data, compiled=False),
        "ours, compile = true": ours(initialise(FluxTransformer(cfg)), data, compiled=True),
    }
    for step in loops.values():
        step()
        step()
    seconds: dict[str, list[float]] = {name: [] for name in loops}
    for _ in range(7):  # in turn, so that a change of the machine's speed falls on all
        for name, step in loops.items():
            started = time.perf_counter()
            step()
            seconds[name].append(time.perf_counter() - started)
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
    main()
