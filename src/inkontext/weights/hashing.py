"""What tells weights apart: of files at a glance, of a file to the last byte, and of tensors in memory."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def fingerprint(paths: Iterable[Path]) -> str:
    """A short hash of safetensors files: every header, the sizes, and 64 evenly spaced 4 KiB samples of each file.

    Two different models never share it by accident, and it takes milliseconds where a full hash of 24 GB
    takes minutes. Not a defence against someone who forges a file.
    """
    digest = hashlib.sha256()
    for path in sorted(paths):
        size = path.stat().st_size
        with path.open("rb") as file:
            (header,) = struct.unpack("<Q", file.read(8))
            digest.update(struct.pack("<Q", size) + file.read(header))
            for i in range(64):
                file.seek(size * i // 64)
                digest.update(file.read(4096))
    return digest.hexdigest()[:16]


def sha256(path: Path) -> str:
    """The full hash of a file, 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def weights_digest(*states: Mapping[str, Tensor], words: str = "") -> str:
    """A short hash of tensors as they are in memory, on whatever device: names, dtypes, shapes and every byte.

    Args:
        words: what else tells such weights apart; hashed first.
    """
    import torch

    digest = hashlib.sha256(words.encode())
    for state in states:
        for name, tensor in sorted(state.items()):
            digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}".encode())
            digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()[:16]
