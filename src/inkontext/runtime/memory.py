"""How much memory this process has used."""

from __future__ import annotations

import sys

import torch


def peak_memory() -> float:
    """Peak memory of the process in GiB: the accelerator's where one is used, else the host's."""
    if torch.cuda.is_available() and torch.cuda.max_memory_allocated():
        return torch.cuda.max_memory_allocated() / 2**30
    return _peak_resident() / 2**30


def _peak_resident() -> int:
    """Bytes. Windows has no `resource`, and psutil knows the peak of a process there alone."""
    try:
        import resource
    except ImportError:
        import psutil

        return psutil.Process().memory_info().peak_wset  # pyright: ignore[reportAttributeAccessIssue]
    unit = 1 if sys.platform == "darwin" else 1024  # bytes on macOS, KiB elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
