"""Keep freed memory in the process.

glibc returns every large block to the system when it is freed and has it zeroed, page by page, when the next step asks
for the same again. A training step on a CPU frees and asks for hundreds.
"""

from __future__ import annotations

import ctypes
import platform

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4  # malloc.h


def keep_freed_memory() -> bool:
    """Memory then only grows up to its peak. Returns whether this C library can be told so; others are left alone."""
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return all(
        mallopt(option, value) for option, value in ((_MMAP_MAX, 0), (_TRIM_THRESHOLD, 2**31 - 1), (_TOP_PAD, 2**26))
    )
