"""Starting values for training from nothing.

As public training code for FLUX does: modulations and the final layer at zero, so that every block begins as
the identity and the network predicts zero velocity; embedders normal(0.02); other matrices Xavier.
"""

from __future__ import annotations

import math

import torch
from torch import nn

from inkontext.model.autoencoder import AutoEncoder, ResnetBlock
from inkontext.model.blocks import DoubleStreamBlock, QKNorm
from inkontext.model.transformer import FluxTransformer

QUIET_LOGVAR = -4.0
# Biases of the two fastest pairs of rotation channels of an axis, beside random queries and keys of deviation 0.5.
ALIGNED_BIAS = (6.0, 3.0)
ALIGNED_GAIN = 1.5


def initialise_autoencoder(autoencoder: AutoEncoder) -> AutoEncoder:
    """Every residual block begins as its shortcut, and the posterior with little noise: at log-variance 0 it drowns
    the mean for the first thousands of steps."""
    for block in autoencoder.modules():
        if isinstance(block, ResnetBlock):
            nn.init.zeros_(block.conv2.weight)
    bias = autoencoder.encoder.conv_out.bias
    assert bias is not None
    nn.init.zeros_(bias)
    bias.data[autoencoder.cfg.z_channels :] = QUIET_LOGVAR
    return autoencoder


def initialise(transformer: FluxTransformer) -> FluxTransformer:
    """Set every weight in place; uses the global generator."""
    for name, module in transformer.named_modules():
        if not isinstance(module, nn.Linear):
            continue
        if name.endswith((".lin", "adaLN_modulation.1", "final_layer.linear")):
            nn.init.zeros_(module.weight)
        elif name.startswith(("time_in", "vector_in", "guidance_in")):
            nn.init.normal_(module.weight, std=0.02)
        else:
            nn.init.xavier_uniform_(module.weight)
        nn.init.zeros_(module.bias)
    if transformer.guidance_in is not None:
        # A student starts equal to a teacher without this input (Meng et al. 2022).
        nn.init.zeros_(transformer.guidance_in.out_layer.weight)
    return transformer


@torch.no_grad()
def align_heads(transformer: FluxTransformer, share: float) -> FluxTransformer:
    """Let the first heads of every block begin by looking at the same place, every other one a picture ahead.

    A constant part of queries and keys is turned by their positions into a function of the distance alone, greatest at
    distance 0 (or, with the query turned on by one, at picture index + 1: from the target to its first context). An
    edit is mostly a copy; without this a model has to find the place to copy from, out of all tokens, by chance.

    Args:
        share: of the heads of each block, 0..1.
    """
    cfg = transformer.cfg
    index, rows, _ = cfg.axes_dim
    turned = math.cos(1.0), math.sin(1.0)
    for block in [*transformer.double_blocks, *transformer.single_blocks]:
        double = isinstance(block, DoubleStreamBlock)
        bias = (block.img_attn.qkv if double else block.linear1).bias[: 3 * cfg.hidden_size]  # type: ignore[union-attr,index]
        query, key, _ = bias.view(3, cfg.num_heads, cfg.head_dim)  # type: ignore[operator]
        for head in range(round(share * cfg.num_heads)):
            for part in (query[head], key[head]):
                for axis in (index, index + rows):
                    part[axis], part[axis + 2] = ALIGNED_BIAS
            if head % 2 == 0:
                query[head, 0], query[head, 1] = (ALIGNED_BIAS[0] * x for x in turned)
                key[head, 0] = ALIGNED_BIAS[0]
    for module in transformer.modules():
        if share and isinstance(module, QKNorm):
            module.query_norm.scale.fill_(ALIGNED_GAIN)
            module.key_norm.scale.fill_(ALIGNED_GAIN)
    return transformer
