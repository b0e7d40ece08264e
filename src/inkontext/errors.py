"""Every mistake a user can make has a name here, and every message says what to do.

The command line prints the message alone, in one sentence, and exits with `exit_code`:
2 for the user's mistake, 3 for the machine's (memory, disk), 130 for a cancelled run.
"""

from __future__ import annotations

import re
from typing import Final

_ADDRESS: Final = re.compile(r"[a-z][a-z0-9+.-]*://\S+", re.IGNORECASE)


class InKontextError(Exception):
    """Base of all errors that carry a message written for the person who reads it."""

    exit_code = 2


class PictureError(InKontextError):
    """A picture that cannot be used: missing, unreadable, truncated, too large, of an unknown kind."""


class MaskError(InKontextError):
    """A mask that does not fit its picture."""


class CueError(InKontextError):
    """A drawn cue that is not understood or does not lie on its picture."""


class PromptError(InKontextError):
    """An empty or over-long prompt."""


class OptionError(InKontextError):
    """An argument outside what it allows, or two that contradict each other."""


class ModelNotFoundError(InKontextError):
    """No model under this name, folder, file or hub id."""


class WeightsError(InKontextError):
    """A weights file whose names, shapes or values do not make the model that was asked for."""


class NonFiniteError(InKontextError):
    """NaN or infinity in weights or activations; names the place instead of giving a black picture."""


class MemoryPlanError(InKontextError):
    """The work does not fit in memory; the message carries the plan that would."""

    exit_code = 3


class StorageError(InKontextError):
    """The disk is full, read-only or otherwise refuses a write."""

    exit_code = 3


class Cancelled(InKontextError):  # noqa: N818 - a wish of the user, not an error
    """The caller asked to stop; nothing was written."""

    exit_code = 130


class ConfigError(InKontextError):
    """A training configuration with an unknown key, a value out of range, or a contradiction."""


class DataError(InKontextError):
    """A data set that is empty, half-written or does not hold what its rows promise."""


class RunError(InKontextError):
    """A run folder that is in use, belongs to another run, or a run that cannot go on."""


class UnfinishedError(InKontextError):
    """A measurement that failed at its end by a fault of ours; the message says where what was measured is kept."""

    exit_code = 3


class SessionError(InKontextError):
    """A session that is in use, damaged or of another model, or a step it cannot take."""


def one_line(error: BaseException) -> str:
    """An error's words on one line, its kind's name where it has none."""
    return " ".join(str(error).split()) or type(error).__name__


def printable(text: str) -> str:
    """Text of a file that a terminal can show: control characters and lone surrogates replaced."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def refuse_address(text: str) -> None:
    """Raises OptionError for a web address given where a file or folder is meant; a `Path` would drop a slash of it."""
    if _ADDRESS.fullmatch(text):
        raise OptionError(
            f"'{text}' is a web address, and only this machine's files are read and written; download it and give its "
            "path, or of a model its hub id, OWNER/NAME"
        )


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out; PyTorch's own are RuntimeErrors, told by their words."""
    return isinstance(error, MemoryError) or bool(re.search("out of memory|can't allocate memory", str(error)))
