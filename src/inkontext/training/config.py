"""A run's configuration: one TOML file, `key=value` overrides, and nothing that is silently ignored."""

from __future__ import annotations

import difflib
import json
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import BaseModel, Field, ValidationError, model_validator
from pydantic.fields import FieldInfo

from inkontext.errors import ConfigError, refuse_address
from inkontext.training.tables import (
    AutoencoderSection,
    ContextCacheSection,
    DataSection,
    FlowSection,
    GuidanceSection,
    LaddSection,
    ModelSection,
    OptimiserSection,
    SafetySection,
    Section,
)

Stage = Literal["autoencoder", "t2i", "kontext", "guidance", "ladd", "context-cache"]


class RunConfig(Section):
    """Everything a run needs; see the classes of its tables."""

    stage: Stage
    run_dir: str
    steps: int = Field(gt=0)
    batch: int = Field(gt=0)
    seed: int = Field(default=0, ge=0)
    device: str | None = None
    threads: int | None = Field(default=None, ge=1)
    dtype: Literal["float32", "bfloat16"] = "float32"
    compile: bool = False
    checkpoint_every: int = Field(default=500, gt=0)
    keep: int = Field(default=2, ge=1)
    log_every: int = Field(default=20, gt=0)
    validate_every: int = Field(default=500, gt=0)
    sample_every: int = Field(default=1000, gt=0)
    minutes: float | None = Field(default=None, gt=0)
    wandb: str | None = None
    model: ModelSection = ModelSection()
    data: DataSection
    optimiser: OptimiserSection = OptimiserSection()
    autoencoder: AutoencoderSection | None = None
    flow: FlowSection | None = None
    guidance: GuidanceSection | None = None
    ladd: LaddSection | None = None
    context_cache: ContextCacheSection | None = None
    safety: SafetySection | None = None

    @model_validator(mode="after")
    def _no_foreign_table(self) -> RunConfig:
        if self.stage == "autoencoder" and self.flow is not None:
            raise ValueError("stage 'autoencoder' does not read the table [flow]; remove it")
        if self.stage == "autoencoder":
            foreign = {"autoencoder", "tokenizer", "train_text", "aligned_heads", "grow", "text_length"}
            for key in sorted(self.model.model_fields_set & foreign):
                raise ValueError(f"stage 'autoencoder' does not read model.{key}; remove it")
        if self.stage != "autoencoder" and self.autoencoder is not None:
            raise ValueError(f"stage '{self.stage}' does not read the table [autoencoder]; remove it")
        for table, stage in (("guidance", "guidance"), ("ladd", "ladd"), ("context_cache", "context-cache")):
            if self.stage != stage and getattr(self, table) is not None:
                raise ValueError(f"stage '{self.stage}' does not read the table [{table}]; remove it")
        if self.safety is not None and self.stage not in ("t2i", "kontext"):
            raise ValueError(f"stage '{self.stage}' does not read the table [safety]; remove it")
        if self.stage == "ladd" and self.flow is not None:
            for key in sorted(self.flow.model_fields_set - {"validation_rows"}):
                raise ValueError(f"stage 'ladd' does not read flow.{key}; remove it")
        return self


def load_config(path: Path, overrides: Sequence[str] = ()) -> RunConfig:
    """Read a TOML file, apply `a.b=value` overrides, check every key.

    Raises:
        ConfigError: no such file, no TOML, an unknown key (naming the nearest), or a value out of range.
    """
    try:
        body = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ConfigError(f"cannot read '{path}' ({error.strerror}); check the path") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"'{path}' is not valid TOML ({error}); correct it") from error
    for override in overrides:
        _apply(body, override)
    for text in _texts(body):
        refuse_address(text)
    try:
        return RunConfig.model_validate(body)
    except ValidationError as error:
        raise ConfigError(f"in '{path}': " + "; ".join(_explain(e) for e in error.errors())) from error


def _texts(value: Any) -> Iterator[str]:
    """Every text in a table, however deep."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _texts(part)


def _apply(body: dict[str, Any], override: str) -> None:
    key, sign, text = override.partition("=")
    if not sign or not key:
        raise ConfigError(f"override '{override}' is not key=value, such as steps=100 or optimiser.lr=1e-4")
    *tables, leaf = key.strip().split(".")
    for table in tables:
        body = body.setdefault(table, {})
        if not isinstance(body, dict):
            raise ConfigError(f"override '{override}' goes through '{table}', which is no table")
    try:
        body[leaf] = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        body[leaf] = text.strip()


def _explain(error: Any) -> str:
    place = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        near = difflib.get_close_matches(place, list(_keys(RunConfig)), n=1, cutoff=0.5)
        return f"unknown key '{place}'" + (f"; did you mean '{near[0]}'?" if near else "; remove it")
    message = error["msg"].removeprefix("Value error, ")
    return f"'{place}': {message}" if place else message


def _keys(section: type[BaseModel], prefix: str = "") -> Iterator[str]:
    for name, info in section.model_fields.items():
        yield prefix + name
        for kind in (info.annotation, *get_args(info.annotation)):
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                yield from _keys(kind, f"{prefix}{name}.")


def resolved(config: RunConfig) -> str:
    """The whole configuration, defaults included, as JSON."""
    return json.dumps(config.model_dump(), indent=2) + "\n"


def filled(body: dict[str, Any], kind: type[Section] = RunConfig) -> dict[str, Any]:
    """A dump, perhaps of another version, with every key that this version knows; absent ones have their defaults."""
    out: dict[str, Any] = {}
    for name, info in kind.model_fields.items():
        value, table = body.get(name, _default(info)), _table(info)
        if table is not None and isinstance(value, list | tuple):
            value = [filled(row, table) for row in value]
        elif table is not None and (value is not None or not any(f.is_required() for f in table.model_fields.values())):
            value = filled(value or {}, table)
        out[name] = value
    return out


def unlike_defaults(body: dict[str, Any], kind: type[Section] = RunConfig) -> dict[str, Any]:
    """What of a dump is not the default of this version; tables that are all default are left out."""
    out: dict[str, Any] = {}
    for name, info in kind.model_fields.items():
        value, table = filled(body, kind)[name], _table(info)
        if table is not None and isinstance(value, list):
            out[name] = [unlike_defaults(row, table) for row in value]
        elif table is not None and value is not None:
            out |= {name: part} if (part := unlike_defaults(value, table)) else {}
        elif info.is_required() or json.dumps(value) != json.dumps(_default(info)):
            out[name] = value
    return out


def _default(info: FieldInfo) -> Any:
    default = None if info.is_required() else info.get_default()
    return default.model_dump() if isinstance(default, Section) else default


def _table(info: FieldInfo) -> type[Section] | None:
    """The kind of a key that is a table, or a list of them."""
    kinds = (info.annotation, *get_args(info.annotation))
    return next((k for k in kinds if isinstance(k, type) and issubclass(k, Section)), None)
