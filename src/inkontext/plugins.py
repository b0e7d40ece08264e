"""Functions of the user's that score, embed or judge pictures: from a file, a module, or an installed package."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from inkontext.errors import OptionError


@dataclass(frozen=True)
class Plugin:
    """A function and what tells it from others: its name and a digest of the file it stands in."""

    function: Callable[..., Any]
    identity: dict[str, Any]


def load_function(spec: str) -> Plugin:
    """From `FILE.py:FUNCTION` or `MODULE:FUNCTION`. Raises OptionError."""
    place, colon, name = spec.rpartition(":")
    if not colon or not place or not name.isidentifier():
        raise OptionError(f"'{spec}' names no function; write FILE.py:FUNCTION or MODULE:FUNCTION")
    try:
        module = _from_file(Path(place)) if place.endswith(".py") else importlib.import_module(place)
    except Exception as error:
        raise OptionError(f"'{place}' cannot be imported ({told(error)}); correct it") from error
    function = getattr(module, name, None)
    if not callable(function):
        raise OptionError(f"'{place}' has no function '{name}'; check the name after the colon")
    return Plugin(function, {"function": f"{Path(place).name}:{name}", "digest": _digest(function)})


def installed(group: str) -> list[EntryPoint]:
    """The entry points of a group in the order of their names, none of them loaded."""
    return sorted(entry_points(group=group), key=lambda point: point.name)


def load_entry_point(point: EntryPoint) -> Plugin:
    """Raises OptionError where the package cannot be imported."""
    try:
        function = point.load()
    except Exception as error:
        raise OptionError(f"'{point.value}' cannot be imported ({told(error)}); correct or remove it") from error
    version = point.dist.version if point.dist else None
    return Plugin(function, {"function": point.value, "digest": _digest(function), "version": version})


def find_function(name: str, what: str, group: str, own: Mapping[str, str]) -> Plugin:
    """From a name: one of ours (name -> `MODULE:FUNCTION`), an entry point of the group, or what `load_function` reads.

    what: what the function is, for the message. Raises OptionError.
    """
    if name in own:
        return load_function(own[name])
    points = {point.name: point for point in installed(group)}
    if name in points:
        return load_entry_point(points[name])
    if ":" not in name:
        known = ", ".join(sorted({*own, *points}))
        raise OptionError(f"unknown {what} '{name}'; choose {known}, or write FILE.py:FUNCTION or MODULE:FUNCTION")
    return load_function(name)


def told(error: BaseException) -> str:
    """An error's kind and words on one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:200].rstrip(": ")


def _from_file(path: Path) -> Any:
    name = f"inkontext_plugin_{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:12]}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"no file '{path}'")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickling look a module up by its name
    spec.loader.exec_module(module)
    return module


def _digest(function: Callable[..., Any]) -> str | None:
    """Of the file that the function was written in; None where there is none."""
    try:
        file = inspect.getsourcefile(inspect.unwrap(function))
    except TypeError:
        file = inspect.getsourcefile(type(function)) if type(function).__module__ != "builtins" else None
    return hashlib.sha256(Path(file).read_bytes()).hexdigest()[:16] if file and Path(file).is_file() else None
