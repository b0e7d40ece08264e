"""The context cache: what it keeps is exact, counted to the byte, bounded, and serves pictures, seeds and turns."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor

from inkontext.errors import NonFiniteError, OptionError
from inkontext.model.text import TextEncoding
from inkontext.pipeline import Pipeline
from inkontext.runtime.context_cache import FP8, ContextCache
from inkontext.sequence import grid_ids
from inkontext.session import Session


def counts(pipeline: Pipeline) -> tuple[Counter[str], Counter[str]]:
    assert pipeline.context_cache is not None
    return pipeline.context_cache.used, pipeline.context_cache.computed


def question(pipeline: Pipeline, seed: int, tokens: int = 8) -> tuple[Tensor, Tensor, TextEncoding]:
    """Context, its positions and text, random by the seed."""
    cfg, generator = pipeline.transformer.cfg, torch.Generator().manual_seed(seed)
    context = torch.randn(1, tokens, cfg.in_channels, generator=generator)
    text = TextEncoding(
        torch.randn(1, 5, cfg.context_in_dim, generator=generator), torch.randn(1, cfg.vec_in_dim, generator=generator)
    )
    return context, grid_ids((2, tokens // 2), t=1), text


def held(cache: ContextCache) -> int:
    """Bytes of the memory behind what is kept, so that a view of something larger would show."""
    return sum(t.untyped_storage().nbytes() for t in cache.tensors)


def test_a_symmetric_model_has_none(pipeline: Pipeline) -> None:
    assert pipeline.context_cache is None


def test_seeds_share_pictures_and_prompt(fast: Pipeline, photo: Image.Image) -> None:
    fast.edit(photo, "make it blue", references=[photo.rotate(90)], count=3, steps=2)
    assert counts(fast) == (Counter(context=3, text=3), Counter(context=1, text=1))
    fast.edit(photo, "make it red", references=[photo.rotate(90)], steps=2)
    assert counts(fast) == (Counter(context=4, text=4), Counter(context=1, text=2))
    fast.edit(photo, "make it red", steps=2)
    assert counts(fast)[1] == Counter(context=2, text=3)
    fast.generate("a cat", steps=2, size=(64, 64))
    assert counts(fast)[1] == Counter(context=2, text=4)


def test_true_cfg_reads_the_picture_once(fast: Pipeline, photo: Image.Image) -> None:
    fast.edit(photo, "make it blue", negative="red", true_cfg=2.0, steps=2)
    assert counts(fast)[1] == Counter(context=1, text=2)


def test_turns_on_the_same_picture(fast: Pipeline, photo: Image.Image, tmp_path: Path) -> None:
    with Session.new(tmp_path / "s", photo, fast) as session:
        session.edit("make it blue", steps=2)
        session.undo()
        session.edit("make it red", steps=2)
        assert counts(fast)[1] == Counter(context=1, text=2)
        session.undo()
        session.edit("make it red", steps=2, seed=9)
        assert counts(fast)[1] == Counter(context=1, text=2)


@pytest.mark.parametrize("dtype", [None, FP8])
def test_a_hit_gives_the_same_bytes_as_a_miss(
    dtype: torch.dtype | None, fast: Pipeline, photo: Image.Image
) -> None:  # fmt: skip
    made = []
    for limit in (2**30, 0):  # the second keeps nothing
        fast.context_cache = ContextCache(limit, dtype, "cpu")
        made += [fast.edit(photo, "make it blue", seed=4, steps=2) for _ in range(2)]
    assert all(torch.equal(m.latents[0], made[0].latents[0]) for m in made)
    assert made[0].records[0].get("context_cache") == (None if dtype is None else "float8_e4m3fn")


def test_the_pipeline_gives_what_the_whole_network_gives(fast: Pipeline, photo: Image.Image) -> None:
    """One step of Euler from pure noise, against the network's own forward on everything."""
    from inkontext.numerics import EXACT
    from inkontext.velocity import Velocity

    context, text = fast.encode(photo)[0], fast.towers.encode("make it blue")
    velocity = Velocity(fast.transformer, EXACT, text, [context], (2, 3), "index", 2.5, cache=fast.context_cache)
    z = torch.randn(1, 6, 64, generator=torch.Generator().manual_seed(0))
    expected = fast.transformer(
        torch.cat([z, *velocity.tokens], dim=1), velocity.img_ids, text.txt, torch.zeros(text.txt.shape[1], 3),
        torch.tensor([0.7]), text.vec, torch.tensor([2.5]), target=6,
    )  # fmt: skip
    torch.testing.assert_close(velocity(z, 0.7), expected, atol=1e-6, rtol=1e-5)


