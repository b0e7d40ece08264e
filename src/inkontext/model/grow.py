"""A wider or deeper transformer that begins as a trained one (Net2Net, Chen et al., arXiv 1511.05641).

New channels of the residual stream hold nothing at first, new heads and hidden units are heard by nobody, new blocks
are the identity. Without them the norms would see the old channels louder by sqrt(new / old width), which the
modulations take back; what is left of a difference is the mean over channels, which a norm subtracts.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from inkontext.model.initialise import initialise
from inkontext.model.presets import TransformerConfig
from inkontext.model.transformer import FluxTransformer

Layout = Sequence[tuple[int, int]]  # parts of an axis one after another: their old and new lengths
READERS = ("qkv", "mlp.0", "linear1", "in_layer", "out_layer")  # their new rows are heard by nobody yet: left random


def grow(transformer: FluxTransformer, cfg: TransformerConfig) -> FluxTransformer:
    """A transformer of shape `cfg` that computes nearly what `transformer` does; uses the global generator.

    Raises:
        ValueError: `cfg` is smaller somewhere, or differs in more than width, heads and depth.
    """
    old = transformer.cfg
    _must_fit(old, cfg)
    new = initialise(FluxTransformer(cfg)).to(next(transformer.parameters()))
    linears = {name: module for name, module in transformer.named_modules() if isinstance(module, nn.Linear)}
    with torch.no_grad():
        for name, module in new.named_modules():
            if isinstance(module, nn.Linear) and name in linears:
                _enlarge(name, linears[name], module, old, cfg)
        gains = {name: p for name, p in transformer.named_parameters() if name.endswith("norm.scale")}
        for name, parameter in new.named_parameters():
            if name in gains:
                parameter.copy_(gains[name])
    return new


def _must_fit(old: TransformerConfig, new: TransformerConfig) -> None:
    smaller = [
        name for name in ("hidden_size", "depth", "depth_single_blocks") if getattr(new, name) < getattr(old, name)
    ]
    same = ("in_channels", "out_channels", "vec_in_dim", "context_in_dim", "mlp_ratio", "axes_dim", "theta")
    other = [
        name
        for name in (*same, "guidance_embed", "asymmetric", "context_time")
        if getattr(new, name) != getattr(old, name)
    ]
    if smaller or other:
        raise ValueError(f"cannot grow: {(smaller + other)[0]} is {getattr(old, (smaller + other)[0])} "
                         f"and would be {getattr(new, (smaller + other)[0])}")  # fmt: skip


def _enlarge(name: str, old: nn.Linear, new: nn.Linear, before: TransformerConfig, after: TransformerConfig) -> None:
    """Set a layer of the grown transformer from the layer of the same name."""
    rows, columns = _layouts(name, old, before, after)
    there, across = _places(rows, new.weight.device), _places(columns, new.weight.device)
    if not name.endswith(READERS):
        new.weight.zero_()
    elif name.endswith("out_layer"):
        new.weight[there] = 0.0  # new channels of the embedding's inner layer say nothing to the old ones
    new.bias.zero_()
    new.weight[there[:, None], across] = old.weight
    new.bias[there] = old.bias
    if name.endswith((".lin", "adaLN_modulation.1")):
        _level(new, len(rows), before.hidden_size, after.hidden_size)


def _level(modulation: nn.Linear, parts: int, old: int, new: int) -> None:
    """Scale (1 + scale) by sqrt(old / new), since the norm divides by less; open the gates of new channels."""
    share = (old / new) ** 0.5
    for part in range(parts):
        rows = slice(part * new, (part + 1) * new)
        known = slice(part * new, part * new + old)
        # Blocks modulate by (shift, scale, gate), once or twice; the last layer by (shift, scale).
        if part % 3 == 1:
            modulation.weight[known] *= share
            modulation.bias[rows] = share * modulation.bias[rows] + (share - 1)
        elif part % 3 == 2:
            modulation.bias[part * new + old : (part + 1) * new] = modulation.bias[known].abs().mean()


def _layouts(name: str, old: nn.Linear, before: TransformerConfig, after: TransformerConfig) -> tuple[Layout, Layout]:
    """What the rows and the columns of a layer are made of."""
    width = (before.hidden_size, after.hidden_size)
    hidden = (before.mlp_hidden, after.mlp_hidden)
    if name.endswith(("img_in", "txt_in", "in_layer")):
        return [width], [(old.in_features, old.in_features)]
    if name == "final_layer.linear":
        return [(old.out_features, old.out_features)], [width]
    if name.endswith("linear1"):
        return [width] * 3 + [hidden], [width]
    if name.endswith("linear2"):
        return [width], [width, hidden]
    if name.endswith("mlp.0"):
        return [hidden], [width]
    if name.endswith("mlp.2"):
        return [width], [hidden]
    return [width] * (old.out_features // before.hidden_size), [width]  # qkv, proj, out_layer, modulations


def _places(layout: Layout, device: torch.device) -> Tensor:
    """Where the old entries stand among the new ones: first in each part."""
    start, found = 0, []
    for old, new in layout:
        found.append(torch.arange(start, start + old, device=device))
        start += new
    return torch.cat(found)
