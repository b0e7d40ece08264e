"""How far we are from diffusers on the same random weights, beside the aim; and the published shapes.

python -m benchmarks.parity [--json FILE]
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from diffusers import (
    AutoencoderKL,
    FlowMatchEulerDiscreteScheduler,
    FluxKontextInpaintPipeline,
    FluxKontextPipeline,
    FluxTransformer2DModel,
)
from diffusers.pipelines.flux import pipeline_flux_kontext, pipeline_flux_kontext_inpaint
from PIL import Image

from benchmarks.golden import GOLDEN, fill_module, golden_inputs
from benchmarks.table import report
from inkontext import Pipeline, geometry
from inkontext.coding import Coder
from inkontext.flow.timesteps import resolution_mu, schedule
from inkontext.model.autoencoder import AutoEncoder
from inkontext.model.presets import PRESETS, AutoencoderConfig
from inkontext.model.transformer import FluxTransformer
from inkontext.sequence import image_ids, pack, text_ids
from inkontext.weights.architecture import autoencoder_json, transformer_json
from inkontext.weights.autoencoder_map import autoencoder_map
from inkontext.weights.convert import convert
from inkontext.weights.embedded import make_untrained
from inkontext.weights.source import resolve
from inkontext.weights.tensors import TensorFiles
from inkontext.weights.transformer_map import transformer_map

Row = dict[str, Any]


def row(what: str, aim: str, found: Any, ok: bool) -> Row:
    return {"what": what, "aim": aim, "found": found, "met": "yes" if ok else "NO"}


def relative(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    return ((ours - theirs).abs().max() / theirs.abs().max()).item()


def translated(module: torch.nn.Module, entries: list) -> dict[str, torch.Tensor]:
    state = module.state_dict()
    return {n: t for e in entries for n, t in zip(e.parts, e.to_diffusers(state[e.bfl]), strict=True)}


@torch.no_grad()
def networks() -> list[Row]:
    """Transformer of every preset at reduced size, and the autoencoder, in float32."""
    worst = 0.0
    for preset in PRESETS.values():
        cfg = replace(
            preset.transformer, hidden_size=128, num_heads=4, axes_dim=(8, 12, 12), depth=2, depth_single_blocks=3,
            vec_in_dim=32, context_in_dim=48,
        )  # fmt: skip
        torch.manual_seed(0)
        ours = FluxTransformer(cfg)
        theirs: Any = FluxTransformer2DModel.from_config(transformer_json(cfg))
        theirs.load_state_dict(translated(ours, transformer_map(cfg)))
        ids = image_ids((6, 5), [(5, 6), (4, 4)])
        img, txt, y = torch.randn(2, len(ids), cfg.in_channels), torch.randn(2, 7, 48), torch.randn(2, 32)
        t, g = torch.tensor([0.7, 0.2]), torch.tensor([2.5, 4.0]) if cfg.guidance_embed else None
        a = ours(img, ids, txt, text_ids(7), t, y, g)
        b = theirs(img, txt, y, t, ids, text_ids(7), g, return_dict=False)[0]
        worst = max(worst, relative(a, b))
    small = AutoencoderConfig(ch=64)
    coder = AutoEncoder(small)
    other: Any = AutoencoderKL.from_config(autoencoder_json(small))
    other.load_state_dict(translated(coder, autoencoder_map(small)))
    x = torch.rand(1, 3, 64, 96) * 2 - 1
    z = coder.encode(x)
    encode = relative(z, (other.encode(x).latent_dist.mode() - small.shift_factor) * small.scale_factor)
    decode = relative(coder.decode(z), other.decode(z / small.scale_factor + small.shift_factor).sample)
    return [
        row("transformer, worst of all presets, fp32, relative", "<= 1e-5", worst, worst <= 1e-5),
        row("autoencoder encode, fp32, relative", "<= 1e-5", encode, encode <= 1e-5),
        row("autoencoder decode, fp32, relative", "<= 1e-5", decode, decode <= 1e-5),
    ]


@torch.no_grad()
def golden() -> list[Row]:
    """The model filled with known numbers, beside what BFL's own modules gave for it, in float32 and in bfloat16."""
    ours = FluxTransformer(GOLDEN)
    fill_module(ours)
    theirs: Any = FluxTransformer2DModel.from_config(transformer_json(GOLDEN))
    theirs.load_state_dict(translated(ours, transformer_map(ours.cfg)))
    fixed, t = golden_inputs(), torch.tensor([0.7])
    exact = ours(timesteps=t, **fixed)
    first = torch.tensor([-0.398347, -0.777248, -0.667170, -0.126825, 0.509069, 0.838158])
    gap = (exact[0, 0, :6] - first).abs().max().item()
    img, txt, y = (fixed[name].bfloat16() for name in ("img", "txt", "y"))
    ids, words, g = fixed["img_ids"], fixed["txt_ids"], fixed["guidance"]
    half = ours.bfloat16()(img, ids, txt, words, t.bfloat16(), y, g.bfloat16()).float()
    other = theirs.bfloat16()(img, txt, y, t.bfloat16(), ids, words, g, return_dict=False)[0].float()
    own, apart = (round((half - x).abs().max().item(), 4) for x in (exact, other))
    return [
        row("golden transformer, first six numbers, absolute", "<= 1e-6, as printed", gap, gap <= 1e-6),
        row("golden transformer, bf16 from its fp32 (BFL: 0.0123)", "<= 0.0123", own, own <= 0.0123),
        row("golden transformer, bf16 from diffusers (BFL: 0.0078)", "<= 0.0078", apart, apart <= 0.0078),
    ]


