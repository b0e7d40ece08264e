"""Which attention kernel a training step on a CPU takes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

SHORT = 512  # tokens


@contextmanager
def attention_for_training(device: torch.device, tokens: int) -> Iterator[None]:
    """Plain products on a CPU where the sequence is short, else PyTorch's choice.

    The backward pass of PyTorch's flash attention for CPUs takes several times as long as plain products at the tens
    of tokens a small model has, most of all in bfloat16; the memory it saves does not matter there.
    """
    if device.type != "cpu" or tokens > SHORT:
        yield
        return
    before = torch.backends.cuda.fp16_bf16_reduction_math_sdp_allowed()
    torch.backends.cuda.allow_fp16_bf16_reduction_math_sdp(True)  # despite its name, for every device
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.cuda.allow_fp16_bf16_reduction_math_sdp(before)
