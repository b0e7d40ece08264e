"""The rotation itself: interleaved pairs, relative positions, precision."""

from __future__ import annotations

import torch

from inkontext.model.rope import rope_table, rotate


def test_position_zero_is_the_identity() -> None:
    x = torch.randn(2, 3, 5, 16)
    assert torch.equal(rotate(x, rope_table(torch.zeros(5, 3), (4, 6, 6), 10_000)), x)


def test_pairs_are_interleaved_and_turned_anticlockwise() -> None:
    pe = rope_table(torch.tensor([[torch.pi / 2]]), (2,), 10_000)
    x = torch.tensor([1.0, 0.0]).reshape(1, 1, 1, 2)
    torch.testing.assert_close(rotate(x, pe).flatten(), torch.tensor([0.0, 1.0]), atol=1e-6, rtol=0)


def test_scores_depend_on_relative_position_only() -> None:
    torch.manual_seed(0)
    q, k = torch.randn(2, 1, 1, 1, 16)

    def score(a: list[float], b: list[float]) -> torch.Tensor:
        first, second = (rotate(x, rope_table(torch.tensor([ids]), (4, 6, 6), 10_000)) for x, ids in ((q, a), (k, b)))
        return (first * second).sum()

    torch.testing.assert_close(score([1, 5, 7], [0, 2, 9]), score([4, 25, 107], [3, 22, 109]), atol=1e-5, rtol=1e-5)


def test_large_positions_keep_float32_precision() -> None:
    cos, _ = rope_table(torch.tensor([[0.0, 4095.0, 0.0]]), (16, 56, 56), 10_000)
    exact = torch.cos(4095.0 * 10_000 ** -(torch.arange(0, 56, 2, dtype=torch.float64) / 56))
    torch.testing.assert_close(cos[0, 8:36].double(), exact, atol=1e-7, rtol=0)


def test_rotation_keeps_the_dtype() -> None:
    x = torch.randn(1, 1, 4, 16, dtype=torch.bfloat16)
    assert rotate(x, rope_table(torch.ones(4, 3), (4, 6, 6), 10_000)).dtype == torch.bfloat16
