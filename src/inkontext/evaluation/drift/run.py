"""`inkontext eval drift`: what many turns cost, in a session and without one, on held-out chains of the world.

Every chain is run once an arm, with the same model, instructions and noise. Only what a turn is given of the one before
differs.
"""

from __future__ import annotations

import platform
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import PIL
import torch
from PIL import Image

from inkontext import __version__
from inkontext.data.world.chain import Chain, sample_chain
from inkontext.errors import OptionError, PromptError
from inkontext.evaluation.drift.measures import Judge
from inkontext.evaluation.drift.report import write_report
from inkontext.evaluation.ledger import Ledger, Row
from inkontext.evaluation.statistics import interval
from inkontext.evaluation.world.systems import ModelSystem
from inkontext.pipeline import Pipeline
from inkontext.session import Session

ARMS: Final = {
    "ours": "a session: the last turn's latents, and what it left alone put back",
    "naive": "the last turn's PNG, encoded again",
    "latents": "the last turn's latents, nothing put back",
}
MEASURES: Final = ("untouched_psnr", "identity", "recognised", "followed")
SHARES: Final = ("recognised", "followed")  # yes or no of every chain
_SEEDS: Final = 4096  # chains a draw may use
_DIGITS: Final = 6
Watch = Callable[[int, int], None]


@dataclass(frozen=True)
class Plan:
    """What to measure: `limit` chains of `turns` turns, at `size` pixels a side; `seed` draws the chains."""

    size: int
    turns: int = 20
    seed: int = 0
    limit: int = 16
    arms: tuple[str, ...] = ("ours", "naive")

    def __post_init__(self) -> None:
        check_plan(self.size, self.turns, self.seed, self.limit, self.arms)


def check_plan(size: int | None, turns: int, seed: int, limit: int, arms: Sequence[str]) -> None:
    """What can be wrong with a plan, whose size may not be known yet. Raises OptionError."""
    for name, value, most in (("turns", turns, 200), ("limit", limit, _SEEDS)):
        if not 1 <= value <= most:
            raise OptionError(f"--{name} is {value}; it must be a whole number from 1 to {most}")
    if not 0 <= seed < 2**40:
        raise OptionError(f"the seed is {seed}; it must be a whole number from 0")
    if size is not None and not 32 <= size <= 2048:
        raise OptionError(f"the size is {size}; it must be between 32 and 2048 pixels")
    if not arms or len(set(arms)) < len(arms) or set(arms) - set(ARMS):
        raise OptionError(f"--arms is '{','.join(arms)}'; name each once, among {', '.join(ARMS)}")


@dataclass(frozen=True)
class Evaluation:
    """What came out: `body` as it goes into JSON, and, apart from it, the seconds each chain took."""

    body: dict[str, Any]
    seconds: dict[str, float]


def evaluate(plan: Plan, system: ModelSystem, out: Path | None = None, watch: Watch | None = None) -> Evaluation:
    """Measure a model.

    Args:
        out: a folder to keep results, `report.html` and a strip of pictures a chain in; a later call with the same
            arguments goes on after the last whole chain, and ends with the same bytes.
        watch: called with (done, of how many) after every edit.

    Raises:
        OptionError: `out` holds something else. RunError: another process works in it.
    """
    settings = _settings(plan, system)
    each = plan.turns * len(plan.arms)
    keys = [f"{n:04d}" for n in range(plan.limit)]
    with Ledger(out, settings) as ledger:
        for n, key in enumerate(keys):
            if key not in ledger.rows:

                def count(done: int, n: int = n) -> None:
                    if watch is not None:
                        watch(n * each + done, plan.limit * each)

                started = time.perf_counter()
                chain = sample_chain(plan.seed * _SEEDS + n, plan.turns, plan.size)
                row, strip = run_chain(key, chain, plan.arms, system, count)
                ledger.add(row, strip, time.perf_counter() - started)
            elif watch is not None:
                watch((n + 1) * each, plan.limit * each)
        body = body_of(settings, [ledger.rows[key] for key in keys])
        if out is not None:
            write_report(body, out)
        ledger.finish(body)
        return Evaluation(body, {key: ledger.seconds[key] for key in keys if key in ledger.seconds})


def _settings(plan: Plan, system: ModelSystem) -> dict[str, Any]:
    """All that the results depend on."""
    return {
        "benchmark": "drift",
        "system": system.identity,
        "turns": plan.turns,
        "seed": plan.seed,
        "limit": plan.limit,
        "size": plan.size,
        "arms": list(plan.arms),
        "versions": {
            "inkontext": __version__, "python": platform.python_version(), "torch": torch.__version__,
            "numpy": np.__version__, "pillow": PIL.__version__,
        },
    }  # fmt: skip


