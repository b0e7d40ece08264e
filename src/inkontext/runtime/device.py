"""Which device and which dtype, when the caller says so and when not."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from inkontext.errors import OptionError


def choose_device(device: str | torch.device | None) -> torch.device:
    """The named device, or the best there is. Raises OptionError for one that is not there."""
    if device is None:
        return torch.device(next(_accelerators(), "cpu"))
    try:
        chosen = torch.device(device)
        torch.empty(1, device=chosen)
    except (RuntimeError, AssertionError) as error:
        known = ", ".join([*_accelerators(), "cpu"])
        raise OptionError(f"device {str(device)!r} is not available here; choose one of {known}") from error
    return chosen


def _accelerators() -> Iterator[str]:
    if torch.cuda.is_available():
        yield "cuda"
    if torch.backends.mps.is_available():
        yield "mps"


def choose_dtype(dtype: str | torch.dtype | None, device: torch.device, parameters: int) -> torch.dtype:
    """float32 for a small model on a CPU, else bfloat16, unless named. Raises OptionError for others."""
    if dtype is None:
        return torch.float32 if device.type == "cpu" and parameters < 10**9 else torch.bfloat16
    names = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
    names |= {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
    chosen = names.get(dtype) if isinstance(dtype, str) else dtype
    if chosen not in (torch.float32, torch.bfloat16, torch.float16):
        raise OptionError(f"dtype {dtype!r} is not one of float32, bfloat16, float16")
    return chosen
