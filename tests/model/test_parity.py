"""The networks against diffusers' own, filled with the same numbers."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from benchmarks.golden import GOLDEN, fill_module, golden_inputs
from diffusers import AutoencoderKL, FluxTransformer2DModel

from inkontext.model.autoencoder import AutoEncoder
from inkontext.model.presets import PRESETS, AutoencoderConfig, TransformerConfig
from inkontext.model.transformer import FluxTransformer
from inkontext.sequence import image_ids, text_ids
from inkontext.weights.architecture import autoencoder_json, transformer_json
from inkontext.weights.autoencoder_map import autoencoder_map
from inkontext.weights.transformer_map import transformer_map

SMALL = {
    "vec_in_dim": 32, "context_in_dim": 48, "hidden_size": 128, "num_heads": 4, "axes_dim": (8, 12, 12),
    "depth": 2, "depth_single_blocks": 3,
}  # fmt: skip


def relative(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    return ((ours - theirs).abs().max() / theirs.abs().max()).item()


def diffusers_state(ours: FluxTransformer) -> dict[str, torch.Tensor]:
    state = ours.state_dict()
    entries = transformer_map(ours.cfg)
    return {n: t for e in entries for n, t in zip(e.parts, e.to_diffusers(state[e.bfl]), strict=True)}


def pair(cfg: TransformerConfig, seed: int = 0) -> tuple[FluxTransformer, FluxTransformer2DModel]:
    torch.manual_seed(seed)
    ours, theirs = FluxTransformer(cfg).eval(), FluxTransformer2DModel.from_config(transformer_json(cfg)).eval()
    state = {k: v + 0.02 * torch.randn_like(v) for k, v in ours.state_dict().items()}
    ours.load_state_dict(state)
    theirs.load_state_dict(diffusers_state(ours))
    return ours.requires_grad_(False), theirs.requires_grad_(False)


def run_both(cfg: TransformerConfig, dtype: torch.dtype, context: bool = True) -> tuple[torch.Tensor, torch.Tensor]:
    ours, theirs = pair(cfg)
    ours, theirs = ours.to(dtype), theirs.to(dtype)
    generator = torch.Generator().manual_seed(1)
    ids = image_ids((3, 4), [(4, 3)] if context else [])
    img = torch.randn(2, len(ids), cfg.in_channels, generator=generator).to(dtype)
    txt = torch.randn(2, 7, cfg.context_in_dim, generator=generator).to(dtype)
    y = torch.randn(2, cfg.vec_in_dim, generator=generator).to(dtype)
    t = torch.tensor([0.7, 0.31]).to(dtype)
    g = torch.tensor([2.5, 4.0]) if cfg.guidance_embed else None
    a = ours(img, ids, txt, text_ids(7), t, y, None if g is None else g.to(dtype))
    b = theirs(
        hidden_states=img, encoder_hidden_states=txt, pooled_projections=y, timestep=t, guidance=g,
        img_ids=ids, txt_ids=text_ids(7), return_dict=False,
    )[0]  # fmt: skip
    return a.float(), b.float()


@pytest.mark.parametrize("name", ["kontext-dev", "schnell", "fill-dev", "canny-dev"])
@pytest.mark.parametrize("context", [True, False])
def test_transformer_in_float32(name: str, context: bool) -> None:
    ours, theirs = run_both(replace(PRESETS[name].transformer, **SMALL), torch.float32, context)
    assert ours.shape == theirs.shape
    assert relative(ours, theirs) <= 1e-5


def test_transformer_in_bfloat16_stays_within_the_references_own_difference() -> None:
    """On the golden model BFL's bf16 run is up to 0.0123 from fp32 and up to 0.0078 from diffusers' bf16 run."""
    ours = FluxTransformer(GOLDEN)
    fill_module(ours)
    theirs = FluxTransformer2DModel.from_config(transformer_json(GOLDEN))
    theirs.load_state_dict(diffusers_state(ours))
    fixed = golden_inputs()
    with torch.no_grad():
        exact = ours(timesteps=torch.tensor([0.7]), **fixed)
        half = {k: v if "ids" in k else v.bfloat16() for k, v in fixed.items()}
        t = torch.tensor([0.7]).bfloat16()
        a = ours.bfloat16()(timesteps=t, **half).float()
        b = theirs.bfloat16()(
            hidden_states=half["img"], encoder_hidden_states=half["txt"], pooled_projections=half["y"], timestep=t,
            guidance=fixed["guidance"], img_ids=fixed["img_ids"], txt_ids=fixed["txt_ids"], return_dict=False,
        )[0].float()  # fmt: skip
    assert round((a - exact).abs().max().item(), 4) <= 0.0123
    assert round((a - b).abs().max().item(), 4) <= 0.0078


@pytest.mark.parametrize(("mult", "groups"), [((1, 2), 32), ((1, 2, 4, 4), 8), ((1, 1, 2), 16)])
@pytest.mark.parametrize("size", [(16, 24), (40, 32)])
def test_autoencoder_in_float32(mult: tuple[int, ...], groups: int, size: tuple[int, int]) -> None:
    cfg = AutoencoderConfig(ch=32, ch_mult=mult, num_res_blocks=2, z_channels=16, norm_groups=groups)
    torch.manual_seed(2)
    ours, theirs = AutoEncoder(cfg), AutoencoderKL.from_config(autoencoder_json(cfg))
    state = ours.state_dict()
    theirs.load_state_dict(
        {n: t for e in autoencoder_map(cfg) for n, t in zip(e.parts, e.to_diffusers(state[e.bfl]), strict=True)}
    )
    x = torch.rand(2, 3, *size) * 2 - 1
    with torch.no_grad():
        mean = theirs.encode(x).latent_dist
        z = ours.encode(x)
        expected = (mean.mode() - cfg.shift_factor) * cfg.scale_factor
        assert relative(z, expected) <= 1e-5
        assert relative(ours.moments(x)[1], mean.logvar) <= 1e-5
        assert relative(ours.decode(z), theirs.decode(z / cfg.scale_factor + cfg.shift_factor).sample) <= 1e-5


def test_posterior_sample_has_the_posteriors_spread() -> None:
    torch.manual_seed(0)
    module = AutoEncoder(AutoencoderConfig(ch=32, ch_mult=(1, 1), num_res_blocks=1, z_channels=4))
    x = torch.rand(1, 3, 16, 16) * 2 - 1
    with torch.no_grad():
        draws = torch.cat([module.sample(x, torch.Generator().manual_seed(i)) for i in range(400)])
        _, logvar = module.moments(x)
        spread = draws.std(0) / (module.cfg.scale_factor * torch.exp(0.5 * logvar[0]))
        assert 0.95 < spread.mean().item() < 1.05
        assert relative(draws.mean(0, keepdim=True), module.encode(x)) < 0.2
