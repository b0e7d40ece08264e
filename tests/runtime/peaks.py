"""Run as a program: growth of resident memory in single evaluations and in a whole edit, beside the plan's figures.

Prints JSON: case -> [measured bytes, planned bytes]. A process of its own, so that nobody else's memory is counted.
"""

from __future__ import annotations

import ctypes
import gc
import json
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from inkontext.model.autoencoder import AutoEncoder
from inkontext.model.presets import PRESETS, AutoencoderConfig, TransformerConfig
from inkontext.model.transformer import FluxTransformer
from inkontext.pipeline import Pipeline
from inkontext.runtime.plan import ModelSize

SMALLEST = replace(PRESETS["debug"].transformer, hidden_size=8, num_heads=1, axes_dim=(2, 4, 2))


def resident(field: str) -> int:
    found = re.search(rf"^{field}:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert found, field
    return int(found[1]) * 1024


def growth(work: Callable[[], Any]) -> int:
    """Peak of resident memory during `work`, over what was resident before."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)  # else memory that an earlier case gave back hides what this one takes
    Path("/proc/self/clear_refs").write_text("5")
    before = resident("VmRSS")
    with torch.no_grad():
        work()
    return resident("VmHWM") - before


def transformer(dtype: torch.dtype, pixels: int) -> list[int]:
    cfg = TransformerConfig(context_in_dim=64, hidden_size=768, num_heads=6, depth=1, depth_single_blocks=1)
    module = FluxTransformer(cfg).to(dtype).eval()

    def run(n: int) -> None:
        img, txt, y = torch.randn(1, n, 64), torch.randn(1, 512, 64), torch.randn(1, 768)
        one = torch.ones(1)
        module(img.to(dtype), torch.zeros(n, 3), txt.to(dtype), torch.zeros(512, 3), one, y.to(dtype), one)

    with torch.no_grad():
        run(8)
    plan = ModelSize(0, 0, 0, cfg, AutoencoderConfig(ch=1), 512).need(dtype, pixels).activations
    return [growth(lambda: run(2 * pixels // 256)), plan]


def autoencoder(ch: int, pixels: int, encode: bool) -> list[int]:
    cfg = AutoencoderConfig(ch=ch, num_res_blocks=1)
    module, side = AutoEncoder(cfg).eval(), int(pixels**0.5)

    def run(n: int) -> None:
        _ = module.encode(torch.randn(1, 3, n, n)) if encode else module.decode(torch.randn(1, 16, n // 8, n // 8))

    with torch.no_grad():
        run(64)
    plan = ModelSize(0, 0, 0, SMALLEST, cfg, 0).need(torch.float32, pixels).activations
    return [growth(lambda: run(side)), plan]


def edit(folder: str) -> list[int]:
    pipeline = Pipeline.from_pretrained(folder, device="cpu", dtype="float32")
    cfg, autoencoder_cfg = pipeline.transformer.cfg, pipeline.autoencoder.cfg
    size = ModelSize(0, 0, 0, cfg, autoencoder_cfg, pipeline.text_length)
    picture = Image.new("RGB", (pipeline.resolution, pipeline.resolution), "teal")
    pipeline.generate("warm up", size=(32, 32), steps=1)
    plan = size.need(torch.float32, pipeline.resolution**2).activations
    return [growth(lambda: pipeline.edit(picture, "make it red", steps=2)), plan]


def main(folder: str) -> None:
    torch.set_num_threads(2)
    torch.manual_seed(0)
    cases = {
        "transformer float32": lambda: transformer(torch.float32, 512 * 512),
        "transformer bfloat16": lambda: transformer(torch.bfloat16, 512 * 512),
        "decoder": lambda: autoencoder(64, 384 * 384, encode=False),
        "encoder": lambda: autoencoder(64, 256 * 256, encode=True),
        "edit": lambda: edit(folder),
    }
    print(json.dumps({name: case() for name, case in cases.items()}))


if __name__ == "__main__":
    main(sys.argv[1])
