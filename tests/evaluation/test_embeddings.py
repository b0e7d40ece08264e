"""Cosines of small random networks, against the networks' own outputs."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image
from transformers import CLIPImageProcessor, CLIPModel, Dinov2Model

from inkontext.errors import OptionError
from inkontext.evaluation.kontextbench.data import Item
from inkontext.evaluation.kontextbench.metrics import metrics_named
from inkontext.weights.embedded import byte_clip_tokenizer


def item(instruction: str) -> Item:
    return Item("k", "style", instruction, "k.png", Path("k.png"), 0, 0)


def test_clip_against_its_own_logits(networks: tuple[Path, Path], photo: Image.Image) -> None:
    other = photo.rotate(90)
    images, texts = metrics_named(("clip_image", "clip_text"), clip=networks[0], device="cpu")
    assert images.available() is None and images.identity["weights"]
    model = CLIPModel.from_pretrained(networks[0])
    pixels = CLIPImageProcessor.from_pretrained(networks[0])(images=[photo, other], return_tensors="pt")["pixel_values"]
    tokens = byte_clip_tokenizer()("make it red", return_tensors="pt")
    with torch.no_grad():
        out = model(pixel_values=pixels, **tokens)
        expected = float(out.image_embeds[0] @ out.image_embeds[1])
        with_text = float(out.logits_per_text[0, 1] / model.logit_scale.exp())
    assert images.score(item("x"), photo, other).value == pytest.approx(expected, abs=1e-5)
    assert images.score(item("x"), photo, photo).value == pytest.approx(1, abs=1e-5)
    assert abs(expected) < 0.999
    score = texts.score(item("make it red"), photo, other)
    assert score.value == pytest.approx(with_text, abs=1e-5) and score.evidence == {"instruction_cut": False}
    assert texts.score(item("a very long instruction " * 9), photo, other).evidence == {"instruction_cut": True}


def test_dino_against_its_own_pooling(networks: tuple[Path, Path], photo: Image.Image) -> None:
    other = photo.rotate(90)
    (metric,) = metrics_named(("dino",), dino=networks[1], device="cpu")
    model = Dinov2Model.from_pretrained(networks[1])
    pixels = CLIPImageProcessor.from_pretrained(networks[1])(images=[photo, other], return_tensors="pt")["pixel_values"]
    with torch.no_grad():
        a, b = model(pixel_values=pixels).pooler_output
    expected = float(torch.cosine_similarity(a, b, dim=0))
    assert metric.score(item("x"), photo, other).value == pytest.approx(expected, abs=1e-5)
    assert metric.score(item("x"), photo, photo).value == pytest.approx(1, abs=1e-5) and abs(expected) < 0.999


def test_folders_without_such_a_model(networks: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"no folder .*--clip"):
        metrics_named(("clip_text",), clip=tmp_path / "none")
    with pytest.raises(OptionError, match="holds no AutoModel"):
        metrics_named(("dino",), dino=tmp_path)
    assert metrics_named(("shift",), clip=tmp_path / "none")  # not asked for, not opened
