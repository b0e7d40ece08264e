"""Where the two reference implementations round differently, as one small table.

In float32 all three agree but for the last step to bytes. In bfloat16 the time input differs at a quarter
of the steps and the latents are rounded at different points. `EXACT`, the default, rounds nowhere it can
avoid; the others exist so that a picture can be compared with its reference.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from inkontext.errors import OptionError


@dataclass(frozen=True)
class Numerics:
    """Rounding rules of one implementation.

    Attributes:
        time: dtype path of the time input: `float32`, `model` (BFL: cast t), or `thousand` (diffusers: cast 1000 t).
        state: latents between steps: `float32`, `model`, or `rounded` (float32 sum, then rounded to the model's).
        truncate: bytes by truncation (BFL) instead of rounding.
        half_encode, half_decode: the autoencoder runs in the model's dtype there, not in its own float32.
    """

    time: str
    state: str
    truncate: bool
    half_encode: bool
    half_decode: bool

    def time_input(self, t: float, dtype: torch.dtype, device: torch.device) -> Tensor:
        """The `[1]` tensor the network is given for time `t`."""
        if self.time == "float32":
            return torch.tensor([t], device=device)
        if self.time == "model":
            return torch.tensor([t], device=device).to(dtype)
        return (torch.tensor([t], device=device) * 1000).to(dtype) / 1000

    def start(self, z: Tensor) -> Tensor:
        """Noise in the model's dtype -> solver state."""
        return z if self.state == "model" else z.float()

    def slope(self, v: Tensor) -> Tensor:
        """The network's velocity as the solver uses it."""
        return v.float() if self.state == "float32" else v

    def settle(self, z: Tensor, dtype: torch.dtype) -> Tensor:
        """The state after a step."""
        return z.to(dtype).float() if self.state == "rounded" else z


EXACT = Numerics("float32", "float32", truncate=False, half_encode=False, half_decode=False)
BFL = Numerics("model", "model", truncate=True, half_encode=False, half_decode=True)
DIFFUSERS = Numerics("thousand", "rounded", truncate=False, half_encode=True, half_decode=True)


def numerics_for(name: str | None) -> Numerics:
    """`None`, `"bfl"` or `"diffusers"` -> the rules. Raises OptionError otherwise."""
    table = {None: EXACT, "bfl": BFL, "diffusers": DIFFUSERS}
    if name not in table:
        raise OptionError(f"unknown reference_numerics {name!r}; use 'bfl', 'diffusers' or leave it out")
    return table[name]
