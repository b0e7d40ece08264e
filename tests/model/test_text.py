"""The towers against transformers' own calls, the way the reference pipelines make them."""

from __future__ import annotations

import pytest
import torch
from transformers import CLIPTextModel, T5EncoderModel

from inkontext.errors import PromptError
from inkontext.pipeline import Pipeline


def test_encoding_is_unmasked_and_padded(pipeline: Pipeline) -> None:
    folder, towers = pipeline.folder, pipeline.towers
    t5 = T5EncoderModel.from_pretrained(folder / "text_encoder_2")
    clip = CLIPTextModel.from_pretrained(folder / "text_encoder")
    ids = torch.zeros(1, 64, dtype=torch.long)
    body = torch.tensor([b + 3 for b in b"make it red"] + [1])
    ids[0, : len(body)] = body
    with torch.no_grad():
        txt = t5(ids).last_hidden_state
        clip_ids = towers.clip_tokenizer(
            "make it red", padding="max_length", max_length=77, return_tensors="pt"
        ).input_ids
        vec = clip(clip_ids).pooler_output
    ours = towers.encode("make it red")
    assert torch.equal(ours.txt, txt)
    assert torch.equal(ours.vec, vec)


def test_the_empty_prompt_is_padding_not_zeros(pipeline: Pipeline) -> None:
    ours = pipeline.towers.encode("")
    assert ours.txt.shape == (1, 64, 48)
    assert ours.txt.abs().min(dim=-1).values.max() > 0


def test_too_long_a_prompt_says_by_how_much(pipeline: Pipeline) -> None:
    pipeline.towers.check("a" * 63)
    with pytest.raises(PromptError, match=r"has 129 tokens and this model reads 64; shorten it by about 51 %"):
        pipeline.towers.encode("a" * 128)
