"""Rows of a run with the table [safety]: its own, less what a classifier flags, and requests with safe answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from torch import Tensor

from inkontext.data.examples import Example
from inkontext.data.stream import Source, VariedSource
from inkontext.errors import ConfigError, DataError, OptionError
from inkontext.plugins import Plugin, find_function
from inkontext.training.config import RunConfig
from inkontext.training.tables import SafetySection

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
