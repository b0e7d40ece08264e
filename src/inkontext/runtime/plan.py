"""Will it fit? Memory of a model and an edit, worked out from shapes before anything is loaded."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil
import torch

from inkontext.errors import MemoryPlanError, OptionError
from inkontext.geometry import RESOLUTIONS
from inkontext.model.presets import AutoencoderConfig, CLIPConfig, T5Config, TransformerConfig
from inkontext.weights.shards import weight_files
from inkontext.weights.tensors import TensorFiles

GIB = 2**30
# What the interpreter, PyTorch and transformers take before any weight is loaded.
BASE_BYTES = 600 * 2**20


@dataclass(frozen=True)
class Need:
    """Bytes of weights and of the largest set of activations that live at one time."""

    weights: int
    activations: int

    @property
    def total(self) -> int:
        return self.weights + self.activations


@dataclass(frozen=True)
class ModelSize:
    """Parameter counts of a model's parts, and the shapes that decide its activations."""

    transformer: int
    autoencoder: int
    text: int
    transformer_config: TransformerConfig
    autoencoder_config: AutoencoderConfig
    text_length: int

    def need(self, dtype: torch.dtype, pixels: int, references: int = 1, context: int | None = None) -> Need:
        """Memory of one edit at `pixels` with `references` pictures at `context`, by default the same; autoencoder in
        float32."""
        seen = pixels if context is None else context
        weights = (self.transformer + self.text) * dtype.itemsize + self.autoencoder * 4
        tokens = pixels // 256 + seen // 256 * references + self.text_length
        return Need(weights, max(self._transformer_bytes(dtype, tokens), self._autoencoder_bytes(max(pixels, seen))))

    def _transformer_bytes(self, dtype: torch.dtype, tokens: int) -> int:
        # A single block at its widest: input, modulated input, fused projection (3 + mlp), rotated q and k, attention,
        # activated mlp, the joined input of the second projection, its output; and the float32 steps of norm and
        # rotation, which are copies of their own where the model is not float32 already.
        cfg = self.transformer_config
        width = (8 + 3 * cfg.mlp_ratio) * dtype.itemsize + (4 if dtype.itemsize == 4 else 8) * 4
        # A CPU's matrix multiplication packs copies of the fused projection's weight.
        packed = 2 * (3 + cfg.mlp_ratio) * cfg.hidden_size**2 * dtype.itemsize
        return int(tokens * cfg.hidden_size * width + packed)

    def _autoencoder_bytes(self, pixels: int) -> int:
        # In float32, the decoder at full resolution: input, normed, convolved, their residual.
        cfg = self.autoencoder_config
        return 4 * 5 * pixels * cfg.ch * max(cfg.ch_mult[:2])


def available_bytes(device: torch.device) -> int:
    """Free memory of the device, capped by `INKONTEXT_MEMORY` (GiB) where that is set."""
    if device.type == "cuda":
        free = torch.cuda.mem_get_info(device)[0]
    else:
        free = psutil.virtual_memory().available - BASE_BYTES
    limit = os.environ.get("INKONTEXT_MEMORY")
    if not limit:
        return free
    try:
        return min(free, int(float(limit) * GIB))
    except (ValueError, OverflowError) as error:
        raise OptionError(
            f"INKONTEXT_MEMORY={limit} is no number of GiB; set it to one such as 16, or unset it"
        ) from error


def count_parameters(folder: Path, parts: Sequence[str]) -> int:
    """Numbers in the networks of some sub-folders."""
    networks = [TensorFiles(weight_files(folder / part)) for part in parts]
    return sum(info.count for network in networks for info in network.values())


def check(
    size: ModelSize, device: torch.device, dtype: torch.dtype, resolution: int, context: int | None = None
) -> None:
    """Raises MemoryPlanError, with the plan that would fit, when an edit at a resolution does not.

    context: the resolution of the picture that is given, by default the same.
    """
    free = available_bytes(device)
    need = _need_at(size, dtype, resolution, context)
    if need.total <= free:
        return
    half = _need_at(size, torch.bfloat16, resolution, context)
    most = max(resolution, context or 0)
    smaller = (side for side in (most // 2, most // 4) if side >= RESOLUTIONS[0])
    small = next((side for side in smaller if _need_at(size, dtype, side).total <= free), None)
    if dtype.itemsize > 2 and half.total <= free:
        advice = f"use --dtype bfloat16, which needs {half.total / GIB:.1f} GiB"
    elif small is not None:
        less = _need_at(size, dtype, small).total
        advice = f"work at --resolution {small}, which needs {less / GIB:.1f} GiB"
    else:
        advice = f"use a device with at least {half.total / GIB:.1f} GiB free (at bfloat16), or a smaller model"
    raise MemoryPlanError(
        f"this model needs {need.total / GIB:.1f} GiB on {device.type} as {str(dtype).removeprefix('torch.')} "
        f"(weights {need.weights / GIB:.1f}, activations {need.activations / GIB:.1f}) and {free / GIB:.1f} GiB "
        f"are free; {advice}"
    )


def check_working(
    size: ModelSize, device: torch.device, dtype: torch.dtype, side: int, context: int, seen: int
) -> None:
    """Raises MemoryPlanError where an edit has no room beside a model that is loaded already.

    Args:
        size: of the networks; their weights are not counted.
        side: resolution of the result.
        context: resolution of what is given.
        seen: how many pictures are given.
    """
    need = size.need(dtype, side**2, seen, context**2).activations
    free = available_bytes(device)
    if device.type == "cuda":  # what PyTorch keeps for itself is free, too
        free += torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    if need > free:
        raise MemoryPlanError(
            f"work at resolution {max(side, context)} needs {need / GIB:.1f} GiB beside the model on {device.type} and "
            f"{free / GIB:.1f} GiB are free; ask for a smaller resolution"
        )


def _need_at(size: ModelSize, dtype: torch.dtype, resolution: int, context: int | None = None) -> Need:
    return size.need(dtype, resolution**2, context=None if context is None else context**2)


def text_parameters(t5: T5Config, clip: CLIPConfig) -> int:
    """Numbers in the two text towers of these shapes (position tables and norms included)."""
    inner = t5.num_heads * t5.d_kv
    layer = 4 * t5.d_model * inner + 3 * t5.d_model * t5.d_ff + 2 * t5.d_model
    sequence = t5.vocab_size * t5.d_model + t5.num_layers * layer + 32 * t5.num_heads + t5.d_model
    d, f = clip.hidden_size, clip.intermediate_size
    pooled = (clip.vocab_size + clip.max_position_embeddings) * d + 2 * d
    return sequence + pooled + clip.num_hidden_layers * (4 * (d * d + d) + 2 * d * f + f + d + 4 * d)
