"""What a session's keep step lets through and puts back, against the world's true masks, beside other rules.

python -m benchmarks.keep [--model tiny] [--seed 0] [--limit 12] [--steps N] [--json FILE]

`--limit` held-out pairs each of local, text and global edits. Every rule is given the same edit of every pair; only
what it takes for the change differs. Of edits of a part: `asked` is the share of the pixels in the true mask that come
through, `kept` the share of those outside that have the picture's own bytes, `precise` the share of what comes through
that was asked for, `untouched dB` against the picture outside the mask (mean and median over the pairs, 99 for the same
bytes, which `exact` have), `followed` the share of pairs in which at least half of the squared error inside the mask is
gone. Of edits of the whole picture: `whole` is the share that comes through as a whole.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from benchmarks.keep_rules import differs, drawn_alone
from benchmarks.table import show
from inkontext.data.world import Pair, sample_pair
from inkontext.data.world.score import CHANGED_AT_LEAST
from inkontext.decibel import HIGHEST
from inkontext.errors import PromptError
from inkontext.numerics import numerics_for
from inkontext.pipeline import Pipeline
from inkontext.result import Result
from inkontext.sequence import pack
from inkontext.session.drift import psnr
from inkontext.session.keep import blend_latents, change_of, composite
from inkontext.velocity import Velocity

TASKS: Final = ("local", "text", "global")
_SEEDS: Final = 4096  # pairs a draw may use of each task


@dataclass(frozen=True)
class Case:
    """An edit of a pair: canvases of its picture, of what was drawn, of what was expected; both ends' latents; and
    what the model expects with no instruction, of which DiffEdit takes the difference."""

    pair: Pair
    before: Image.Image
    drawn: Image.Image
    expected: Image.Image
    latents: Tensor
    made: Tensor
    hoped: Tensor
    idle: Tensor


Rule = Callable[[Case], np.ndarray]
RULES: Final[dict[str, Rule]] = {
    "nothing kept": lambda case: np.ones((case.before.height, case.before.width), np.float32),
    "drawn alone": lambda case: drawn_alone(case.before, case.drawn),
    "DiffEdit": lambda case: differs(case.hoped, case.idle),
    "keep": lambda case: change_of(case.before, case.drawn, case.expected),
}


def cases(pipeline: Pipeline, seed: int, limit: int, steps: int | None) -> Iterator[Case]:
    """The edits, all of one task after the other; prompts too long for the model are passed over."""
    for task in TASKS:
        found = 0
        for number in range(_SEEDS):
            if found == limit:
                break
            pair = sample_pair(seed * _SEEDS + number, task, pipeline.resolution, "test")
            try:
                yield _case(pipeline, pair, steps)
            except PromptError:
                continue
            found += 1


def _case(pipeline: Pipeline, pair: Pair, steps: int | None) -> Case:
    (picture,) = pair.references
    latents, _ = pipeline.encode(picture)
    result = pipeline.edit(
        picture, pair.instruction, steps=steps, seed=pair.seed, context_latents=latents, expect=True
    )  # fmt: skip
    made, hoped = result.latents[0], result.expected[0]
    before, drawn, expected = (pipeline.decode(z) for z in (latents, made, hoped))
    return Case(pair, before, drawn, expected, latents, made, hoped, _idle(pipeline, result, latents))


@torch.no_grad()
def _idle(pipeline: Pipeline, result: Result, latents: Tensor) -> Tensor:
    """What the model expects without an instruction, from the noise of the edit."""
    record = result.metadata
    grid = (latents.shape[2] // 2, latents.shape[3] // 2)
    noise = torch.randn(latents.shape, generator=torch.Generator().manual_seed(record["seed"]))
    velocity = Velocity(
        pipeline.transformer, numerics_for(None), pipeline.towers.encode(""), [latents], grid, record["scheme"],
        record["guidance"],
    )  # fmt: skip
    clean, noise = (z.to(pipeline.device, pipeline.dtype) for z in (latents, noise))
    return velocity.expected(clean, pack(noise).float()).cpu()


def measure(pipeline: Pipeline, case: Case, weight: np.ndarray) -> dict[str, Any]:
    """What a rule's weight `[H, W]` makes of a case."""
    if np.asarray(case.pair.mask).all():
        return {"whole": float((weight > 0).all())}
    asked, through = np.asarray(case.pair.mask) > 0, weight > 0
    (picture,) = case.pair.references
    canvas = pipeline.decode(blend_latents(case.latents, case.made, weight))
    shown = Image.fromarray(np.ceil(weight * 255).astype(np.uint8))
    after, old, new = (np.asarray(im) for im in (composite(picture, canvas, shown, None), picture, case.pair.target))
    same = (after == old).all(axis=-1)
    left, lost = (np.square(im[asked].astype(np.float64) - new[asked]).sum() for im in (after, old))
    return {
        "asked": float(through[asked].mean()), "kept": float(same[~asked].mean()),
        "right": int((through & asked).sum()), "through": int(through.sum()),
        "untouched dB": psnr(after, old, ~asked), "followed": float(left <= (1 - CHANGED_AT_LEAST) * lost),
    }  # fmt: skip


def summary(rule: str, found: list[dict[str, Any]]) -> dict[str, Any]:
    """One row of the table; None where there was nothing to measure."""
    parts = [row for row in found if "whole" not in row]
    wholes = [row["whole"] for row in found if "whole" in row]
    through = sum(row["through"] for row in parts)
    means = {name: float(np.mean([row[name] for row in parts])) for name in ("asked", "kept")} if parts else {}
    dB = [row["untouched dB"] for row in parts]
    return {
        "rule": rule, "asked": means.get("asked"), "kept": means.get("kept"),
        "precise": sum(row["right"] for row in parts) / through if through else None,
        "untouched dB": float(np.mean(dB)) if dB else None, "median dB": float(np.median(dB)) if dB else None,
        "exact": float(np.mean([value == HIGHEST for value in dB])) if dB else None,
        "followed": float(np.mean([row["followed"] for row in parts])) if parts else None,
        "whole": float(np.mean(wholes)) if wholes else None,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description="what the keep step lets through and puts back")
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--seed", type=int, default=0, help="which draw of the held-out pairs")
    parser.add_argument("--limit", type=int, default=12, help="pairs of each task")
    parser.add_argument("--steps", type=int, help="the model's own by default")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    pipeline = Pipeline.from_pretrained(given.model)
    found: dict[str, list[dict[str, Any]]] = {rule: [] for rule in RULES}
    for case in cases(pipeline, given.seed, given.limit, given.steps):
        for rule, weigh in RULES.items():
            found[rule].append(measure(pipeline, case, weigh(case)))
    parts = sum("whole" not in row for row in found["keep"])
    wholes = len(found["keep"]) - parts
    title = f"{pipeline.model['name']}, seed {given.seed}: {parts} edits of a part, {wholes} of the whole picture"
    show(title, [summary(rule, rows) for rule, rows in found.items()], given.json)


if __name__ == "__main__":
    main()
