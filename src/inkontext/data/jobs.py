"""What `inkontext data precompute` is asked to do: one set, or every source of a configuration that has a cache."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from inkontext.errors import ConfigError, OptionError

DTYPES = ("float32", "bfloat16")


@dataclass(frozen=True)
class Job:
    """A set, where its tensors go, and how they are made.

    `model` has the autoencoder and `towers`, another or the same, the towers; `text` None takes them if there are any.
    """

    path: Path
    out: Path
    model: str
    towers: str | None
    size: int
    text: bool | None
    dtype: str


def jobs_of(
    source: Path, out: Path | None, model: str | None, size: int | None, text: bool | None, dtype: str | None
) -> list[Job]:
    """The jobs of a data set or a .toml file; what a .toml says may be overridden except where the latents go.

    Raises:
        OptionError: something is missing or given twice. ConfigError: no source of the file names a cache.
    """
    if dtype not in (None, *DTYPES):
        raise OptionError(f"dtype '{dtype}' is not one of {', '.join(DTYPES)}")
    if source.suffix == ".toml":
        return _jobs_of_config(source, out, model, size, text, dtype)
    if out is None or model is None:
        raise OptionError("a data set needs --out DIR and --model FOLDER; a .toml file has them inside")
    return [Job(source, out, model, model, size or 128, text, dtype or "float32")]


def _jobs_of_config(
    source: Path, out: Path | None, model: str | None, size: int | None, text: bool | None, dtype: str | None
) -> list[Job]:
    from inkontext.training.config import load_config

    config = load_config(source)
    if out is not None or size is not None:
        raise OptionError("a .toml file says where latents go (`cache` of a source) and at what size; leave both out")
    towers = model or config.model.start
    model = model or config.model.autoencoder or config.model.start
    if model is None:
        raise ConfigError(f"'{source}' names no model.autoencoder or model.start; add one or give --model")
    wants_text = text if text is not None else None if not config.model.train_text else False
    jobs = [
        Job(Path(s.path or ""), Path(s.cache), model, towers, config.data.size, wants_text, dtype or config.dtype)
        for s in config.data.sources
        if s.cache is not None
    ]
    if not jobs:
        raise ConfigError(f"no source of '{source}' has a `cache`; add cache = \"DIR\" to one of kind 'pairs'")
    return jobs


def run_job(job: Job, device: str | None, batch: int, tick: Callable[[str, int, int], None]) -> dict[str, Any]:
    """Do one job; the outcome as a dictionary."""
    import torch

    from inkontext.data.precompute import load_encoders, precompute
    from inkontext.runtime.device import choose_device

    encoders = load_encoders(job.model, job.towers, job.text, choose_device(device), getattr(torch, job.dtype))
    outcome = precompute(job.path, job.out, job.size, encoders, batch, tick=tick)
    return {"path": str(job.path), "out": str(job.out), "size": job.size, "dtype": job.dtype} | asdict(outcome)
