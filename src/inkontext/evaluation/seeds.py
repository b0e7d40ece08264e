"""Noise that belongs to a row, not to its place in a run."""

from __future__ import annotations

import hashlib


def noise_seed(seed: int, key: str) -> int:
    """The seed of a row's noise: 63 bits of SHA-256, so that neither the order nor the shard matters."""
    return int.from_bytes(hashlib.sha256(f"{seed} {key}".encode()).digest()[:8], "big") >> 1
