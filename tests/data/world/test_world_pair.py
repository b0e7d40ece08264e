"""Pairs: the same bytes for the same seed, confined edits, every kind reachable, clear refusals."""

from __future__ import annotations

import hashlib
import pickle
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from inkontext.data.world import TASKS, Base, Pair, sample_pair
from inkontext.data.world.render import render
from inkontext.data.world.scene import box_of, inside
from inkontext.data.world.templates import TRAIN
from inkontext.errors import OptionError

WHOLE = ("global", "character", "style", "t2i")
CONFINED = ("local", "text", "cue")
GOLDEN = {
    64: "b8e82b573f25c4c33f9a4f1034c0602c6b59604c6dbde06a851e31d1f6a9aa37",
    128: "c4775d360c96e3fa3f731a74c39e4b7fd3d3651d2716b7c3a615d2d1dfecea47",
}


def digest(size: int) -> str:
    """One checksum over two pairs of every task."""
    out = hashlib.sha256()
    for task in TASKS:
        for seed in (0, 41):
            pair = sample_pair(seed, task, size)
            out.update(pair.instruction.encode())
            for picture in (*pair.references, pair.target, pair.mask):
                out.update(picture.tobytes())
    return out.hexdigest()


@pytest.mark.parametrize("size", GOLDEN)
def test_bytes_are_those_of_every_other_machine(size: int) -> None:
    assert digest(size) == GOLDEN[size]


