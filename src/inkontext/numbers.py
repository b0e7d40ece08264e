"""Numbers as callers have them (Python's, NumPy's, a tensor of one element), turned into Python's own.

They go into records, manifests and names of files, where only Python's are written; so every entrance converts once.
A bool is a number to Python and to none of its users: it is refused.
"""

from __future__ import annotations

import numbers
from typing import Any

from inkontext.errors import OptionError


def as_whole(value: Any) -> int | None:
    """The whole number that `value` is, of any kind; None where it is none, such as 2.0, True or "2"."""
    value = _plain(value)
    return int(value) if isinstance(value, numbers.Integral) and not isinstance(value, bool) else None


def as_real(value: Any) -> float | None:
    """The number that `value` is, of any kind, NaN and infinities too; None where it is none, such as True or "2"."""
    value = _plain(value)
    return float(value) if isinstance(value, numbers.Real) and not isinstance(value, bool) else None


def whole(value: Any, name: str, least: int, most: int) -> int:
    """A whole number within [least, most]. Raises OptionError."""
    number = as_whole(value)
    if number is None or not least <= number <= most:
        raise OptionError(f"{name} must be a whole number from {least} to {most}, not {value}")
    return number


def real(value: Any, name: str, least: float, most: float) -> float:
    """A number within [least, most]. Raises OptionError."""
    number = as_real(value)
    if number is None or not least <= number <= most:
        raise OptionError(f"{name} must be between {least:g} and {most:g}, not {value}")
    return number


def read_count(count: Any) -> int:
    """How many pictures to make. Raises OptionError."""
    number = as_whole(count)
    if number is None or number < 1:
        raise OptionError(f"count must be a whole number of at least 1, not {count}")
    return number


def read_seed(seed: Any, count: int = 1) -> int:
    """The first of `count` consecutive seeds of the noise. Raises OptionError."""
    number = as_whole(seed)
    if number is None or not 0 <= number < 2**63 - count:
        raise OptionError(f"seed {seed!r} must be a whole number from 0 to 2^63 - 1")
    return number


def _plain(value: Any) -> Any:
    """What a NumPy or PyTorch scalar (no axes) holds; anything else as it is."""
    return value.item() if getattr(value, "ndim", None) == 0 and hasattr(value, "item") else value
