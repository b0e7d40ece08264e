"""The model in the package: other software loads its folder as it is and makes the same picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import FluxKontextPipeline
from diffusers.pipelines.flux import pipeline_flux_kontext
from PIL import Image

from inkontext import Pipeline
from inkontext.weights.embedded import SHIPPED
from inkontext.weights.source import resolve

FOLDER = SHIPPED / "tiny"
PICTURE = Path(__file__).parents[2] / "examples/friends.png"
LIMIT = 45 * 10**6


@pytest.mark.parametrize("prompt", ["the bunny should wear a purple scarf", "make it night"])
def test_diffusers_makes_the_same_picture(prompt: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = Pipeline.from_pretrained("tiny")
    side = ours.resolution
    photo = Image.open(PICTURE).convert("RGB").resize((side, side), Image.Resampling.LANCZOS)
    mine = ours.edit(photo, prompt, steps=8, seed=5).images[0]

    monkeypatch.setattr(pipeline_flux_kontext, "PREFERRED_KONTEXT_RESOLUTIONS", [(side, side)])
    theirs = FluxKontextPipeline.from_pretrained(FOLDER, torch_dtype=torch.float32)
    theirs.set_progress_bar_config(disable=True)
    other = theirs(
        image=photo, prompt=prompt, num_inference_steps=8, height=side, width=side, max_area=side * side,
        max_sequence_length=ours.text_length, guidance_scale=ours.sampling.guidance,
        generator=torch.Generator().manual_seed(5),
    ).images[0]  # fmt: skip
    assert np.abs(np.asarray(mine).astype(int) - np.asarray(other)).max() <= 1
    assert np.abs(np.asarray(mine).astype(int) - np.asarray(photo)).mean() > 0.5


def test_it_is_trained_small_and_has_a_card() -> None:
    card = resolve("tiny").card
    assert card is not None
    assert card.trained
    assert sum(f.stat().st_size for f in FOLDER.rglob("*") if f.is_file()) <= LIMIT
    text = (FOLDER / "README.md").read_text()
    for heading in ("Data", "Training", "Numbers", "Limits"):
        assert f"## {heading}" in text
