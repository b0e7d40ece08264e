"""The program that `torch.compile` needs and does not bring."""

from __future__ import annotations

import torch

from inkontext.errors import OptionError


def need_compiler(device: torch.device) -> None:
    """Raises OptionError where there is no C++ compiler, which compiling for a CPU calls."""
    if device.type != "cpu":
        return
    from torch._inductor.cpp_builder import get_cpp_compiler

    try:
        get_cpp_compiler()
    except RuntimeError as error:  # InvalidCxxCompiler
        raise OptionError(
            "compiling needs a C++ compiler, and none is found; install g++ or clang++, name one in CXX, or do without"
        ) from error
