"""A score that may be missing, and a measurement that several scores share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from PIL import Image

T = TypeVar("T")


@dataclass(frozen=True)
class Score:
    """A value, or None and why there is none; with the raw evidence behind it, as plain values.

    `judged`: the share of the output that the value is of, where the output itself decided that; 0 where it left
    nothing to judge. None where it has no such say.
    """

    value: float | None
    reason: str | None = None
    evidence: dict[str, Any] = field(default_factory=dict)
    judged: float | None = None


class Last(Generic[T]):
    """A function of pictures that keeps its last result, for metrics that share one measurement."""

    def __init__(self, function: Callable[..., T]) -> None:
        self._function = function
        self._kept: tuple[tuple[Image.Image, ...], T] | None = None

    def __call__(self, *pictures: Image.Image) -> T:
        if self._kept is None or [*map(id, self._kept[0])] != [*map(id, pictures)]:
            self._kept = pictures, self._function(*pictures)
        return self._kept[1]
