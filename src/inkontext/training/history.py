"""How a model came to be: every command of every run it went through, what each set, and what came of it.

RUN/commands.json     the commands of a run, each with the step it began at, and the runs that it started from
MODEL/history.json    the runs of a model, oldest first, those of the models it was made from among them

A configuration is what differs from the defaults of the version beside it. What leaves the run's folder with a model
has no absolute paths: they would tell of a machine and its user.
"""

from __future__ import annotations

import itertools
import json
import platform
import re
import shlex
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import torch

from inkontext import __version__
from inkontext.errors import ModelNotFoundError, RunError, WeightsError
from inkontext.storage import write_json
from inkontext.training.config import RunConfig, filled, unlike_defaults
from inkontext.training.start import model_folder

COMMANDS, HISTORY = "commands.json", "history.json"
Run = dict[str, Any]
_PAUSE: Final = 600  # seconds between two lines of metrics from which on nobody was training
_ABSOLUTE = re.compile(r"[/\\~]|[A-Za-z]:[/\\]")
_QUOTED = re.compile(r"\"[^\"]*\"|'[^']*'")


def begin(folder: Path, config: RunConfig, command: str | None, start: int) -> None:
    """Write down the command that goes on with a run at step `start`; None where there was no command line."""
    known = _commands(folder)
    line = {"from_step": start, "command": command, "version": version().splitlines()[0]}
    line["configuration"] = unlike_defaults(config.model_dump(mode="json"))
    before = known["before"] if start and "before" in known else _before(config)
    kept = [old for old in known["commands"] if old["from_step"] < start]  # the steps of the others are done again
    write_json(folder / COMMANDS, {"before": before, "commands": [*kept, line]})


def export(model: Path, folder: Path) -> None:
    """Write the history of the model that a run has made."""
    write_json(model / HISTORY, {"runs": merged(_commands(folder).get("before", []), [run_of(folder)])})


def merged(*histories: Iterable[Run]) -> list[Run]:
    """The runs of several histories, each once, by when they began."""
    runs = {(run["stage"], run["began"]): run for run in itertools.chain(*histories)}
    return sorted(runs.values(), key=lambda run: run["began"])


def runs_of(model: Path) -> list[Run]:
    """The runs that a model's folder tells of. Raises WeightsError where it cannot be read."""
    path = model / HISTORY
    if not path.is_file():
        return []
    try:
        return merged(json.loads(path.read_text(encoding="utf-8"))["runs"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WeightsError(f"'{path}' holds no history; put a good copy back, or delete it") from error


def run_of(folder: Path) -> Run:
    """A run, from its commands and its metrics, with nothing in it that is this machine's."""
    config = filled(json.loads((folder / "config.json").read_text(encoding="utf-8")))
    commands = [_public(line) for line in _commands(folder)["commands"]]
    path = folder / "metrics.jsonl"
    seen = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []
    steps = max((line["step"] for line in seen), default=0)
    ends = [*(line["from_step"] for line in commands[1:]), steps]
    rows = sum(
        (end - line["from_step"]) * line["configuration"]["batch"] for line, end in zip(commands, ends, strict=True)
    )
    gaps = [b["time"] - a["time"] for a, b in itertools.pairwise(seen)]
    return {
        "stage": config["stage"],
        "from": _public(config["model"]["start"]) or "nothing",
        "px": ", ".join(map(str, sorted({row["size"] or config["data"]["size"] for row in config["data"]["sources"]}))),
        "steps": f"{steps:,}",
        "rows a step": config["batch"],
        "rows": f"{rows:,}",
        "seed": config["seed"],
        "hours": f"{sum(gap for gap in gaps if gap < _PAUSE) / 3600:.1f}",
        "optimiser": config["optimiser"]["kind"],
        "held out": _held_out(seen),
        "began": seen[0]["time"] if seen else 0,
        "commands": commands,
    }


def _held_out(seen: list[dict[str, Any]]) -> str:
    last = next((line for line in reversed(seen) if {"validation/loss", "validation/psnr"} & line.keys()), {})
    if "validation/psnr" in last:
        return f"{last['validation/psnr']:.1f} dB"
    return f"loss {last['validation/loss']:.3f}" if last else "not measured"


def _commands(folder: Path) -> dict[str, Any]:
    """What `begin` wrote; for a run of before that, the configurations without their commands."""
    path = folder / COMMANDS
    if path.is_file():
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise RunError(f"'{path}' is damaged; put a good copy back, or delete it") from error
    parts, start = [], 0
    for file in [*sorted(folder.glob("config-until-*.json")), *folder.glob("config.json")]:
        settings = unlike_defaults(json.loads(file.read_text(encoding="utf-8")))
        parts.append(
            {"from_step": start, "command": None, "version": f"inkontext {__version__}", "configuration": settings}
        )
        start = int(file.stem.rpartition("-")[2]) if file.stem != "config" else start
    return {"commands": parts}


def _before(config: RunConfig) -> list[Run]:
    """The runs of the models that a run takes weights from."""
    teacher = config.context_cache.teacher if config.context_cache else None
    found: list[list[Run]] = []
    for place in filter(None, (config.model.start, config.model.autoencoder, teacher)):
        try:
            found.append(runs_of(model_folder(place)))
        except ModelNotFoundError:  # an autoencoder may be a file alone
            continue
    return merged(*found)


def _public(value: Any) -> Any:
    """The same without absolute paths: relative to where the run was started, or the last part alone."""
    if isinstance(value, dict):
        return {k: _public_command(v) if k == "command" else _public(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_public(v) for v in value]
    if not isinstance(value, str) or not _ABSOLUTE.match(value):
        return value
    if Path(value).is_relative_to(Path.cwd()):
        return str(Path(value).relative_to(Path.cwd()))
    return ".../" + re.split(r"[/\\]", value.rstrip("/\\"))[-1].lstrip("~")


def _public_command(command: str | None) -> str | None:
    """Likewise; a word is a path, KEY=PATH, or KEY=TOML with paths between quotes."""
    if command is None:
        return None
    words = []
    for typed in shlex.split(command):
        word = _QUOTED.sub(lambda found: found[0][0] + _public(found[0][1:-1]) + found[0][0], typed)
        key, sign, value = word.partition("=")
        words.append(key + sign + _public(value) if sign and not _ABSOLUTE.match(word) else _public(word))
    return shlex.join(words)


def version() -> str:
    """This code and what it runs on; the commit where `git` is there to tell it."""
    command = ["git", "describe", "--always", "--dirty"]
    try:
        git = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parent, check=False).stdout
    except OSError:  # not installed, or not to be run
        git = ""
    return (
        f"inkontext {__version__} ({git.strip() or 'no git'})\n"
        f"torch {torch.__version__}, python {platform.python_version()}, {platform.machine()}\n"
    )
