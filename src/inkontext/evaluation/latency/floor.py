"""The arithmetic of one picture, stage by stage: what no implementation of the same network can leave out."""

from __future__ import annotations

import torch
from torch import nn

from inkontext.geometry import GRID
from inkontext.model.autoencoder import AutoEncoder
from inkontext.model.presets import AutoencoderConfig, TransformerConfig
from inkontext.runtime.flops import count_flops, kept_context_flops, transformer_flops


def picture_flops(
    transformer: TransformerConfig, autoencoder: AutoencoderConfig, towers: int, text_tokens: int,
    size: int, references: int, steps: int,
) -> dict[str, int]:  # fmt: skip
    """Operations of a square picture of side `size` with references of the same size, one evaluation a step.

    Args:
        towers: operations of the text towers, see `tower_flops`.
    """
    tokens = (size // GRID) ** 2
    with torch.device("meta"):
        vae = AutoEncoder(autoencoder)
    latent = (1, autoencoder.z_channels, size // 8, size // 8)
    return {
        "text": towers,
        "encode": references * count_flops(vae.encoder, (1, 3, size, size)),
        **_network(transformer, tokens, tokens * references, text_tokens, steps),
        "decode": count_flops(vae.decoder, latent),
    }


def _network(cfg: TransformerConfig, target: int, context: int, text: int, steps: int) -> dict[str, int]:
    """`denoise`: every step; `context`: what a model that computes it once does before the first."""
    if not cfg.asymmetric:
        return {"denoise": steps * transformer_flops(cfg, target + context, text)}
    kept = kept_context_flops(cfg, target, context, text)
    return {"context": kept.context + kept.text, "denoise": steps * kept.step}


def tower_flops(tower: nn.Module, tokens: int, layers: int, width: int) -> int:
    """Operations of a text tower on one prompt: its linear layers on every token, and attention's two products.

    Args:
        width: of queries, keys and values, all heads together.
    """
    linear = sum(m.in_features * m.out_features for m in tower.modules() if isinstance(m, nn.Linear))
    return 2 * tokens * linear + 4 * layers * tokens * tokens * width
