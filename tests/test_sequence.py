"""Packing, positions and reference schemes."""

from __future__ import annotations

import pytest
import torch
from diffusers import FluxKontextPipeline
from hypothesis import given
from hypothesis import strategies as st

from inkontext.errors import OptionError
from inkontext.sequence import SCHEMES, grid_ids, image_ids, pack, reference_origins, text_ids, unpack


def test_golden_packing() -> None:
    tokens = pack(torch.arange(48.0).reshape(1, 2, 4, 6))
    assert tokens.shape == (1, 6, 8)
    assert tokens[0, 0].tolist() == [0, 1, 6, 7, 24, 25, 30, 31]
    assert tokens[0, 4].tolist() == [14, 15, 20, 21, 38, 39, 44, 45]


@given(rows=st.integers(1, 9), columns=st.integers(1, 9), batch=st.integers(1, 3))
def test_unpack_is_the_inverse(rows: int, columns: int, batch: int) -> None:
    z = torch.randn(batch, 16, 2 * rows, 2 * columns)
    assert torch.equal(unpack(pack(z), (rows, columns)), z)


def test_packing_and_ids_equal_diffusers() -> None:
    z = torch.randn(2, 16, 6, 8)
    assert torch.equal(pack(z), FluxKontextPipeline._pack_latents(z, 2, 16, 6, 8))
    ids = FluxKontextPipeline._prepare_latent_image_ids(1, 3, 4, torch.device("cpu"), torch.float32)
    assert torch.equal(grid_ids((3, 4)), ids)
    ids[..., 0] = 1
    assert torch.equal(image_ids((5, 2), [(3, 4)])[10:], ids)


def test_no_reference_leaves_nothing_in_the_sequence() -> None:
    assert torch.equal(image_ids((2, 3)), grid_ids((2, 3)))
    assert torch.equal(text_ids(4), torch.zeros(4, 3))


@pytest.mark.parametrize(("scheme", "times"), [("index", [1, 2, 3]), ("far", [10, 20, 30]), ("offset", [1, 1, 1])])
def test_times_of_the_schemes(scheme: str, times: list[int]) -> None:
    assert [origin[0] for origin in reference_origins([(2, 2), (3, 2), (2, 4)], scheme)] == times


def test_offset_lays_references_without_overlap() -> None:
    """ComfyUI's rule by hand: 4x6 at the origin, 4x6 below it (8 <= 12), then 8x8 to the right (16 > 14)."""
    assert reference_origins([(4, 6), (4, 6), (8, 8)], "offset") == [(1, 0, 0), (1, 4, 0), (1, 0, 6)]


@given(st.lists(st.tuples(st.integers(1, 8), st.integers(1, 8)), max_size=5), st.sampled_from(SCHEMES[:3]))
def test_positions_never_collide(grids: list[tuple[int, int]], scheme: str) -> None:
    ids = image_ids((4, 5), grids, scheme)
    assert ids.dtype == torch.float32
    assert len(ids) == 20 + sum(r * c for r, c in grids) == len(torch.unique(ids, dim=0))


def test_stitch_takes_one_picture() -> None:
    assert reference_origins([(4, 9)], "stitch") == [(1, 0, 0)]
    with pytest.raises(OptionError, match="paste"):
        reference_origins([(4, 9), (4, 9)], "stitch")
    with pytest.raises(OptionError, match="unknown reference scheme"):
        reference_origins([(4, 9)], "diagonal")
