"""`inkontext.json`: what tensors alone cannot say about a model, kept beside them.

Holds the configurations, how to sample, and how references are positioned. Where the file is absent (every
released FLUX checkpoint) the same facts are recognised from shapes, scheduler config and name.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from inkontext.errors import WeightsError
from inkontext.model.presets import PRESETS, AutoencoderConfig, Preset, Sampling, TransformerConfig
from inkontext.storage import write_json
from inkontext.weights.scheduler import scheduled

CARD = "inkontext.json"
FORMAT = 1


@dataclass(frozen=True)
class Card:
    """A model's own description of itself.

    Attributes:
        trained: False for random weights made for tests and demonstrations.
        notes: free facts for people (numbers, commands, seeds, sources).
    """

    name: str
    transformer: TransformerConfig
    autoencoder: AutoencoderConfig
    sampling: Sampling
    trained: bool = True
    notes: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        if not self.name.isprintable() or not self.name.strip():
            raise ValueError(f"name {self.name!a} cannot be printed")

    def save(self, path: Path) -> None:
        write_json(path, {"format": FORMAT} | asdict(self))


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object; raises WeightsError where it is not one."""
    try:
        body = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise WeightsError(f"'{path}' is no readable JSON ({error}); restore it from where the model came") from error
    if not isinstance(body, dict):
        raise WeightsError(f"'{path}' should hold a JSON object; restore it from where the model came")
    return body


def _build(kind: type, body: Any, path: Path) -> Any:
    known = {f.name for f in fields(kind)}
    if not isinstance(body, dict) or set(body) - known:
        extra = ", ".join(sorted(set(body) - known)) if isinstance(body, dict) else str(body)
        raise WeightsError(f"'{path}' has fields this version does not know ({extra}); update inkontext")
    try:
        return TypeAdapter(kind).validate_python(body)
    except ValidationError as error:
        first = error.errors()[0]
        why = " ".join([".".join(map(str, first["loc"])), first["msg"].removeprefix("Value error, ")]).strip()
        raise WeightsError(f"'{path}' describes an impossible {kind.__name__}: {why}") from error
    except ZeroDivisionError as error:
        raise WeightsError(f"'{path}' describes an impossible {kind.__name__}: {error}") from error


def read_card(path: Path) -> Card | None:
    """The card at `path`, or None if there is none."""
    if not path.exists():
        return None
    body = read_json(path)
    if body.pop("format", None) != FORMAT:
        raise WeightsError(f"'{path}' has another format than {FORMAT}; update inkontext")
    parts = {"transformer": TransformerConfig, "autoencoder": AutoencoderConfig, "sampling": Sampling}
    if missing := sorted({"name", *parts} - set(body)):
        raise WeightsError(f"'{path}' lacks {', '.join(missing)}; restore it from where the model came")
    return _build(Card, body | {key: _build(kind, body[key], path) for key, kind in parts.items()}, path)


def recognise(name: str, cfg: TransformerConfig) -> Preset | None:
    """The released model of this architecture; the name decides between models of equal shape.

    Kontext [dev] and FLUX.1 [dev] differ in nothing but values, so an unnamed one is taken for Kontext.
    """
    same = [p for p in PRESETS.values() if p.transformer == cfg]
    named = [p for p in same if p.name.removesuffix("-dev") in name.lower() and p.name != "dev"]
    if named:
        return named[0]
    if any(p.name == "schnell" for p in same):
        return PRESETS["schnell"]
    return same[0] if same else None


def sampling_for(
    name: str, cfg: TransformerConfig, scheduler: dict[str, Any] | None, scheduler_class: str | None = None
) -> Sampling:
    """How to sample a model that brings no card, with its scheduler config where there is one."""
    preset = recognise(name, cfg)
    sampling = preset.sampling if preset else Sampling(guidance=2.5 if cfg.guidance_embed else None)
    return sampling if scheduler is None else scheduled(sampling, scheduler, name, scheduler_class)
