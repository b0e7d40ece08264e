"""What a network costs in floating-point operations, and what the machine can do: the two halves of a utilisation."""

from __future__ import annotations

import copy
import time
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from inkontext.model.presets import TransformerConfig


def transformer_flops(cfg: TransformerConfig, image_tokens: int, text_tokens: int) -> int:
    """Operations of one velocity of one picture; a multiplication and its addition are two.

    `image_tokens` are those of target and contexts. Products of matrices only: norms, rotations and activations are
    left out, as is usual. 165.458e12 for FLUX.1 Kontext at a megapixel with one context of the same size.
    """
    dim, tokens = cfg.hidden_size, image_tokens + text_tokens
    blocks = cfg.depth + cfg.depth_single_blocks
    linear = tokens * (4 * dim * dim + 2 * dim * cfg.mlp_hidden)
    attention = 2 * tokens * tokens * dim
    modulation = cfg.depth * 12 * dim * dim + cfg.depth_single_blocks * 3 * dim * dim + 2 * dim * dim
    scalars = 1 + cfg.guidance_embed
    conditions = scalars * (256 * dim + dim * dim) + cfg.vec_in_dim * dim + dim * dim
    ends = image_tokens * (cfg.in_channels + cfg.out_channels) * dim + text_tokens * cfg.context_in_dim * dim
    return 2 * (blocks * (linear + attention) + modulation + conditions + ends)


@dataclass(frozen=True)
class KeptContextFlops:
    """Operations of an asymmetric transformer: `context` once a picture, `text` once a prompt, `step` each step."""

    context: int
    text: int
    step: int


def kept_context_flops(cfg: TransformerConfig, target: int, context: int, text: int) -> KeptContextFlops:
    """What one picture costs where keys and values of context and text are kept; counted as `transformer_flops`.

    Args:
        target, context, text: tokens of each kind.
    """
    dim = cfg.hidden_size
    blocks = cfg.depth + cfg.depth_single_blocks
    time, pooled = 256 * dim + dim * dim, cfg.vec_in_dim * dim + dim * dim

    def part(tokens: int, read: int, channels: int, condition: int) -> int:
        linear = tokens * (4 * dim * dim + 2 * dim * cfg.mlp_hidden)
        modulation = cfg.depth * 6 * dim * dim + cfg.depth_single_blocks * 3 * dim * dim
        return 2 * (blocks * (linear + 2 * tokens * read * dim) + modulation + tokens * channels * dim + condition)

    return KeptContextFlops(
        context=part(context, context, cfg.in_channels, time) if context else 0,
        text=part(text, context + text, cfg.context_in_dim, time + pooled),
        step=part(
            target, target + context + text, cfg.in_channels + cfg.out_channels,
            (1 + cfg.guidance_embed) * time + pooled + 2 * dim * dim,
        ),
    )  # fmt: skip


def count_flops(module: nn.Module, *shapes: tuple[int, ...]) -> int:
    """Operations of `module` on inputs of these shapes, counted by running it without data or memory."""
    ghost: Any = copy.deepcopy(module).to("meta")
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        ghost(*(torch.empty(shape, device="meta") for shape in shapes))
    return counter.get_total_flops()


def matmul_rate(device: torch.device, dtype: torch.dtype) -> float:
    """Operations a second of a square product large enough to be bound by arithmetic; the best of eight."""
    n = 8192 if device.type == "cuda" else 1024
    a, b = (torch.randn(n, n, device=device, generator=_generator(device)).to(dtype) for _ in range(2))
    return 2 * n**3 / min(_timed(a, b) for _ in range(8))


def _generator(device: torch.device) -> torch.Generator:
    return torch.Generator(device).manual_seed(0)  # the global one is part of a run's state


def _timed(a: Tensor, b: Tensor) -> float:
    started = time.perf_counter()
    float((a @ b)[0, 0])  # reading a number waits for the device
    return time.perf_counter() - started
