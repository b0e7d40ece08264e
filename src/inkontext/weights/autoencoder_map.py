"""Names of the autoencoder: Black Forest Labs' `ae.safetensors` <-> diffusers' `AutoencoderKL`."""

from __future__ import annotations

from inkontext.model.presets import AutoencoderConfig
from inkontext.weights.mapping import Entry

_RESNET = ("norm1", "conv1", "norm2", "conv2")
_ATTENTION = {"q": "to_q", "k": "to_k", "v": "to_v", "proj_out": "to_out.0"}


def _layer(bfl: str, diffusers: str, squeeze: bool = False) -> list[Entry]:
    return [
        Entry(f"{bfl}.weight", (f"{diffusers}.weight",), squeeze=squeeze),
        Entry(f"{bfl}.bias", (f"{diffusers}.bias",)),
    ]


def _resnet(bfl: str, diffusers: str, widens: bool = False) -> list[Entry]:
    entries = [e for name in _RESNET for e in _layer(f"{bfl}.{name}", f"{diffusers}.{name}")]
    return entries + (_layer(f"{bfl}.nin_shortcut", f"{diffusers}.conv_shortcut") if widens else [])


def _middle(side: str) -> list[Entry]:
    a, b = f"{side}.mid", f"{side}.mid_block"
    entries = _resnet(f"{a}.block_1", f"{b}.resnets.0") + _resnet(f"{a}.block_2", f"{b}.resnets.1")
    entries += _layer(f"{a}.attn_1.norm", f"{b}.attentions.0.group_norm")
    for x, y in _ATTENTION.items():
        entries += _layer(f"{a}.attn_1.{x}", f"{b}.attentions.0.{y}", squeeze=True)
    return entries


def _down(cfg: AutoencoderConfig) -> list[Entry]:
    entries, width = [], 1
    for i, mult in enumerate(cfg.ch_mult):
        for j in range(cfg.num_res_blocks):
            a, b = f"encoder.down.{i}.block.{j}", f"encoder.down_blocks.{i}.resnets.{j}"
            entries += _resnet(a, b, widens=j == 0 and width != mult)
        if i < len(cfg.ch_mult) - 1:
            entries += _layer(f"encoder.down.{i}.downsample.conv", f"encoder.down_blocks.{i}.downsamplers.0.conv")
        width = mult
    return entries


def _up(cfg: AutoencoderConfig) -> list[Entry]:
    entries, width, last = [], cfg.ch_mult[-1], len(cfg.ch_mult) - 1
    for i in range(last, -1, -1):
        k = last - i  # diffusers counts decoder levels from the deepest
        for j in range(cfg.num_res_blocks + 1):
            a, b = f"decoder.up.{i}.block.{j}", f"decoder.up_blocks.{k}.resnets.{j}"
            entries += _resnet(a, b, widens=j == 0 and width != cfg.ch_mult[i])
        if i > 0:
            entries += _layer(f"decoder.up.{i}.upsample.conv", f"decoder.up_blocks.{k}.upsamplers.0.conv")
        width = cfg.ch_mult[i]
    return entries


def autoencoder_map(cfg: AutoencoderConfig) -> list[Entry]:
    """Every tensor of an autoencoder of this configuration."""
    entries = [e for side in ("encoder", "decoder") for e in _middle(side)] + _down(cfg) + _up(cfg)
    for side in ("encoder", "decoder"):
        entries += _layer(f"{side}.norm_out", f"{side}.conv_norm_out")
        entries += [e for x in ("conv_in", "conv_out") for e in _layer(f"{side}.{x}", f"{side}.{x}")]
    return entries
