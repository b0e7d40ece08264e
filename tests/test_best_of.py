"""The best of several candidates: byte for byte what its seed alone gives, chosen as the scorer says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from inkontext.best_of import BestOf, Candidates, agreement, read_best_of, solver_of
from inkontext.errors import OptionError
from inkontext.model.presets import Sampling
from inkontext.pipeline import Pipeline
from inkontext.plugins import Plugin
from inkontext.result import Result
from inkontext.safety.provenance import read_metadata

STEPS = 2


def chooser(function: object, candidates: int = 3) -> BestOf:
    return BestOf(candidates, Plugin(function, {"function": "here"}), "here")  # type: ignore[arg-type]


def shown(*latents: float) -> Candidates:
    z = [torch.full((1, 4, 2, 2), value) for value in latents]
    return Candidates("x", [Image.new("RGB", (8, 8))] * len(z), z, [{"seed": i} for i in range(len(z))])


def test_agreement_is_the_medoid() -> None:
    assert agreement(shown(0.0, 1.0, 3.0)) == pytest.approx([-(1 + 9) / 2, -(1 + 4) / 2, -(9 + 4) / 2])
    rng = np.random.default_rng(0)
    z = rng.normal(size=(7, 1, 4, 3, 3)).astype(np.float32)
    scores = agreement(Candidates("x", [], [torch.from_numpy(v) for v in z], []))
    risks = [np.mean([np.mean((a - b) ** 2) for j, b in enumerate(z) if j != i]) for i, a in enumerate(z)]
    assert scores == pytest.approx([-r for r in risks], rel=1e-5)
    with pytest.raises(OptionError, match="at least 3 candidates"):
        agreement(shown(0.0, 1.0))


@pytest.mark.parametrize("kind", ["edit", "generate"])
def test_every_candidate_is_what_its_seed_alone_gives(kind: str, pipeline: Pipeline, photo: Image.Image) -> None:
    seen: list[Candidates] = []

    def last(candidates: Candidates) -> list[float]:
        seen.append(candidates)
        return [float(i) for i in range(len(candidates.pictures))]

    def make(seed: int, count: int) -> Result:
        if kind == "edit":
            return pipeline.edit(photo, "make it blue", seed=seed, count=count, steps=STEPS, solver="heun")
        return pipeline.generate("a blue star", seed=seed, count=count, steps=STEPS, solver="heun")

    result = chooser(last).around(make)(10, 2)
    assert [c.records[0]["seed"] for c in seen] == [10, 13]
    for candidates in seen:
        for picture, latents, record in zip(candidates.pictures, candidates.latents, candidates.records, strict=True):
            alone = make(record["seed"], 1)
            assert alone.images[0].tobytes() == picture.tobytes()
            assert torch.equal(alone.latents[0], latents)
    assert [r["seed"] for r in result.records] == [12, 15]
    assert [r["best_of"]["chosen"] for r in result.records] == [12, 15]
    assert result.records[0]["best_of"]["seeds"] == [10, 11, 12]
    assert result.records[0]["best_of"]["scores"] == [0.0, 1.0, 2.0]
    assert result.images[1].tobytes() == make(15, 1).images[0].tobytes()
    assert len(result.latents) == 2


def test_several_pictures_keep_their_candidates_apart(pipeline: Pipeline, photo: Image.Image) -> None:
    prompts = ["make it blue", "make it red"]

    def make(seed: int, count: int) -> Result:
        return pipeline.edit(photo, prompts, seed=seed, count=count, steps=1)

    result = chooser(lambda c: [0.0, 0.0, 1.0]).around(make)(0, 1)
    assert [r["prompt"] for r in result.records] == prompts
    alone = pipeline.edit(photo, prompts[1], seed=2, steps=1)
    assert result.images[1].tobytes() == alone.images[0].tobytes()


def test_the_record_lies_in_the_file(pipeline: Pipeline, photo: Image.Image, tmp_path: Path) -> None:
    best = read_best_of("max", 3, None)
    assert best is not None
    made = best.around(lambda seed, count: pipeline.edit(photo, "make it blue", seed=seed, count=count, steps=1))(4, 1)
    (path,) = made.save(tmp_path / "a.png")
    record = read_metadata(path)
    assert record is not None
    told = record["best_of"]
    assert (told["quality"], told["candidates"], told["scorer"]) == ("max", 3, "agreement")
    assert told["seeds"] == [4, 5, 6] and told["chosen"] == record["seed"] and len(told["digest"]) == 16
    assert max(told["scores"]) == told["scores"][told["seeds"].index(told["chosen"])] < 0


def test_the_first_of_equals_is_kept() -> None:
    z = [torch.zeros(1, 4, 2, 2)] * 3
    made = Result([Image.new("RGB", (8, 8))] * 3, [{"prompt": "x", "seed": i} for i in range(3)], z)
    assert chooser(agreement).around(lambda seed, count: made)(0, 1).records[0]["seed"] == 0


def test_the_scorer_sees_the_sources(pipeline: Pipeline, photo: Image.Image) -> None:
    def near(candidates: Candidates) -> list[float]:
        (source,) = candidates.sources
        return [-float(np.abs(np.asarray(p, float) - np.asarray(source, float)).mean()) for p in candidates.pictures]

    make = chooser(near).around(lambda s, n: pipeline.edit(photo, "blue", seed=s, count=n, steps=1), [photo])
    scores = make(0, 1).records[0]["best_of"]["scores"]
    assert len(set(scores)) == 3


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda c: [1.0], "gave .1.0. for 3 candidates"),
        (lambda c: [0.0, float("nan"), 0.0], "must give each a number"),
        (lambda c: 1 / 0, "failed .ZeroDivisionError"),
    ],
)
def test_a_scorer_that_fails_is_named(function: object, words: str) -> None:
    z = [torch.zeros(1, 4, 2, 2)] * 3
    made = Result([Image.new("RGB", (8, 8))] * 3, [{"prompt": "x", "seed": i} for i in range(3)], z)
    with pytest.raises(OptionError, match=words):
        chooser(function).around(lambda seed, count: made)(0, 1)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (("best", None, None), "unknown quality 'best'; choose max"),
        ((None, None, "agreement"), "a scorer chooses among candidates"),
        ((None, 1, None), "from 2 to 64, not 1"),
        (("max", 65, None), "from 2 to 64, not 65"),
        (("max", 2, None), "needs at least 3 candidates, not 2"),
        (("max", None, "beauty"), "unknown scorer 'beauty'; choose agreement, or write"),
        (("max", None, "nowhere.py:f"), "cannot be imported"),
    ],
)
def test_mistakes(asked: tuple[str | None, int | None, str | None], words: str) -> None:
    with pytest.raises(OptionError, match=words):
        read_best_of(*asked)


def test_what_max_means() -> None:
    assert read_best_of(None, None, None) is None
    best = read_best_of("max", None, None)
    assert best is not None and (best.candidates, best.name) == (4, "agreement")
    plain = read_best_of(None, 3, None)
    assert plain is not None and plain.quality is None
    assert solver_of("max", None, Sampling()) == "heun"
    assert solver_of("max", "euler", Sampling()) == "euler"
    assert solver_of(None, None, Sampling()) is None
    assert solver_of("max", None, Sampling(solver="consistency")) is None  # its own few-step sampler


def test_a_scorer_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text("def first(candidates):\n    return [-i for i, _ in enumerate(candidates.pictures)]\n")
    best = read_best_of(None, 2, f"{file}:first")
    assert best is not None and best.identity["function"] == "mine.py:first"
    made = Result(
        [Image.new("RGB", (8, 8))] * 2, [{"prompt": "x", "seed": i} for i in (5, 6)], [torch.zeros(1, 4, 2, 2)] * 2
    )
    assert best.around(lambda seed, count: made)(5, 1).records[0]["best_of"]["chosen"] == 5
