"""Seconds by stage of somebody else's code: methods are timed from outside while a block runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Self

import torch

Method = tuple[str, Any, str]  # stage, object, name of its method


def synchronise(device: torch.device) -> None:
    """Wait until the device has done all it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


class Stages:
    """While entered, the named methods of the named objects are timed; calls into one stage add up.

    The device is waited for before and after each, so that a stage is charged with its own work. Methods of different
    stages must not call each other.

    Attributes:
        seconds: by stage, all stages from 0.
    """

    def __init__(self, device: torch.device, methods: Sequence[Method]) -> None:
        self.device, self.methods = device, methods
        self.seconds: dict[str, float] = dict.fromkeys((stage for stage, _, _ in methods), 0.0)

    def __enter__(self) -> Self:
        for stage, owner, name in self.methods:
            setattr(owner, name, self._timed(stage, getattr(owner, name)))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        for _, owner, name in self.methods:
            delattr(owner, name)  # the class's own shows again

    def _timed(self, stage: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*arguments: Any, **named: Any) -> Any:
            synchronise(self.device)
            started = time.perf_counter()
            try:
                return method(*arguments, **named)
            finally:
                synchronise(self.device)
                self.seconds[stage] += time.perf_counter() - started

        return timed
