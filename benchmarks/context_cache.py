"""How much faster an asymmetric model is that keeps its context, against what its arithmetic promises.

python -m benchmarks.context_cache [--preset tiny] [--size 256] [--steps 28] [--runs 3] [--json FILE]

Both models have random weights of one shape, which no timing depends on. Every run of a row takes the symmetric model,
the asymmetric one whose cache is empty, and that one again with the picture and the prompt in its cache, in turn.
Timed is what the cache touches, the velocity at every step and the keys and values, without text towers or autoencoder.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.table import show
from inkontext.geometry import GRID
from inkontext.model.initialise import initialise
from inkontext.model.presets import PRESETS, TransformerConfig
from inkontext.model.text import TextEncoding
from inkontext.model.transformer import FluxTransformer
from inkontext.numerics import EXACT
from inkontext.runtime.context_cache import ContextCache
from inkontext.runtime.flops import kept_context_flops, transformer_flops
from inkontext.velocity import Velocity

REFERENCES = (1, 2, 4)


def promised(cfg: TransformerConfig, size: int, text: int, references: int, steps: int) -> tuple[float, float]:
    """Operations of the symmetric model over those of the asymmetric: with an empty cache, and with a full one."""
    target = (size // GRID) ** 2
    plain = steps * transformer_flops(cfg, target * (1 + references), text)
    kept = kept_context_flops(cfg, target, target * references, text)
    return plain / (kept.context + kept.text + steps * kept.step), plain / (steps * kept.step)


def seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


class Case:
    """The two models on one request."""

    def __init__(self, preset: str, size: int, references: int, steps: int) -> None:
        cfg, side = PRESETS[preset].transformer, size // GRID
        self.symmetric = initialise(FluxTransformer(cfg)).eval()
        self.asymmetric = FluxTransformer(replace(cfg, asymmetric=True)).eval()
        self.asymmetric.load_state_dict(self.symmetric.state_dict())
        self.steps, self.grid = steps, (side, side)
        self.context = [torch.randn(1, cfg.in_channels // 4, 2 * side, 2 * side) for _ in range(references)]
        self.length = PRESETS[preset].sampling.text_length
        self.text = TextEncoding(torch.randn(1, self.length, cfg.context_in_dim), torch.randn(1, cfg.vec_in_dim))
        self.guidance = 2.5 if cfg.guidance_embed else None
        self.z = torch.randn(1, side * side, cfg.in_channels)

    @torch.no_grad()
    def sample(self, transformer: FluxTransformer, cache: ContextCache | None) -> Tensor:
        """Euler's steps of one size, as a whole request takes them."""
        velocity = Velocity(
            transformer, EXACT, self.text, self.context, self.grid, "index", self.guidance, cache=cache, model="m"
        )  # fmt: skip
        z = self.z
        for i in range(self.steps):
            z = z - velocity(z, 1 - i / self.steps) / self.steps
        return z

    def warm(self) -> None:
        """One step of each, untimed: the first pays for what later ones find ready."""
        with torch.no_grad():
            for transformer in (self.symmetric, self.asymmetric):
                Velocity(
                    transformer, EXACT, self.text, self.context, self.grid, "index", self.guidance
                )(self.z, 1.0)  # fmt: skip

    def run(self) -> tuple[float, float, float]:
        """Seconds of the symmetric model, and of the asymmetric with an empty cache and with a full one."""
        cache = ContextCache()
        return (
            seconds(lambda: self.sample(self.symmetric, None)),
            seconds(lambda: self.sample(self.asymmetric, cache)),
            seconds(lambda: self.sample(self.asymmetric, cache)),
        )


def measure(preset: str, size: int, references: int, steps: int, runs: int) -> dict[str, Any]:
    """One row: medians of the seconds, medians of each run's ratios, and what the arithmetic promises."""
    case = Case(preset, size, references, steps)
    case.warm()
    taken = [case.run() for _ in range(runs)]
    plain, empty, full = (statistics.median(column) for column in zip(*taken, strict=True))
    cfg = PRESETS[preset].transformer
    by_empty, by_full = promised(cfg, size, case.length, references, steps)
    return {
        "references": references, "symmetric s": plain, "empty cache s": empty, "full cache s": full,
        "faster, empty": statistics.median(a / b for a, b, _ in taken), "promised, empty": by_empty,
        "faster, full": statistics.median(a / c for a, _, c in taken), "promised, full": by_full,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description="speed-up by a kept context")
    parser.add_argument("--preset", default="tiny", choices=PRESETS)
    parser.add_argument("--size", type=int, default=256, help="side of target and references, pixels")
    parser.add_argument("--steps", type=int, default=28)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    torch.manual_seed(0)
    rows = [measure(given.preset, given.size, n, given.steps, given.runs) for n in REFERENCES]
    title = (
        f"{given.preset}, {given.size} px, {given.steps} steps, {given.threads} thread(s), float32, {given.runs} runs"
    )
    show(title, rows, given.json)


if __name__ == "__main__":
    main()
