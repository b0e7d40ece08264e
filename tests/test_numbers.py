"""Numbers of NumPy and PyTorch in every place that takes one: the same picture, and a record that JSON can hold."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from inkontext.best_of import read_best_of
from inkontext.cues import Cue
from inkontext.errors import InKontextError, OptionError
from inkontext.numbers import as_real, as_whole
from inkontext.pipeline import Pipeline
from inkontext.safety.provenance import read_metadata
from inkontext.session import Session, read_manifest
from tests.session.painter import painter, start

WHOLE = {
    **{kind.__name__: kind for kind in (np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint32, np.uint64)},
    "array": np.array, "tensor": torch.tensor, "int16 tensor": lambda n: torch.tensor(n, dtype=torch.int16),
}  # fmt: skip
REAL = {
    **{kind.__name__: kind for kind in (np.float16, np.float32, np.float64, np.longdouble, np.int64)},
    "array": np.array, "tensor": torch.tensor, "bfloat16": lambda n: torch.tensor(n, dtype=torch.bfloat16),
}  # fmt: skip
WHOLES: dict[str, Any] = {"steps": 1, "seed": 5, "count": 2, "resolution": 64, "context_resolution": 32}
REALS: dict[str, Any] = {"guidance": 2.0, "true_cfg": 2.0}
NO_NUMBERS = (True, np.True_, torch.tensor(True), "2", 1j, [2, 2], np.array([2, 2]))


def _given(given: dict[str, Any]) -> dict[str, Any]:
    return {"steps": 1} | given


def _edit(pipeline: Pipeline, photo: Image.Image, folder: Path, **given: Any) -> tuple[bytes, dict[str, Any] | None]:
    result = pipeline.edit(photo, "redder", **_given(given))
    path = result.save(folder / "picture.png")[0]
    return result.images[-1].tobytes(), read_metadata(path)


@pytest.mark.parametrize("kind", WHOLE)
@pytest.mark.parametrize("name", WHOLES)
def test_whole_numbers_of_an_edit(
    pipeline: Pipeline, photo: Image.Image, tmp_path: Path, name: str, kind: str
) -> None:  # fmt: skip
    value = WHOLES[name]
    given = _edit(pipeline, photo, tmp_path, **{name: WHOLE[kind](value)})
    assert given == _edit(pipeline, photo, tmp_path, **{name: value})


@pytest.mark.parametrize("kind", REAL)
@pytest.mark.parametrize("name", REALS)
def test_real_numbers_of_an_edit(
    pipeline: Pipeline, photo: Image.Image, tmp_path: Path, name: str, kind: str
) -> None:  # fmt: skip
    value = int(REALS[name]) if kind == "int64" else REALS[name]
    given = _edit(pipeline, photo, tmp_path, **{name: REAL[kind](value)})
    assert given == _edit(pipeline, photo, tmp_path, **{name: REALS[name]})


@pytest.mark.parametrize("kind", REAL)
def test_a_strength_of_any_kind(pipeline: Pipeline, photo: Image.Image, tmp_path: Path, kind: str) -> None:
    mask, value = Image.new("L", photo.size, 255), 1 if kind == "int64" else 0.5
    given = _edit(pipeline, photo, tmp_path, mask=mask, steps=2, strength=REAL[kind](value))
    assert given == _edit(pipeline, photo, tmp_path, mask=mask, steps=2, strength=value)


@pytest.mark.parametrize("kind", WHOLE)
def test_sizes_positions_and_lists_of_seeds(
    pipeline: Pipeline, photo: Image.Image, tmp_path: Path, kind: str
) -> None:  # fmt: skip
    as_kind = WHOLE[kind]
    both = {"size": (48, 64), "position": 1, "seed": [3]}
    given = {"size": (as_kind(48), as_kind(64)), "position": as_kind(1), "seed": [as_kind(3)]}
    references = [photo.rotate(180)]
    assert _edit(pipeline, photo, tmp_path, references=references, **given) == _edit(
        pipeline, photo, tmp_path, references=references, **both
    )
    made = pipeline.generate("a cat", size=given["size"], steps=as_kind(1), seed=as_kind(2), count=as_kind(1))
    assert made.images[0].size == (48, 64)
    json.dumps(made.metadata)


@pytest.mark.parametrize("kind", [np.array, torch.tensor])
def test_seeds_and_sizes_in_an_array(pipeline: Pipeline, photo: Image.Image, kind: Any) -> None:
    several = pipeline.edit([photo, photo], "redder", steps=1, seed=kind([3, 4]), size=kind([48, 64]))
    assert [record["seed"] for record in several.records] == [3, 4]
    assert several.images[0].size == (48, 64)
    json.dumps(several.metadata)


@pytest.mark.parametrize("value", NO_NUMBERS, ids=repr)
@pytest.mark.parametrize("name", [*WHOLES, *REALS, "size", "strength", "position"])
def test_what_is_no_number_is_refused_by_name(
    pipeline: Pipeline, photo: Image.Image, name: str, value: Any
) -> None:  # fmt: skip
    more = {"mask": Image.new("L", photo.size, 255)} if name == "strength" else {}
    given = {name: (value, 64) if name == "size" else value}
    with pytest.raises(OptionError, match=name):
        pipeline.edit(photo, "redder", **_given(more | given))


@pytest.mark.parametrize("kind", WHOLE)
def test_a_session_keeps_pythons_own_numbers(tmp_path: Path, kind: str) -> None:
    as_kind, reference = WHOLE[kind], Image.new("RGB", (8, 8))
    with Session.new(tmp_path / "s", start(), painter()) as session:
        reals: dict[str, Any] = {"guidance": np.float32(1.5), "true_cfg": torch.tensor(2.0)}
        session.edit(
            "a", seed=as_kind(5), steps=as_kind(2), references=[reference], position=as_kind(1), **reals
        )  # fmt: skip
        session.edit("b", size=(as_kind(64), as_kind(48)), parent=as_kind(1))  # type: ignore[arg-type]
        session.merge(as_kind(2))  # type: ignore[arg-type]
        session.goto(as_kind(1))  # type: ignore[arg-type]
        assert session.picture(as_kind(1)).size == start().size  # type: ignore[arg-type]
    how = read_manifest(tmp_path / "s").turns[1].how
    assert how is not None
    assert (how.seed, how.steps, how.guidance, how.true_cfg, how.position) == (5, 2, 1.5, 2.0, 1)
    second = read_manifest(tmp_path / "s").turns[2].how
    assert second is not None
    assert second.size == "64x48"


@pytest.mark.parametrize("name", ["seed", "steps", "guidance", "true_cfg", "position", "strength"])
def test_a_session_takes_no_bool_for_a_number(tmp_path: Path, name: str) -> None:
    with Session.new(tmp_path / "s", start(), painter()) as session:
        with pytest.raises(OptionError, match=name):
            session.edit("a", mask=Image.new("L", start().size, 255), **{name: np.True_})  # type: ignore[arg-type]
        with pytest.raises(InKontextError, match="no turn True"):
            session.goto(True)
        assert len(session.manifest.turns) == 1


@pytest.mark.parametrize("kind", REAL)
def test_cues_and_candidates(kind: str) -> None:
    as_kind = REAL[kind]
    points = ((as_kind(0), as_kind(0)), (as_kind(1), as_kind(1)))
    width = None if kind == "int64" else as_kind(0.125)
    cue = Cue("box", points, width=width)
    assert json.loads(json.dumps(cue.as_dict()))["points"] == [[0, 0], [1, 1]]
    assert cue.width in (None, 0.125)
    best = read_best_of(None, WHOLE["tensor"](4), None)
    assert best is not None
    assert json.loads(json.dumps(best.identity))["candidates"] == 4


def test_kinds() -> None:
    assert [as_whole(v) for v in (2.0, np.float32(2), "2", True, np.True_, [2], None)] == [None] * 7
    assert [as_real(v) for v in ("2", True, np.True_, [2], None, 1j)] == [None] * 6
    for value in (as_whole(np.uint64(2**64 - 1)), as_real(np.float32(1.5))):
        assert type(value) in (int, float)
    assert as_whole(np.uint64(2**64 - 1)) == 2**64 - 1