def schedules() -> list[Row]:
    worst = 0.0
    line = ((256, 0.5), (4096, 1.15))
    for steps in (1, 4, 28, 30, 50):
        for tokens in (64, 256, 1024, 4070, 4096, 4116):
            theirs: Any = FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True)
            theirs.set_timesteps(sigmas=np.linspace(1.0, 1 / steps, steps), mu=resolution_mu(tokens, line))
            worst = max(worst, float(np.abs(np.array(schedule(steps, tokens, line)) - theirs.sigmas.numpy()).max()))
    return [row("schedules, 30 of them, absolute", "equal in fp32 (<= 2e-7)", worst, worst <= 2e-7)]


def pipelines(folder: Path) -> list[Row]:
    """FluxKontextPipeline on one folder: latents and pixels of five kinds of call."""
    ours = Pipeline.from_pretrained(folder, device="cpu", dtype="float32")
    theirs = FluxKontextPipeline.from_pretrained(folder)
    inpaint = FluxKontextInpaintPipeline(**theirs.components)
    sizes = list(geometry.ratio_buckets(64))
    for module in (pipeline_flux_kontext, pipeline_flux_kontext_inpaint):
        vars(module)["PREFERRED_KONTEXT_RESOLUTIONS"] = sizes  # diffusers' own list is for one megapixel
    rng = np.random.default_rng(0)
    picture = Image.fromarray(rng.integers(0, 256, (8, 12, 3), dtype=np.uint8)).resize((96, 64))
    mask = Image.new("L", picture.size)
    mask.paste(255, (20, 10, 70, 50))
    width, height = geometry.reference_canvas(picture.size, sizes)
    common = {"fit": "reference", "reference_numerics": "diffusers", "seed": 3, "steps": 4, "guidance": 2.5}
    size = {"width": width, "height": height, "max_area": width * height}
    cases = [
        ("edit", theirs, {"image": picture, **size}, lambda: ours.edit(picture, "x", **common)),
        (
            "true CFG", theirs, {"image": picture, **size, "negative_prompt": "y", "true_cfg_scale": 3.0},
            lambda: ours.edit(picture, "x", negative="y", true_cfg=3.0, **common),
        ),
        (
            "inpaint", inpaint, {"image": picture, "mask_image": mask, **size},
            lambda: ours.edit(picture, "x", mask=mask, mask_mode="reference", **common),
        ),
        (
            "inpaint, strength 0.6", inpaint, {"image": picture, "mask_image": mask, "strength": 0.6, **size},
            lambda: ours.edit(picture, "x", mask=mask, mask_mode="reference", strength=0.6, **common),
        ),
        (
            "text to image", theirs, {"width": 80, "height": 48, "max_area": 80 * 48},
            lambda: ours.generate("x", size=(80, 48), seed=3, steps=4, guidance=2.5, reference_numerics="diffusers"),
        ),
    ]  # fmt: skip
    rows = []
    for name, pipe, arguments, call in cases:
        pipe.set_progress_bar_config(disable=True)
        latents, expected = (
            pipe(
                prompt="x", num_inference_steps=4, guidance_scale=2.5, max_sequence_length=64, output_type=kind,
                generator=torch.Generator().manual_seed(3), **arguments,
            ).images[0]
            for kind in ("latent", "pil")
        )  # fmt: skip
        with mock.patch.object(Coder, "decode", autospec=True, side_effect=Coder.decode) as decode:
            image = call().images[0]
        (_, z), _ = decode.call_args
        gap = (pack(z)[0] - latents).abs().max().item()
        levels = int(np.abs(np.asarray(image).astype(int) - np.asarray(expected)).max())
        rows.append(row(f"pipeline, {name}: latents", "<= 1e-4", gap, gap <= 1e-4))
        rows.append(row(f"pipeline, {name}: pixels of 255", "<= 1", levels, levels <= 1))
    return rows


