"""Small models with random weights in the released layouts, written by the safetensors library, not by us."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from inkontext.model.autoencoder import AutoEncoder
from inkontext.model.presets import PRESETS, AutoencoderConfig, Preset, TransformerConfig
from inkontext.model.transformer import FluxTransformer
from inkontext.weights.autoencoder_map import autoencoder_map
from inkontext.weights.mapping import Entry
from inkontext.weights.transformer_map import transformer_map

SMALL_AUTOENCODER = AutoencoderConfig(ch=32, ch_mult=(1, 2, 2), num_res_blocks=1)


def reduced(name: str) -> Preset:
    """A preset made narrow and shallow; what tells it from the others stays, and so do heads of 128."""
    preset = PRESETS[name]
    transformer = replace(
        preset.transformer, vec_in_dim=24, context_in_dim=40, hidden_size=256, num_heads=2, depth=1,
        depth_single_blocks=2, axes_dim=(16, 56, 56),
    )  # fmt: skip
    return replace(preset, transformer=transformer, autoencoder=SMALL_AUTOENCODER)


def meta_shapes(cfg: TransformerConfig | AutoencoderConfig) -> dict[str, tuple[int, ...]]:
    """Names and shapes of our network, without memory for it."""
    with torch.device("meta"):
        module: nn.Module = FluxTransformer(cfg) if isinstance(cfg, TransformerConfig) else AutoEncoder(cfg)
    return {name: tuple(t.shape) for name, t in module.state_dict().items()}


def random_state(
    cfg: TransformerConfig | AutoencoderConfig, dtype: torch.dtype = torch.float32, seed: int = 0
) -> dict[str, Tensor]:
    """Random tensors under BFL's names; gains around one, so that a forward pass stays tame."""
    generator = torch.Generator().manual_seed(seed)
    state = {}
    for name, shape in meta_shapes(cfg).items():
        gain = name.endswith(".scale") or ("norm" in name and name.endswith("weight"))
        state[name] = (0.05 * torch.randn(shape, generator=generator) + float(gain)).to(dtype)
    return state


def to_diffusers(state: dict[str, Tensor], cfg: TransformerConfig | AutoencoderConfig) -> dict[str, Tensor]:
    """The same tensors under diffusers' names."""
    entries: list[Entry] = transformer_map(cfg) if isinstance(cfg, TransformerConfig) else autoencoder_map(cfg)
    parts = {}
    for entry in entries:
        parts |= dict(zip(entry.parts, entry.to_diffusers(state[entry.bfl]), strict=True))
    return {name: t.contiguous() for name, t in parts.items()}


def save_bfl(folder: Path, preset: Preset, dtype: torch.dtype = torch.float32, stem: str = "model") -> Path:
    """STEM.safetensors with ae.safetensors beside it, as Black Forest Labs release them."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file(random_state(preset.transformer, dtype), folder / f"{stem}.safetensors")
    save_file(random_state(preset.autoencoder, torch.float32, seed=1), folder / "ae.safetensors")
    return folder / f"{stem}.safetensors"


def same_bytes(a: Tensor, b: Tensor) -> bool:
    """Equal in dtype, shape and every bit."""
    raw = [t.contiguous().reshape(-1).view(torch.uint8) for t in (a, b)]
    return (a.dtype, a.shape) == (b.dtype, b.shape) and torch.equal(*raw)


def assert_same_state(a: dict[str, Tensor], b: dict[str, Tensor]) -> None:
    """Two state dicts are the same names and the same bytes."""
    assert sorted(a) == sorted(b)
    assert [name for name in a if not same_bytes(a[name], b[name])] == []
