"""Choice of device and dtype."""

from __future__ import annotations

import pytest
import torch

from inkontext.errors import OptionError
from inkontext.runtime.device import choose_device, choose_dtype

CPU = torch.device("cpu")


def test_small_models_run_in_float32_on_a_cpu() -> None:
    assert choose_dtype(None, CPU, 10**8) == torch.float32
    assert choose_dtype(None, CPU, 10**10) == torch.bfloat16
    assert choose_dtype(None, torch.device("cuda"), 10**8) == torch.bfloat16


@pytest.mark.parametrize(("name", "dtype"), [("bf16", torch.bfloat16), ("float16", torch.float16)])
def test_names(name: str, dtype: torch.dtype) -> None:
    assert choose_dtype(name, CPU, 1) == choose_dtype(dtype, CPU, 1) == dtype


@pytest.mark.parametrize("dtype", ["int8", "float99", torch.int64])
def test_unknown_dtype(dtype: str | torch.dtype) -> None:
    with pytest.raises(OptionError, match="float32, bfloat16, float16"):
        choose_dtype(dtype, CPU, 1)


@pytest.mark.parametrize("device", ["tpu", "cuda:99", "nonsense:3"])
def test_unknown_device(device: str) -> None:
    with pytest.raises(OptionError, match="is not available here"):
        choose_device(device)
