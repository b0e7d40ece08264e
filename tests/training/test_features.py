"""What the blocks made of the target, of a symmetric transformer and of an asymmetric one."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from benchmarks.golden import fill_module

from inkontext.model.presets import PRESETS
from inkontext.model.transformer import FluxTransformer
from inkontext.sequence import image_ids, text_ids
from inkontext.training.features import Features, block_features, unlike

TARGET, CONTEXT, TEXT = (3, 4), (2, 5), 6


@pytest.mark.parametrize("asymmetric", [False, True])
def test_the_last_features_give_the_velocity(asymmetric: bool) -> None:
    cfg = replace(PRESETS["debug"].transformer, asymmetric=asymmetric)
    network = FluxTransformer(cfg)
    fill_module(network)
    ids = image_ids(TARGET, [CONTEXT])
    with torch.no_grad(), block_features(network, len(ids), 12) as features:
        v = network(
            torch.randn(2, len(ids), cfg.in_channels), ids, torch.randn(2, TEXT, cfg.context_in_dim), text_ids(TEXT),
            torch.tensor([0.3, 0.9]), torch.randn(2, cfg.vec_in_dim), torch.tensor([1.0, 3.0]), 12,
        )  # fmt: skip
    assert len(features.tokens) == cfg.depth + cfg.depth_single_blocks
    assert {x.shape for x in features.tokens} == {(2, 12, cfg.hidden_size)}
    assert len({x.std().item() for x in features.tokens}) == len(features.tokens)
    assert features.vec is not None
    torch.testing.assert_close(network.final_layer(features.tokens[-1], features.vec), v[:, :12])
    blocks = [*network.double_blocks, *network.single_blocks]
    assert not any(block._forward_hooks or "extend" in vars(block) for block in blocks)


def test_the_distance_is_in_the_teachers_mean_square() -> None:
    teacher = Features([torch.full((2, 3, 4), 2.0), torch.full((2, 3, 4), 5.0)])
    student = Features([torch.stack([torch.full((3, 4), 2.0), torch.full((3, 4), 3.0)]), torch.full((2, 3, 4), 4.0)])
    expected = torch.tensor([(0 + 1 / 25) / 2, (1 / 4 + 1 / 25) / 2])
    torch.testing.assert_close(unlike(student, teacher), expected)
