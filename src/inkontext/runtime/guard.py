"""Find where the first NaN or infinity appears, without a check on the path where all is well."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn


def first_nonfinite(module: nn.Module, rerun: Callable[[], Any]) -> str | None:
    """Name of the first submodule, in order of execution, whose output is not finite; None if all are.

    Args:
        module: the network to watch.
        rerun: repeats the evaluation that went wrong.
    """
    found: list[str] = []

    def watch(name: str) -> Callable[..., None]:
        def hook(_module: nn.Module, _inputs: Any, output: Any) -> None:
            if not found and not all(torch.isfinite(t).all() for t in _tensors(output)):
                found.append(name)

        return hook

    hooks = [child.register_forward_hook(watch(name)) for name, child in module.named_modules() if name]
    try:
        rerun()
    finally:
        for hook in hooks:
            hook.remove()
    return found[0] if found else None


def _tensors(output: Any) -> Iterable[Tensor]:
    if isinstance(output, Tensor):
        return [output]
    if isinstance(output, list | tuple):
        return [t for part in output for t in _tensors(part)]
    return []
