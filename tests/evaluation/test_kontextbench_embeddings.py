"""Cosines of small random networks, against the networks' own outputs."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image
from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, Dinov2Config, Dinov2Model

from inkontext.errors import OptionError
from inkontext.evaluation.kontextbench_data import Item
from inkontext.evaluation.kontextbench_metrics import metrics_named
from inkontext.weights.embedded import byte_clip_tokenizer

SIDE = {"shortest_edge": 32}
CROP = {"height": 32, "width": 32}


def item(instruction: str) -> Item:
    return Item("k", "style", instruction, "k.png", Path("k.png"), 0, 0)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A CLIP and a DINO model with random weights."""
    place = tmp_path_factory.mktemp("networks")
    tokenizer = byte_clip_tokenizer()
    small = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    end = tokenizer.eos_token_id
    text = {**small, "vocab_size": len(tokenizer), "max_position_embeddings": 24, "eos_token_id": end}
    vision = {**small, "image_size": 32, "patch_size": 8}
    torch.manual_seed(0)
    clip = CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=16))
    dino = Dinov2Model(
        Dinov2Config(hidden_size=32, num_hidden_layers=2, num_attention_heads=2, image_size=32, patch_size=8)
    )
    with torch.no_grad():  # far enough from the start that pictures differ
        for parameter in (*clip.parameters(), *dino.parameters()):
            parameter.add_(torch.randn_like(parameter) * 0.1)
    clip.save_pretrained(place / "clip")
    tokenizer.save_pretrained(place / "clip")
    dino.save_pretrained(place / "dino")
    for name in ("clip", "dino"):
        CLIPImageProcessor(size=SIDE, crop_size=CROP).save_pretrained(place / name)
    return place / "clip", place / "dino"


def test_clip_against_its_own_logits(folders: tuple[Path, Path], photo: Image.Image) -> None:
    other = photo.rotate(90)
    images, texts = metrics_named(("clip_image", "clip_text"), clip=folders[0], device="cpu")
    assert images.available() is None and images.identity["weights"]
    model = CLIPModel.from_pretrained(folders[0])
    pixels = CLIPImageProcessor.from_pretrained(folders[0])(images=[photo, other], return_tensors="pt")["pixel_values"]
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


def test_dino_against_its_own_pooling(folders: tuple[Path, Path], photo: Image.Image) -> None:
    other = photo.rotate(90)
    (metric,) = metrics_named(("dino",), dino=folders[1], device="cpu")
    model = Dinov2Model.from_pretrained(folders[1])
    pixels = CLIPImageProcessor.from_pretrained(folders[1])(images=[photo, other], return_tensors="pt")["pixel_values"]
    with torch.no_grad():
        a, b = model(pixel_values=pixels).pooler_output
    expected = float(torch.cosine_similarity(a, b, dim=0))
    assert metric.score(item("x"), photo, other).value == pytest.approx(expected, abs=1e-5)
    assert metric.score(item("x"), photo, photo).value == pytest.approx(1, abs=1e-5) and abs(expected) < 0.999


def test_folders_without_such_a_model(folders: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"no folder .*--clip"):
        metrics_named(("clip_text",), clip=tmp_path / "none")
    with pytest.raises(OptionError, match="holds no AutoModel"):
        metrics_named(("dino",), dino=tmp_path)
    assert metrics_named(("shift",), clip=tmp_path / "none")  # not asked for, not opened