def run_chain(
    key: str, chain: Chain, arms: Sequence[str], system: ModelSystem, count: Callable[[int], None]
) -> tuple[Row, Image.Image]:
    """One chain through every arm: its row, and a strip of pictures, the truth on top.

    A prompt too long for the model leaves the picture as it is, in every arm, and is counted in `refused`.
    """
    judge, done = Judge(chain), 0
    row: Row = {"key": key, "seed": chain.seed, "instructions": [turn.instruction for turn in chain.turns], "arms": {}}
    shown = [[chain.first, *(turn.target for turn in chain.turns)]]
    for arm in arms:
        pictures: list[Image.Image] = []
        measures: dict[str, list[Any]] = {name: [] for name in MEASURES}
        refused = 0
        for number, picture in enumerate(_pictures(arm, chain, system), 1):
            refused += picture is None
            before = pictures[-1] if pictures else chain.first
            pictures.append(picture or before)
            for name, value in judge.measure(pictures[-1], number, before).items():
                measures[name].append(value)
            done += 1
            count(done)
        row["arms"][arm] = {**measures, "refused": refused}
        shown.append([chain.first, *pictures])
    return row, _strip(shown)


def _pictures(arm: str, chain: Chain, system: ModelSystem) -> Iterator[Image.Image | None]:
    """The picture after every turn; None where the model refused the prompt."""
    seeds = [chain.seed * 1000 + number for number in range(len(chain.turns))]
    run = _naive if arm == "naive" else _in_session
    yield from run(chain, seeds, system.pipeline, system.sampling, arm == "ours")


def _naive(
    chain: Chain, seeds: list[int], pipeline: Pipeline, sampling: dict[str, Any], keep: bool
) -> Iterator[Image.Image | None]:
    picture = chain.first
    for turn, seed in zip(chain.turns, seeds, strict=True):
        try:
            picture = pipeline.edit(picture, turn.instruction, seed=seed, **sampling).images[0]
        except PromptError:
            yield None
        else:
            yield picture


def _in_session(
    chain: Chain, seeds: list[int], pipeline: Pipeline, sampling: dict[str, Any], keep: bool
) -> Iterator[Image.Image | None]:
    with (
        tempfile.TemporaryDirectory() as folder,
        Session.new(Path(folder) / "session", chain.first, pipeline) as session,
    ):
        for turn, seed in zip(chain.turns, seeds, strict=True):
            try:
                session.edit(turn.instruction, seed=seed, keep=keep, **sampling)
            except PromptError:
                yield None
            else:
                yield session.picture()


def _strip(rows: Sequence[Sequence[Image.Image]]) -> Image.Image:
    """A row of pictures for each of `rows`: the first, then those after 1, 2, 5, 10, 20, ... and all turns."""
    last = len(rows[0]) - 1
    places = sorted({0, last, *(n for n in (1, 2, 5, 10, 20, 50, 100) if n < last)})
    side = rows[0][0].width
    strip = Image.new("RGB", (side * len(places), side * len(rows)))
    for y, row in enumerate(rows):
        for x, place in enumerate(places):
            strip.paste(row[place].resize((side, side)), (x * side, y * side))
    return strip


def body_of(settings: dict[str, Any], rows: Sequence[Row]) -> dict[str, Any]:
    """The whole: for every measure, arm and turn the mean over the chains, its interval, and every row."""
    means: dict[str, dict[str, list[float | None]]] = {}
    intervals: dict[str, dict[str, list[list[float] | None]]] = {}
    for name in MEASURES:
        means[name], intervals[name] = {}, {}
        for arm in settings["arms"]:
            by_turn = [
                [float(row["arms"][arm][name][turn]) for row in rows if row["arms"][arm][name][turn] is not None]
                for turn in range(settings["turns"])
            ]
            means[name][arm] = [round(float(np.mean(v)), _DIGITS) if v else None for v in by_turn]
            ends = [interval(v, range(len(v)), is_share=name in SHARES) for v in by_turn]
            intervals[name][arm] = [[round(e, _DIGITS) for e in end[:2]] if end else None for end in ends]
    refused = {arm: sum(row["arms"][arm]["refused"] for row in rows) for arm in settings["arms"]}
    return {**settings, "chains": len(rows), **means, "intervals": intervals, "refused": refused, "rows": list(rows)}
