"""Safety training: a classifier filters the data, and requests for what is forbidden are answered with something safe.

The paper lists "classifier-based filtering and adversarial training" and says no more (section 3, implementation
details). Adversarial here means requests made so as to get past a refusal, not a discriminator. Their rows learn the
flow to the safe picture x (eq. 3), and where asked a second loss looks at the forbidden picture x_bad:

    p = < guess - x, x_bad - x > / || x_bad - x ||^2,    guess = z_t - t v,    L = negative * max(p, 0)^2

p is how much of the way from the safe to the forbidden picture the guess has gone; errors in other directions do not
count. This loss is ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np
import torch
from torch import Tensor

from inkontext.data.examples import Example, Group, stack
from inkontext.data.stream import Source, VariedSource
from inkontext.errors import ConfigError, DataError, OptionError
from inkontext.flow.path import data_from_velocity, flow_matching_loss, interpolate
from inkontext.plugins import Plugin, find_function
from inkontext.sequence import pack, unpack
from inkontext.training.config import RunConfig, SafetySection
from inkontext.training.flow import FlowStage, grid_of

CLASSIFIERS: Final = "inkontext.classifiers"  # entry points: uint8 [n, H, W, 3] -> bool [n], which are forbidden
REQUESTS: Final = "inkontext.safety_requests"  # entry points: see RequestSource
OWN_CLASSIFIERS: Final = {"world-sign": "inkontext.data.world.forbidden_filter:is_forbidden"}
OWN_REQUESTS: Final = {"world-sign": "inkontext.data.world.forbidden:sample_safety_row"}
_TRIES: Final = 64  # rows looked at for one that the classifier passes
Part = tuple[Source, str | None, float]


class Classifier:
    """A classifier plug-in whose answers are checked."""

    def __init__(self, name: str) -> None:
        """Raises ConfigError where there is none of that name."""
        self.name = name
        self.plugin = _find(name, "classifier", CLASSIFIERS, OWN_CLASSIFIERS)

    def __call__(self, pictures: np.ndarray) -> np.ndarray:
        """Which of the pictures, uint8 `[n, H, W, 3]`, are forbidden, bool `[n]`. Raises ConfigError."""
        found = np.asarray(self.plugin.function(pictures))
        if found.dtype != bool or found.shape != (len(pictures),):
            raise ConfigError(
                f"classifier '{self.name}' gave {found.dtype} {list(found.shape)} for {len(pictures)} pictures; "
                f"it must give bool [{len(pictures)}]"
            )
        return found


class FilteredSource:
    """A source without the rows whose target is flagged: another number is drawn in their place.

    Which one depends on the first number alone, so a run still resumes to the bit.
    """

    def __init__(self, source: Source, classifier: Classifier) -> None:
        self.source, self.classifier = source, classifier

    def example(self, number: int, task: str | None) -> Example:
        """Raises DataError where hardly any row passes."""
        for attempt in range(_TRIES):
            example = self.source.example(_again(number, attempt), task)
            if isinstance(example.target, Tensor):
                raise ConfigError("[safety] looks at pictures, not at latents; remove `cache` from the sources")
            if not self.classifier(example.target[None])[0]:
                return example
        raise DataError(
            f"classifier '{self.classifier.name}' flagged {_TRIES} rows running; look at the data, or at the classifier"
        )


class FilteredVariedSource(FilteredSource):
    """The same of a source whose rows differ in layout."""

    def of_one_layout(self, number: int) -> Source:
        assert isinstance(self.source, VariedSource)
        return FilteredSource(self.source.of_one_layout(number), self.classifier)


def _again(number: int, attempt: int) -> int:
    """The number itself, and then others that it determines."""
    if attempt == 0:
        return number
    return int(np.random.SeedSequence((0x5AFE, number, attempt)).generate_state(1, np.uint64)[0] >> 2)


class RequestSource:
    """Rows of a plug-in `function(number=, size=, split=, edit=)`; `edit` is False where rows have no pictures.

    What it returns has `references`, `instruction`, `safe`, and `unwanted` (None for a harmless request); pictures are
    RGB PIL images. The same number must give the same row.
    """

    def __init__(self, name: str, size: int, split: str, edit: bool | None) -> None:
        """Raises ConfigError where there is none of that name."""
        self.size, self.split, self.edit = size, split, edit
        self.plugin = _find(name, "source of requests", REQUESTS, OWN_REQUESTS)

    def example(self, number: int, task: str | None) -> Example:
        row = self.plugin.function(number=number, size=self.size, split=self.split, edit=self.edit)
        references = tuple(np.asarray(r) for r in row.references)
        unwanted = None if row.unwanted is None else np.asarray(row.unwanted)
        kind = "safety ask" if unwanted is not None else "safety near"
        return Example(np.asarray(row.safe), references, row.instruction, kind, unwanted)


def _find(name: str, what: str, group: str, own: dict[str, str]) -> Plugin:
    try:
        return find_function(name, what, group, own)
    except OptionError as error:
        raise ConfigError(f"in table [safety]: {error}") from error


def safe_parts(parts: Sequence[Part], section: SafetySection, config: RunConfig, split: str) -> list[Part]:
    """The parts of a mixture, filtered, and the requests in their share of the whole. Raises ConfigError."""
    classifier = Classifier(section.classifier)
    out: list[Part] = []
    for source, task, weight in parts:
        kind = FilteredVariedSource if isinstance(source, VariedSource) else FilteredSource
        out.append((kind(source, classifier), task, weight))
    if section.requests is not None:
        edit = False if config.stage == "t2i" else None
        requests = RequestSource(section.requests, config.data.size, split, edit)
        whole = sum(weight for *_, weight in parts) or 1.0
        out.append((FilteredSource(requests, classifier), None, whole * section.share / (1 - section.share)))
    return out


class SafeFlowStage(FlowStage):
    """A flow stage of a run with the table [safety]."""

    @property
    def safety(self) -> SafetySection:
        assert self.config.safety is not None
        return self.config.safety

    def row_loss(
        self, group: Group, target: Tensor, context: list[Tensor], prompts: list[str], t: Tensor, eps: Tensor
    ) -> Tensor:
        x0, noise, v = self.velocity(self.transformer, self.towers, target, context, prompts, t, eps)
        loss = flow_matching_loss(v, x0, noise)
        if group.unwanted is None or not self.safety.negative:
            return loss
        bad, _ = self.encode(replace(group, target=group.unwanted, references=[]))
        at = t.to(v.device)[:, None, None]
        guess = data_from_velocity(interpolate(x0, noise, at), v, at)
        return loss + self.safety.negative * way_to(guess, x0, pack(bad)).clamp_min(0).square()

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Those of every flow stage, and `flagged`: the share of held-out requests for what is forbidden whose picture,
        guessed from pure noise, the classifier flags."""
        return super().validate() | self._flagged()

    def _flagged(self) -> dict[str, float]:
        asked = [example for example in self.held_out if example.unwanted is not None]
        if not asked:
            return {}
        transformer, towers = self._averaged()
        classifier, found = Classifier(self.safety.classifier), []
        for group in stack(asked):
            target, context = self.encode(group)
            eps = torch.randn(target.shape, generator=torch.Generator().manual_seed(0))
            _, noise, v = self.velocity(
                transformer, towers, target, context, group.instructions, torch.ones(len(group)), eps
            )
            guess = self.autoencoder.decode(unpack(data_from_velocity(noise, v, 1.0), grid_of(target)))
            pictures = ((guess.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
            found.append(classifier(pictures.permute(0, 2, 3, 1).cpu().numpy()))
        return {"flagged": float(np.concatenate(found).mean())}


def way_to(guess: Tensor, safe: Tensor, bad: Tensor) -> Tensor:
    """Share of the way from `safe` to `bad` that `guess` has gone, `[n]`; each `[n, L, D]`."""
    way = bad - safe
    return ((guess - safe) * way).sum((1, 2)) / way.square().sum((1, 2)).clamp_min(1e-6)
