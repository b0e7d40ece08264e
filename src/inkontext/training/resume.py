"""Going on with a run: which keys of its configuration may be others than they were.

A key is fixed where the checkpoints depend on it, free where the weights do not, and otherwise counts from the step at
which the run goes on, which the run says. `docs/training.md` has the same table in words.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

from inkontext.errors import RunError
from inkontext.training import checkpoint
from inkontext.training.config import RunConfig, filled

FIXED, FREE, FROM_HERE = "fixed", "free", "from here"
# By key, or by table for all of its keys; what is not named counts from here.
RULES: Final = {
    # what the tensors of a checkpoint belong to, and the order of the data
    **dict.fromkeys(("stage", "seed", "model", "optimiser.kind", "optimiser.ema", "autoencoder.decoder_only"), FIXED),
    **dict.fromkeys(("ladd.teacher", "ladd.steps", "ladd.head_width"), FIXED),
    **dict.fromkeys(("context_cache.teacher", "context_cache.time"), FIXED),
    # where and how fast it is done, and what is watched, written and told on the way
    **dict.fromkeys(("run_dir", "device", "threads", "compile", "minutes", "data.workers"), FREE),
    **dict.fromkeys(("checkpoint_every", "keep", "log_every", "validate_every", "sample_every", "wandb"), FREE),
    **dict.fromkeys(("flow.validation_rows", "ladd.watch_every", "ladd.watch_rows"), FREE),
    **dict.fromkeys(("ladd.least_diversity", "ladd.least_loss"), FREE),
}


class Change(NamedTuple):
    """A key of the configuration that is another than it was."""

    key: str
    was: Any
    now: Any

    def __str__(self) -> str:
        return f"{self.key} = {_told(self.now)} (was {_told(self.was)})"


def rule(key: str) -> str:
    """What a key's change means for a run that goes on: `FIXED`, `FREE` or `FROM_HERE`."""
    parts = key.split(".")
    named = (".".join(parts[:n]) for n in range(len(parts), 0, -1))
    return next((RULES[name] for name in named if name in RULES), FROM_HERE)


def changes(was: dict[str, Any], now: dict[str, Any]) -> list[Change]:
    """What differs between two dumps of a `RunConfig`; a table or key that is absent has its defaults."""
    there, here = (dict(_flat(json.loads(json.dumps(filled(body))))) for body in (was, now))
    keys = [*here, *(key for key in there if key not in here)]
    return [Change(k, there.get(k), here.get(k)) for k in keys if there.get(k) != here.get(k)]


def agree(folder: Path, config: RunConfig) -> tuple[int, list[Change]]:
    """The step at which the run in a folder goes on, and the changes that count from there.

    Raises:
        RunError: a fixed key is another than it was, or there is nothing left to do for what is asked.
    """
    done = checkpoint.steps_in(folder)
    if not done:
        return 0, []
    found = changes(_recorded(folder, done[-1], config), config.model_dump())
    fixed = [change for change in found if rule(change.key) == FIXED]
    by_key = {change.key: change for change in fixed}
    if {"stage", "seed"} & by_key.keys():
        stage, seed = (by_key[k].was if k in by_key else getattr(config, k) for k in ("stage", "seed"))
        raise RunError(f"'{folder}' holds a run of stage '{stage}' with seed {seed}; choose another run_dir")
    if fixed:
        told = ", ".join(map(str, fixed))
        raise RunError(f"the run in '{folder}' cannot go on with {told}; put it back, or choose another run_dir")
    later = [change for change in found if rule(change.key) == FROM_HERE]
    if done[-1] > config.steps:
        raise RunError(
            f"the run in '{folder}' is at step {done[-1]}, past steps = {config.steps}; "
            "ask for more steps, or choose another run_dir"
        )
    if done[-1] == config.steps and any(change.key != "steps" for change in later):
        told = ", ".join(str(change) for change in later if change.key != "steps")
        raise RunError(
            f"the run in '{folder}' has done its {config.steps} steps, so that nothing would be learnt with {told}; "
            "ask for more steps, or choose another run_dir"
        )
    return done[-1], later


def _recorded(folder: Path, step: int, config: RunConfig) -> dict[str, Any]:
    """The configuration that the run went on with last; where that file is gone, only stage and seed are known."""
    state = checkpoint.state_of(checkpoint.path_of(folder, step))
    known = {"stage": state["stage"], "seed": state["seed"]}
    path = folder / "config.json"
    try:
        return json.loads(path.read_text(encoding="utf-8")) | known
    except FileNotFoundError:
        return config.model_dump() | known
    except (OSError, ValueError, TypeError) as error:
        raise RunError(f"'{path}' is damaged; put a good copy back, or delete it to go on unchecked") from error


def _flat(body: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """`a.b.0.c` -> value, of nested tables and lists of tables."""
    rows = body.items() if isinstance(body, dict) else enumerate(body)
    for name, value in rows:
        nested = isinstance(value, dict) or (isinstance(value, list) and any(isinstance(v, dict) for v in value))
        if nested:
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _told(value: Any) -> str:
    return "none" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