def test_another_process_draws_the_same() -> None:
    code = (
        "import hashlib; from inkontext.data.world import sample_pair\n"
        "p = [sample_pair(s, None, 64) for s in range(12)]\n"
        "print(hashlib.sha256(b''.join(x.target.tobytes() + x.instruction.encode() for x in p)).hexdigest())"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    pairs = [sample_pair(seed, None, 64) for seed in range(12)]
    mine = hashlib.sha256(b"".join(p.target.tobytes() + p.instruction.encode() for p in pairs))
    assert told == mine.hexdigest()


def changed_outside(pair: Pair) -> int:
    """Pixels outside the mask in which target and reference differ."""
    before, after = np.asarray(pair.references[pair.base]), np.asarray(pair.target)
    return int(((before != after).any(axis=-1) & (np.asarray(pair.mask) == 0)).sum())


@pytest.mark.parametrize("task", CONFINED)
def test_nothing_changes_outside_the_mask(task: str) -> None:
    for seed in range(200):
        assert changed_outside(sample_pair(seed, task, 64)) == 0, seed


@pytest.mark.parametrize("task", CONFINED)
def test_the_mask_keeps_to_the_things_that_changed(task: str) -> None:
    """The mask is made from pixels; here it is held against the scene graph."""
    size, margin = 64, 130  # thousandths: what a style pass and the mask's own rim may reach
    for seed in range(120):
        pair = sample_pair(seed, task, size)
        before, after = pair.scene_before, pair.scene_after
        assert before is not None
        moved = set(before.things) ^ set(after.things)
        boxes = [box_of(t) for t in moved] + [c.box for c in before.cues]
        allowed = np.zeros((size, size), dtype=bool)
        for x0, y0, x1, y1 in boxes:
            x0, x1, y0, y1 = min(x0, x1), max(x0, x1), min(y0, y1), max(y0, y1)
            low = [max(0, (v - margin) * size // 1000) for v in (y0, x0)]
            allowed[low[0] : (y1 + margin) * size // 1000 + 1, low[1] : (x1 + margin) * size // 1000 + 1] = True
        assert not (np.asarray(pair.mask) > 0)[~allowed].any(), (seed, pair.edit)


@pytest.mark.parametrize("task", TASKS)
def test_a_pair_is_whole(task: str) -> None:
    for seed in range(40):
        pair = sample_pair(seed, task, 64)
        assert pair.task == task
        assert pair.target.mode == "RGB"
        assert pair.mask.mode == "L"
        assert all(p.size == pair.target.size == pair.mask.size == (64, 64) for p in pair.references)
        assert len(pair.references) == {"t2i": 0, "multi": len(pair.references)}.get(task, 1)
        assert task != "multi" or len(pair.references) in (2, 3)
        assert pair.instruction.isascii()
        assert len(pair.instruction.split()) >= 2
        assert "{" not in pair.instruction
        assert "[" not in pair.instruction
        white = np.asarray(pair.mask) == 255
        assert white.all() if task in WHOLE else white.any()


def test_references_and_target_are_renderings_of_the_truth() -> None:
    for seed in range(30):
        pair = sample_pair(seed, None, 64)
        assert render(pair.scene_after, 64).tobytes() == pair.target.tobytes()
        for scene, picture in zip(pair.reference_scenes, pair.references, strict=True):
            assert render(scene, 64).tobytes() == picture.tobytes()


def test_every_kind_of_edit_is_reached() -> None:
    seen: set[str] = set()
    for task, count in (("local", 700), ("text", 150), ("global", 700), ("multi", 300), ("cue", 10)):
        seen |= {sample_pair(seed, task, 32).edit.kind for seed in range(count)}
    seen |= {sample_pair(0, task, 32).edit.kind for task in ("character", "style", "t2i")}
    assert seen == set(TRAIN)


def test_every_task_is_drawn_without_naming_one() -> None:
    pairs = [sample_pair(seed, None, 32) for seed in range(120)]
    assert {p.task for p in pairs} == set(TASKS)
    for pair in pairs[:20]:
        assert sample_pair(pair.seed, pair.task, 32).target.tobytes() == pair.target.tobytes()


def test_a_pair_travels_between_processes() -> None:
    pair = sample_pair(9, "multi", 32)
    copy = pickle.loads(pickle.dumps(pair))
    assert copy.scene_after == pair.scene_after
    assert copy.target.tobytes() == pair.target.tobytes()


def test_a_cue_is_on_the_reference_and_gone_from_the_target() -> None:
    for seed in range(40):
        pair = sample_pair(seed, "cue", 64)
        assert pair.scene_before is not None
        assert pair.scene_before.cues
        assert not pair.scene_after.cues


def test_things_stay_on_the_canvas() -> None:
    for seed in range(150):
        pair = sample_pair(seed, None, 32)
        for scene in (*pair.reference_scenes, pair.scene_after):
            assert all(inside(box_of(thing), 0) for thing in scene.things), (seed, pair.edit)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**63), size=st.integers(32, 150), task=st.sampled_from(TASKS))
def test_any_seed_and_size_work(seed: int, size: int, task: str) -> None:
    assert sample_pair(seed, task, size).target.size == (size, size)


def test_a_base_scene_is_shared_by_its_edits() -> None:
    base = Base("sign", 5)
    pairs = [
        sample_pair(seed, task, 64, "test", None, base) for seed in range(3) for task in ("local", "text", "global")
    ]
    assert len({p.references[0].tobytes() for p in pairs}) == 1
    assert len({p.target.tobytes() for p in pairs}) > 3


@pytest.mark.parametrize(
    ("bad", "word"),
    [
        ({"seed": -1}, "seed"),
        ({"task": "paint"}, "local"),
        ({"size": 8}, "32"),
        ({"split": "dev"}, "train"),
        ({"base": Base("party", 1)}, "objects"),
    ],
)
def test_a_mistake_is_told_in_one_sentence(bad: dict, word: str) -> None:
    with pytest.raises(OptionError, match=word) as caught:
        sample_pair(**{"seed": 1, "size": 64, **bad})
    assert str(caught.value).count(". ") == 0
    assert str(caught.value).endswith(".")


def test_pictures_are_not_shared_between_pairs() -> None:
    """Drawing into one pair's pictures leaves caches and later pairs alone."""
    first = sample_pair(3, "local", 64)
    kept = first.references[0].tobytes()
    first.references[0].paste((0, 0, 0), (0, 0, 64, 64))
    first.target.paste((0, 0, 0), (0, 0, 64, 64))
    assert sample_pair(3, "local", 64).references[0].tobytes() == kept
    whole = sample_pair(3, "global", 64)
    whole.mask.paste(0, (0, 0, 64, 64))
    assert np.asarray(sample_pair(4, "global", 64).mask).min() == 255
    assert isinstance(whole.target, Image.Image)
