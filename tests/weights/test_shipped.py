"""The models in the package: other software loads its folder as it is and makes the same picture."""

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

FOLDER, FAST = SHIPPED / "tiny", SHIPPED / "tiny-fast"
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


@pytest.mark.parametrize("name", ["tiny", "tiny-fast"])
def test_it_is_trained_and_has_a_card(name: str) -> None:
    card = resolve(name).card
    assert card is not None and card.trained and card.name == name
    text = (SHIPPED / name / "README.md").read_text()
    for heading in ("Data", "Training", "Numbers", "Limits"):
        assert f"## {heading}" in text


def test_tiny_fast_is_a_transformer_over_the_parts_of_tiny(photo: Image.Image) -> None:
    fast, tiny = resolve("tiny-fast"), resolve("tiny")
    assert fast.card is not None and fast.card.trained and fast.card.transformer.asymmetric
    assert (fast.name, fast.autoencoder, fast.text) == ("tiny-fast", tiny.autoencoder, tiny.text)
    assert resolve("tiny-fast", text=Path("mine")).text == Path("mine")
    folders = {f.parent.name for f in FAST.rglob("*.safetensors")}
    assert folders == {"transformer"}
    pipeline = Pipeline.from_pretrained("tiny-fast")
    result = pipeline.edit(photo, "make it night", seed=3, count=2)
    assert result.metadata["steps"] == 4
    assert pipeline.context_cache is not None
    assert pipeline.context_cache.computed == {"context": 1, "text": 1}


def test_both_are_small() -> None:
    assert sum(f.stat().st_size for folder in (FOLDER, FAST) for f in folder.rglob("*") if f.is_file()) <= LIMIT
