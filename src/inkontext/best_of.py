"""Compute for quality, applied from outside a pipeline: several candidates of a picture, of which a scorer keeps one.

The paper's [max] is "more compute", undisclosed. Ours, the preset `max`: the model's own number of steps with Heun's
second-order solver, four seeds, and the candidate that the others agree with most. That default asks nobody and knows
no truth: it is self-consistency (Wang et al., arXiv 2203.11171) in latent space, where the vote becomes a medoid, the
minimum Bayes risk under the squared distance.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from inkontext.errors import OptionError
from inkontext.flow.solvers import CONSISTENCY
from inkontext.numbers import read_count, whole
from inkontext.plugins import Plugin, find_function, told
from inkontext.result import Result

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor

    from inkontext.model.presets import Sampling

GROUP: Final = "inkontext.scorers"  # entry points: Candidates -> a number for each, the greater the better
AGREEMENT: Final = "agreement"
OWN_SCORERS: Final = {AGREEMENT: "inkontext.best_of:agreement"}
QUALITIES: Final = ("max",)
MOST: Final = 64
_MAX_CANDIDATES: Final = 4
_MAX_SOLVER: Final = "heun"
_FEWEST_TO_AGREE: Final = 3
Make = Callable[[int, int], Result]


@dataclass(frozen=True)
class Candidates:
    """What a scorer is shown: pictures of one request that differ in their seed alone.

    prompt: of the request. pictures: finished, in the order of the seeds. latents: what they were decoded from,
    float32 `[1, C, h, w]`. records: how each was made, as it will stand in the file. sources: the pictures that the
    request gave, the edited one first; none where they are not known or there are none.
    """

    prompt: str
    pictures: Sequence[Image.Image]
    latents: Sequence[Tensor]
    records: Sequence[dict[str, Any]]
    sources: Sequence[Image.Image] = ()


def agreement(candidates: Candidates) -> list[float]:
    """Minus the mean squared distance of each candidate's latents to those of the others; the best is the medoid."""
    if len(candidates.latents) < _FEWEST_TO_AGREE:
        raise OptionError(
            f"scorer '{AGREEMENT}' needs at least {_FEWEST_TO_AGREE} candidates, of two each agrees with the other "
            "alike; give more, or another scorer"
        )
    z = np.stack([latents.double().numpy().ravel() for latents in candidates.latents])
    far = np.square(z[:, None] - z[None]).mean(-1)
    return (-far.sum(1) / (len(z) - 1)).tolist()


@dataclass(frozen=True)
class BestOf:
    """How candidates are made and chosen.

    Attributes:
        candidates: seeds tried for every picture, consecutive ones.
        scorer: the plug-in, and its name as it was asked for.
        quality: the preset it came from, for the record.
    """

    candidates: int
    scorer: Plugin
    name: str
    quality: str | None = None

    @property
    def identity(self) -> dict[str, Any]:
        """What the choice depends on besides the pictures."""
        return {"quality": self.quality, "candidates": self.candidates, "scorer": self.name, **self.scorer.identity}

    def around(self, make: Make, sources: Sequence[Image.Image] = ()) -> Make:
        """The same call, better and `candidates` times as slow.

        Args:
            make: (seed, count) -> result with `count` pictures of each request from `seed` on, as `Pipeline.edit`.
            sources: the pictures of the request, for the scorer.

        Returns:
            (seed, count) -> `count` pictures of each request; picture i is chosen among the seeds from
            seed + i * candidates on, and is byte for byte what `make` gives for the seed in its record.
        """

        def best(seed: int, count: int) -> Result:
            made = make(seed, read_count(count) * self.candidates)
            kept = [self._choose(made, first, sources) for first in range(0, len(made.images), self.candidates)]
            return Result(
                [made.images[i] for i, _ in kept],
                [made.records[i] | {"best_of": record} for i, record in kept],
                [made.latents[i] for i, _ in kept],
            )

        return best

    def _choose(self, made: Result, first: int, sources: Sequence[Image.Image]) -> tuple[int, dict[str, Any]]:
        """Which of the candidates from `first` on is kept, and the record of the choice. The first of equals."""
        these = slice(first, first + self.candidates)
        records = made.records[these]
        shown = Candidates(records[0]["prompt"], made.images[these], made.latents[these], records, sources)
        scores = self._scores(shown)
        chosen = max(range(len(scores)), key=scores.__getitem__)
        seeds = [record["seed"] for record in records]
        return first + chosen, self.identity | {"seeds": seeds, "scores": scores, "chosen": seeds[chosen]}

    def _scores(self, shown: Candidates) -> list[float]:
        try:
            scores = [float(score) for score in self.scorer.function(shown)]
        except OptionError:
            raise
        except Exception as error:
            raise OptionError(f"scorer '{self.name}' failed ({told(error)}); correct it or choose another") from error
        if len(scores) != len(shown.pictures) or not np.isfinite(scores).all():
            raise OptionError(
                f"scorer '{self.name}' gave {scores} for {len(shown.pictures)} candidates; it must give each a number"
            )
        return scores


def read_best_of(
    quality: str | None, candidates: int | None, scorer: str | None, known: Mapping[str, Plugin] | None = None
) -> BestOf | None:
    """What a caller asked for; None where only one picture is to be made, and kept. Raises OptionError.

    known: scorers of the caller's own, by name.
    """
    if quality is not None and quality not in QUALITIES:
        raise OptionError(f"unknown quality '{quality}'; choose {', '.join(QUALITIES)}, or leave it out")
    if candidates is None and quality is None:
        if scorer is not None:
            raise OptionError("a scorer chooses among candidates; give their number (--candidates), or quality 'max'")
        return None
    candidates = _MAX_CANDIDATES if candidates is None else whole(candidates, "candidates", 2, MOST)
    name = scorer or AGREEMENT
    if name == AGREEMENT and candidates < _FEWEST_TO_AGREE:
        raise OptionError(
            f"scorer '{AGREEMENT}' needs at least {_FEWEST_TO_AGREE} candidates, not {candidates}; give more, or "
            "another scorer"
        )
    plugin = (known or {}).get(name) or find_function(name, "scorer", GROUP, OWN_SCORERS)
    return BestOf(candidates, plugin, name, quality)


def solver_of(quality: str | None, solver: str | None, sampling: Sampling) -> str | None:
    """The solver of a quality where the caller names none; few-step models keep their own, which solves no equation."""
    if quality is None or solver is not None or sampling.solver == CONSISTENCY:
        return solver
    return _MAX_SOLVER