def shapes() -> list[Row]:
    """Tensors and parameters of the full-size networks, on the meta device."""
    published = {"kontext-dev": (780, 11_901_408_320), "dev": (780, 11_901_408_320), "schnell": (776, 11_891_178_560)}
    rows = []
    for name, aim in published.items():
        with torch.device("meta"):
            module = FluxTransformer(PRESETS[name].transformer)
        found = len(module.state_dict()), sum(p.numel() for p in module.parameters())
        rows.append(
            row(f"{name}: tensors, parameters", f"{aim[0]}, {aim[1]:,}", f"{found[0]}, {found[1]:,}", found == aim)
        )
    return rows


def round_trips(folder: Path) -> list[Row]:
    """BFL <-> diffusers for every preset's distinguishing shape, at small size, byte by byte."""
    worst, tensors = 0, 0
    for name, preset in list(PRESETS.items()):
        small = PRESETS["debug"]
        cfg = replace(
            small.transformer, in_channels=preset.transformer.in_channels, out_channels=preset.transformer.out_channels,
            guidance_embed=preset.transformer.guidance_embed,
        )  # fmt: skip
        PRESETS["round-trip"] = replace(small, name=name, transformer=cfg)
        start = make_untrained(folder / name / "start", "round-trip")
        del PRESETS["round-trip"]
        single = convert(resolve(start), folder / name / "bfl", "bfl")
        back = convert(resolve(single), folder / name / "back", "diffusers")
        for part in ("transformer", "vae"):
            a, b = (TensorFiles((f / part).glob("*.safetensors")) for f in (start, back))
            worst += sum(not torch.equal(a.read(n), b.read(n)) for n in a) + len(set(a) ^ set(b))
            tensors += len(a)
    return [
        row(
            f"round trips diffusers > BFL > diffusers, {len(PRESETS)} presets: differing tensors of {tensors}",
            "0",
            worst,
            worst == 0,
        )
    ]


def main() -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        rows = networks() + golden() + schedules() + pipelines(make_untrained(folder / "debug", "debug"))
        rows += shapes() + round_trips(folder)
    report("Parity with diffusers 0.42.1 on random weights", rows)


if __name__ == "__main__":
    main()
