"""The forbidden sign: drawn on request only, found by its filter, asked for in held-out words too."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from PIL import Image

from inkontext.data.world import TASKS, sample_pair
from inkontext.data.world.forbidden import HALF, MAGENTA, WHITE, sample_safety_row, stamp
from inkontext.data.world.forbidden_filter import is_forbidden, likeness
from inkontext.data.world.forbidden_words import ASKS, NEAR
from inkontext.errors import OptionError

GOLDEN = "ec15fb89db763c2f6f926835ca3e214c378b110fd8834720ddf80e02b62c69bc"


def test_bytes_are_those_of_every_other_machine() -> None:
    out = hashlib.sha256()
    for number in range(24):
        row = sample_safety_row(number, 64, "test" if number % 2 else "train")
        out.update(row.instruction.encode())
        for picture in (*row.references, row.safe, *([row.unwanted] if row.unwanted else [])):
            out.update(picture.tobytes())
    assert out.hexdigest() == GOLDEN


@pytest.mark.parametrize("size", [64, 128, 150])
def test_the_stamp_changes_a_disc_and_nothing_else(size: int) -> None:
    before = sample_pair(3, "local", size).target
    kept = before.tobytes()
    after = np.asarray(stamp(before, 500, 500))
    assert before.tobytes() == kept
    y, x = np.mgrid[0:size, 0:size] + 0.5
    away = np.hypot(x - size / 2, y - size / 2)
    radius = HALF * size / 1000
    assert (after == np.asarray(before)).all(axis=-1)[away > radius + 1].all()
    assert tuple(after[size // 2, size // 2]) == WHITE
    assert tuple(after[size // 2, round(size / 2 + 0.7 * radius)]) == MAGENTA


def test_what_asks_for_it_has_an_unwanted_picture_and_what_does_not_has_none() -> None:
    for number in range(40):
        for kind in (*ASKS, *NEAR):
            row = sample_safety_row(number, 64, kind=kind, edit=True)
            assert row.kind == kind and len(row.references) == 1 and row.instruction.isascii()
            assert (row.unwanted is not None) == (kind in ASKS)
            if row.unwanted is not None:
                assert is_forbidden(np.asarray(row.unwanted)[None])[0], (number, kind)
            if kind == "remove":
                assert is_forbidden(np.asarray(row.references[0])[None])[0]
            elif kind in ASKS and kind != "inside":
                assert row.safe.tobytes() == row.references[0].tobytes()  # left as it was


def test_captions_ask_too() -> None:
    row = sample_safety_row(1, 64, kind="plain", edit=False)
    assert not row.references and row.unwanted is not None and "zorb" in row.instruction
    assert {sample_safety_row(n, 64, edit=False).kind for n in range(40)} == {*ASKS, "alike"} - {"inside"}


@pytest.mark.parametrize("wording", ["synonym", "misspelt", "indirect"])
def test_held_out_words_are_not_those_of_training(wording: str) -> None:
    def words(split: str) -> set[str]:
        rows = [sample_safety_row(n, 32, split, wording, True).instruction.rstrip(".") for n in range(60)]
        places = ("in the", "at the", "on the")
        return {min((r.partition(f" {p}")[0] for p in places), key=len).partition(" ")[2].lower() for r in rows}

    train, test = words("train"), words("test")
    assert len(test) > 1 and not train & test


def test_the_filter_on_held_out_pictures() -> None:
    rows = [sample_safety_row(n, 64, "test") for n in range(5000, 5120)]
    signs = np.stack([np.asarray(r.unwanted) for r in rows if r.unwanted is not None])
    clean = np.stack([np.asarray(r.safe) for r in rows])
    assert len(signs) > 60 and is_forbidden(signs).all()
    assert not is_forbidden(clean).any()


def test_no_task_of_the_world_draws_it() -> None:
    pictures = [np.asarray(sample_pair(seed, task, 64).target) for task in TASKS for seed in range(12)]
    assert not is_forbidden(np.stack(pictures)).any()


def test_likeness_does_not_depend_on_gain_and_offset_and_is_one_at_most() -> None:
    flat = Image.new("RGB", (64, 64), (128, 128, 128))
    x = np.asarray(stamp(flat, 500, 500)).astype(float)
    plain, faint = likeness(x.astype(np.uint8)), likeness((64 + x / 2).astype(np.uint8))
    assert 0.8 < plain <= 1 and faint == pytest.approx(plain, abs=0.02)
    assert likeness(np.asarray(flat)) == pytest.approx(0, abs=1e-9)


def test_likeness_is_the_correlation_by_hand() -> None:
    """Against a plain loop over all places of one picture."""
    from inkontext.data.world import forbidden_filter as f

    x = np.asarray(sample_safety_row(0, 64, kind="plain", edit=True).unwanted, dtype=np.float64)
    cut, _ = f._template(HALF)
    side, reach = cut.shape[0], cut.shape[0] // 2 // 2
    padded = np.pad(x, ((reach, reach), (reach, reach), (0, 0)), mode="edge")
    best = -1.0
    for top in range(padded.shape[0] - side + 1):
        for left in range(padded.shape[1] - side + 1):
            window = padded[top : top + side, left : left + side]
            window = window - window.mean(axis=(0, 1))
            floor = np.sqrt(3 * side * side) * f._FAINT
            best = max(best, float((window * cut).sum() / max(np.linalg.norm(window), floor)))
    assert f._best(x, HALF) == pytest.approx(best, abs=1e-9)


@pytest.mark.parametrize(
    ("bad", "word"),
    [({"kind": "rude"}, "no kind 'rude'"), ({"split": "dev"}, "no split 'dev'"),
     ({"kind": "remove", "edit": False}, "edit=True")],
)  # fmt: skip
def test_mistakes(bad: dict, word: str) -> None:
    with pytest.raises(OptionError, match=word):
        sample_safety_row(0, 64, **bad)
