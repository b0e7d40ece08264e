"""Read a network's configuration off the shapes of its tensors, and off or into diffusers' config files."""

from __future__ import annotations

import re
from typing import Any

from inkontext.errors import WeightsError
from inkontext.model.presets import AutoencoderConfig, TransformerConfig
from inkontext.weights.component import Component
from inkontext.weights.transformer_map import transformer_map

ASYMMETRIC = "AsymmetricFluxTransformer2DModel"  # a name that diffusers does not know, so that it refuses the model
_AXES_OF_HEAD = {128: (16, 56, 56)}  # every released FLUX.1 checkpoint


def _count(component: Component, pattern: str) -> int:
    """One more than the largest index that `pattern` captures among the names, 0 if there is none."""
    found = (re.match(pattern, name) for name in component.names())
    # Never more than there are tensors, or one name with a huge index would ask for a huge network.
    return min(len(component.files), max((int(m[1]) + 1 for m in found if m), default=0))


def _shape(component: Component, name: str, kind: str) -> tuple[int, ...]:
    """Shape of a tensor that a configuration is read from; raises WeightsError where it cannot be."""
    info = component.get(name)
    dimensions = 1 if name.endswith((".scale", "norm_k.weight")) else 4 if "conv" in name else 2
    if info is None:
        raise WeightsError(f"'{component.files.place}' lacks {name}; it is not a whole {kind}")
    if len(info.shape) != dimensions or not info.count:
        raise WeightsError(f"{name} in '{component.files.place}' is {list(info.shape)}; it is no {kind}'s")
    return info.shape


def infer_transformer(component: Component, axes_dim: tuple[int, ...] | None = None) -> TransformerConfig:
    """The configuration behind a transformer's tensors.

    Args:
        axes_dim: split of the head over (t, h, w); shapes do not show it, so it is needed unless the head
            dimension is FLUX.1's 128.

    Raises:
        WeightsError: tensors missing that every FLUX transformer has, or `axes_dim` unknown.
    """
    one_block = TransformerConfig(depth=1, depth_single_blocks=1)
    names = {e.bfl: component.sources(e)[0] for e in transformer_map(one_block)}

    def shape(bfl: str) -> tuple[int, ...]:
        return _shape(component, names[bfl], "FLUX transformer")

    hidden, in_channels = shape("img_in.weight")
    head_dim = shape("double_blocks.0.img_attn.norm.key_norm.scale")[0]
    axes = tuple(axes_dim or _AXES_OF_HEAD.get(head_dim, ()))
    if not axes:
        raise WeightsError(
            f"'{component.files.place}' has heads of {head_dim} channels and no record of how (t, h, w) share them; "
            "keep the config.json or inkontext.json that belongs to it beside it"
        )
    double, single = (
        (r"double_blocks\.(\d+)\.", r"single_blocks\.(\d+)\.")
        if component.naming == "bfl"
        else (r"transformer_blocks\.(\d+)\.", r"single_transformer_blocks\.(\d+)\.")
    )
    try:
        return TransformerConfig(
            in_channels=in_channels,
            out_channels=shape("final_layer.linear.weight")[0],
            vec_in_dim=shape("vector_in.in_layer.weight")[1],
            context_in_dim=shape("txt_in.weight")[1],
            hidden_size=hidden,
            mlp_ratio=shape("double_blocks.0.img_mlp.0.weight")[0] / hidden,
            num_heads=hidden // head_dim,
            depth=_count(component, double),
            depth_single_blocks=_count(component, single),
            axes_dim=axes,  # type: ignore[arg-type]
            qkv_bias=component.get(names["double_blocks.0.img_attn.qkv.bias"]) is not None,
            guidance_embed=component.get(names["guidance_in.in_layer.weight"]) is not None,
        )
    except (TypeError, ValueError, ZeroDivisionError) as error:
        raise WeightsError(f"'{component.files.place}' is no FLUX transformer: {error}") from error