def test_fp8_is_near_and_a_quarter_of_the_bytes(fast: Pipeline) -> None:
    plain, small = ContextCache(), ContextCache(dtype=FP8)
    for ours, exact in zip(
        *(c.prefixes(fast.transformer, "m", *question(fast, 0)) for c in (small, plain)), strict=True
    ):
        for a, b in zip(ours, exact, strict=True):
            assert (a.key - b.key).abs().max() <= b.key.abs().max() / 16
            assert (a.value - b.value).norm() <= 0.04 * b.value.norm()
    assert small.nbytes < 0.3 * plain.nbytes


def test_bytes_are_counted_at_every_moment(fast: Pipeline) -> None:
    one = ContextCache()
    one.prefixes(fast.transformer, "m", *question(fast, 0))
    dice = random.Random(0)
    for dtype in (None, FP8):
        cache = ContextCache(limit=3 * one.nbytes, dtype=dtype)
        for _ in range(40):
            cache.prefixes(fast.transformer, "m", *question(fast, dice.randrange(12), dice.choice([4, 8, 16])))
            assert cache.nbytes == sum(t.nbytes for t in cache.tensors) == held(cache)
            assert 0 < cache.nbytes <= cache.limit
        cache.clear()
        assert cache.nbytes == 0 == len(cache.tensors)


def test_the_least_recently_used_goes_first(fast: Pipeline) -> None:
    probe = ContextCache()
    probe.prefixes(fast.transformer, "m", *question(fast, 0))
    cache = ContextCache(limit=2 * probe.nbytes)
    for seed in (0, 1, 0, 2, 0):
        cache.prefixes(fast.transformer, "m", *question(fast, seed))
    assert cache.computed["context"] == 3
    cache.prefixes(fast.transformer, "m", *question(fast, 1))
    assert cache.computed["context"] == 4


def test_everything_it_depends_on_is_in_the_key(fast: Pipeline) -> None:
    cache = ContextCache()
    context, ids, text = question(fast, 0)
    cache.prefixes(fast.transformer, "m", context, ids, text)
    cache.prefixes(fast.transformer, "other weights", context, ids, text)
    cache.prefixes(fast.transformer, "m", context + 1e-6, ids, text)
    cache.prefixes(fast.transformer, "m", context, ids + 1, text)
    assert cache.computed == Counter(context=4, text=4)
    cache.prefixes(fast.transformer, "m", context, ids, TextEncoding(text.txt, text.vec + 1))
    assert cache.computed == Counter(context=4, text=5)


@pytest.mark.parametrize(("options", "words"), [({"limit": -1}, "0 or more"), ({"dtype": torch.int8}, "float8_e4m3fn")])
def test_impossible_options(options: dict, words: str) -> None:
    with pytest.raises(OptionError, match=words):
        ContextCache(**options)


def test_what_is_not_finite_is_named(fast: Pipeline, photo: Image.Image) -> None:
    fast.transformer.txt_in.bias.data[0] = torch.nan
    with pytest.raises(NonFiniteError, match=r"transformer\.txt_in"):
        fast.edit(photo, "make it blue", steps=1)
