"""Settings of an edit: the named speeds, and those recorded in a picture that was made here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from inkontext.errors import OptionError, PictureError
from inkontext.geometry import read_resolution
from inkontext.model.presets import Sampling
from inkontext.safety.provenance import read_metadata
from inkontext.session.manifest import How, read_how

STANDARD: Final = "Standard"
SEEDS: Final = 2**63  # every seed is below
MATCH: Final = "match"
SIZES: Final = (MATCH, "1:1", "4:3", "3:2", "16:9", "3:4", "2:3", "9:16")
_OF_RECORD: Final = (
    "prompt", "seed", "steps", "guidance", "true_cfg", "solver", "resolution", "context_resolution",
)  # fmt: skip


def speeds(sampling: Sampling) -> dict[str, int]:
    """Steps by name: a third of the model's own, its own, and twice as many; fewer names for few-step models."""
    own = sampling.steps
    return {name: n for name, n in (("Draft", own // 3), (STANDARD, own), ("Fine", own * 2)) if n > 1 or n == own}


def read_side(text: str, name: str = "resolution") -> int | None:
    """A resolution as it is typed, None for nothing: an empty field of numbers would show 0. Raises OptionError."""
    typed = text.strip()
    if typed and not (typed.isascii() and typed.isdigit()):
        raise OptionError(f"'{text}' is no {name}; write a whole number, or nothing for the model's own")
    return read_resolution(int(typed), name) if typed else None


def read_seed(text: str) -> int:
    """A seed as it is typed; text and not a number, because a browser's numbers end at 2^53. Raises OptionError."""
    digits = text.strip()
    if not (digits.isascii() and digits.isdigit() and len(digits) < 20 and int(digits) < SEEDS):
        raise OptionError(f"the seed must be a whole number from 0 to 2^63 - 1, not '{digits[:40]}'")
    return int(digits)


@dataclass(frozen=True)
class Recalled:
    """How a picture was made, and by which model."""

    how: How
    model: str
    fingerprint: str

    def sentence(self, ours: str) -> str:
        """For the page; `ours` is the fingerprint of the loaded model."""
        told = f"settings recalled: seed {self.how.seed}, {self.how.steps or 'the model’s own'} steps"
        if self.fingerprint != ours:
            told += f"; it was made with another model, {self.model}, so the same settings give another picture"
        return told


def recall(path: Path) -> Recalled:
    """The settings inside a picture: of an edit, of a session's turn, or of an exported session's last turn.

    Raises:
        PictureError: no picture, or one without a record of ours.
        OptionError: a record with values that cannot be.
    """
    record = read_metadata(path)
    if record is None:
        raise PictureError(
            "the picture carries no InKontext record; it was not made here, or was saved again elsewhere"
        )
    model = record.get("model")
    known = model if isinstance(model, dict) else {}
    return Recalled(
        _how(record), str(known.get("name", "unknown")), str(known.get("fingerprint", "unknown"))
    )  # fmt: skip


def _how(record: dict[str, Any]) -> How:
    turns = record.get("turns")
    turn = turns[-1] if isinstance(turns, list) and turns else record.get("turn")
    how = turn.get("how") if isinstance(turn, dict) else None
    # What was asked of a turn, then what the sampler made of it: the model's own steps are a number there.
    values = {name: record[name] for name in _OF_RECORD if record.get(name) is not None}
    if record.get("true_cfg") and record.get("negative"):
        values["negative"] = record["negative"]
    values = (how if isinstance(how, dict) else {}) | values
    if not isinstance(values.get("prompt"), str):
        raise OptionError("the picture was not made from a sentence; there are no settings to recall from it")
    return read_how(**{k: v for k, v in values.items() if k in How.model_fields})
