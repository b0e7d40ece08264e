"""Chance that is the same everywhere: PCG64's raw stream and integer arithmetic only.

numpy promises the raw stream of a bit generator, but not what `Generator` makes of it from release
to release; so every draw here is a raw 64-bit number brought into range by multiply and shift.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from typing import TypeVar

import numpy as np

T = TypeVar("T")


class Dice:
    """A stream of draws fixed by one or more non-negative integers."""

    __slots__ = ("_raw",)

    def __init__(self, *seed: int) -> None:
        self._raw = np.random.PCG64(np.random.SeedSequence(seed)).random_raw

    def below(self, n: int) -> int:
        """A whole number in [0, n)."""
        return (int(self._raw()) >> 32) * n >> 32

    def between(self, low: int, high: int) -> int:
        """A whole number in [low, high], both ends included."""
        return low + self.below(high - low + 1)

    def chance(self, percent: int) -> bool:
        """True in `percent` of 100 cases."""
        return self.below(100) < percent

    def pick(self, items: Sequence[T]) -> T:
        """One of the items, all equally likely."""
        return items[self.below(len(items))]

    def weighted(self, table: Mapping[T, int]) -> T:
        """One key of the table, as likely as its weight."""
        left = self.below(sum(table.values()))
        for key, weight in table.items():
            left -= weight
            if left < 0:
                return key
        raise AssertionError("weights are positive")

    def shuffled(self, items: Sequence[T]) -> list[T]:
        """The items in another order."""
        order = list(items)
        for i in range(len(order) - 1, 0, -1):
            j = self.below(i + 1)
            order[i], order[j] = order[j], order[i]
        return order


class Usual(Dice):
    """Not chance but habit: the first of several, and what happens more often than not."""

    __slots__ = ()

    def __init__(self) -> None:
        pass

    def below(self, n: int) -> int:
        return 0

    def chance(self, percent: int) -> bool:
        return percent > 50


def held_out(name: str, one_in: int) -> bool:
    """Whether `name` belongs to the test split: decided by its own checksum, hence for ever."""
    return zlib.crc32(name.encode()) % one_in == 0