def infer_autoencoder(
    component: Component, scale_factor: float = 0.3611, shift_factor: float = 0.1159, norm_groups: int = 32
) -> AutoencoderConfig:
    """The configuration behind an autoencoder's tensors; scale, shift and groups of the norms are not in them."""
    bfl = component.naming == "bfl"
    level = "encoder.down.{}.block.{}" if bfl else "encoder.down_blocks.{}.resnets.{}"

    def shape(name: str) -> tuple[int, ...]:
        return _shape(component, name, "autoencoder")

    ch, in_channels = shape("encoder.conv_in.weight")[:2]
    escaped = level.replace(".", r"\.")
    levels = _count(component, escaped.format(r"(\d+)", r"\d+"))
    widths = [shape(level.format(i, 0) + ".conv1.weight")[0] for i in range(levels)]
    if ch % norm_groups or any(w % ch for w in widths):
        raise WeightsError(
            f"'{component.files.place}' is no FLUX autoencoder: levels of {widths} channels after {ch}, "
            f"which should be a multiple of {norm_groups} and theirs of it"
        )
    return AutoencoderConfig(
        in_channels=in_channels,
        out_channels=shape("decoder.conv_out.weight")[0],
        ch=ch,
        ch_mult=tuple(w // ch for w in widths),
        num_res_blocks=_count(component, escaped.format(0, r"(\d+)")),
        z_channels=shape("decoder.conv_in.weight")[1],
        norm_groups=norm_groups,
        scale_factor=scale_factor,
        shift_factor=shift_factor,
    )


def transformer_json(cfg: TransformerConfig) -> dict[str, Any]:
    """diffusers' `transformer/config.json`.

    Raises:
        WeightsError: something diffusers has no field for.
    """
    if cfg.mlp_ratio != 4.0 or cfg.theta != 10_000 or not cfg.qkv_bias:
        raise WeightsError("diffusers fixes mlp_ratio 4, theta 10000 and biased qkv; this model differs")
    kind: dict[str, Any] = {"_class_name": "FluxTransformer2DModel"}
    if cfg.asymmetric:
        kind = {"_class_name": ASYMMETRIC, "context_time": cfg.context_time}
    return kind | {
        "_diffusers_version": "0.42.1",
        "patch_size": 1,
        "in_channels": cfg.in_channels,
        "out_channels": None if cfg.out_channels == cfg.in_channels else cfg.out_channels,
        "num_layers": cfg.depth,
        "num_single_layers": cfg.depth_single_blocks,
        "attention_head_dim": cfg.head_dim,
        "num_attention_heads": cfg.num_heads,
        "joint_attention_dim": cfg.context_in_dim,
        "pooled_projection_dim": cfg.vec_in_dim,
        "guidance_embeds": cfg.guidance_embed,
        "axes_dims_rope": list(cfg.axes_dim),
    }


def autoencoder_json(cfg: AutoencoderConfig) -> dict[str, Any]:
    """diffusers' `vae/config.json`."""
    levels = len(cfg.ch_mult)
    return {
        "_class_name": "AutoencoderKL",
        "_diffusers_version": "0.42.1",
        "act_fn": "silu",
        "in_channels": cfg.in_channels,
        "out_channels": cfg.out_channels,
        "block_out_channels": [cfg.ch * m for m in cfg.ch_mult],
        "down_block_types": ["DownEncoderBlock2D"] * levels,
        "up_block_types": ["UpDecoderBlock2D"] * levels,
        "layers_per_block": cfg.num_res_blocks,
        "latent_channels": cfg.z_channels,
        "mid_block_add_attention": True,
        "norm_num_groups": cfg.norm_groups,
        "sample_size": 1024,
        "scaling_factor": cfg.scale_factor,
        "shift_factor": cfg.shift_factor,
        "use_quant_conv": False,
        "use_post_quant_conv": False,
        "force_upcast": True,
        "latents_mean": None,
        "latents_std": None,
    }
