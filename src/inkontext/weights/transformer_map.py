"""Names of the FLUX transformer: Black Forest Labs' single file <-> diffusers' `FluxTransformer2DModel`."""

from __future__ import annotations

from inkontext.model.presets import TransformerConfig
from inkontext.weights.mapping import Entry

_EMBEDDERS = {
    "img_in": "x_embedder",
    "txt_in": "context_embedder",
    "time_in.in_layer": "time_text_embed.timestep_embedder.linear_1",
    "time_in.out_layer": "time_text_embed.timestep_embedder.linear_2",
    "vector_in.in_layer": "time_text_embed.text_embedder.linear_1",
    "vector_in.out_layer": "time_text_embed.text_embedder.linear_2",
    "final_layer.linear": "proj_out",
}
_GUIDANCE = {
    "guidance_in.in_layer": "time_text_embed.guidance_embedder.linear_1",
    "guidance_in.out_layer": "time_text_embed.guidance_embedder.linear_2",
}
_DOUBLE = {
    "img_mod.lin": "norm1.linear",
    "txt_mod.lin": "norm1_context.linear",
    "img_attn.proj": "attn.to_out.0",
    "txt_attn.proj": "attn.to_add_out",
    "img_mlp.0": "ff.net.0.proj",
    "img_mlp.2": "ff.net.2",
    "txt_mlp.0": "ff_context.net.0.proj",
    "txt_mlp.2": "ff_context.net.2",
}
_DOUBLE_QKV = {
    "img_attn.qkv": ("attn.to_q", "attn.to_k", "attn.to_v"),
    "txt_attn.qkv": ("attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj"),
}
_DOUBLE_NORMS = {
    "img_attn.norm.query_norm": "attn.norm_q",
    "img_attn.norm.key_norm": "attn.norm_k",
    "txt_attn.norm.query_norm": "attn.norm_added_q",
    "txt_attn.norm.key_norm": "attn.norm_added_k",
}
_SINGLE = {"modulation.lin": "norm.linear", "linear2": "proj_out"}
_SINGLE_FUSED = ("attn.to_q", "attn.to_k", "attn.to_v", "proj_mlp")
_SINGLE_NORMS = {"norm.query_norm": "attn.norm_q", "norm.key_norm": "attn.norm_k"}


def _linear(bfl: str, *parts: str, rows: tuple[int, ...] = (), swap: bool = False, bias: bool = True) -> list[Entry]:
    kinds = ("weight", "bias") if bias else ("weight",)
    return [Entry(f"{bfl}.{kind}", tuple(f"{p}.{kind}" for p in parts), rows, swap) for kind in kinds]


def _norm(bfl: str, diffusers: str) -> Entry:
    return Entry(f"{bfl}.scale", (f"{diffusers}.weight",))


def _double_block(i: int, cfg: TransformerConfig) -> list[Entry]:
    a, b, d = f"double_blocks.{i}.", f"transformer_blocks.{i}.", cfg.hidden_size
    entries = [e for x, y in _DOUBLE.items() for e in _linear(a + x, b + y)]
    for x, parts in _DOUBLE_QKV.items():
        entries += _linear(a + x, *(b + p for p in parts), rows=(d, d, d), bias=cfg.qkv_bias)
    return entries + [_norm(a + x, b + y) for x, y in _DOUBLE_NORMS.items()]


def _single_block(i: int, cfg: TransformerConfig) -> list[Entry]:
    a, b, d = f"single_blocks.{i}.", f"single_transformer_blocks.{i}.", cfg.hidden_size
    entries = [e for x, y in _SINGLE.items() for e in _linear(a + x, b + y)]
    entries += _linear(a + "linear1", *(b + p for p in _SINGLE_FUSED), rows=(d, d, d, cfg.mlp_hidden))
    return entries + [_norm(a + x, b + y) for x, y in _SINGLE_NORMS.items()]


def transformer_map(cfg: TransformerConfig) -> list[Entry]:
    """Every tensor of a transformer of this configuration, 780 rows for FLUX.1 [dev] and Kontext [dev]."""
    plain = _EMBEDDERS | (_GUIDANCE if cfg.guidance_embed else {})
    entries = [e for x, y in plain.items() for e in _linear(x, y)]
    # BFL keeps (shift, scale), diffusers (scale, shift); the only modulation that differs.
    entries += _linear("final_layer.adaLN_modulation.1", "norm_out.linear", swap=True)
    for i in range(cfg.depth):
        entries += _double_block(i, cfg)
    for i in range(cfg.depth_single_blocks):
        entries += _single_block(i, cfg)
    return entries
