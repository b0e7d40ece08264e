"""Pictures to latents and back: the autoencoder as one call uses it, under that call's rounding rules."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from inkontext.errors import NonFiniteError
from inkontext.model.autoencoder import AutoEncoder
from inkontext.numerics import Numerics
from inkontext.pixels import to_bytes, to_float
from inkontext.request import Context
from inkontext.runtime.guard import first_nonfinite


class Coder:
    """An autoencoder beside a transformer on `device` in `dtype`; what was encoded once is remembered.

    Its methods raise NonFiniteError, which names the submodule where NaN or infinity first appeared.
    """

    def __init__(
        self, autoencoder: AutoEncoder, numerics: Numerics, device: torch.device, dtype: torch.dtype
    ) -> None:  # fmt: skip
        self.autoencoder, self.numerics, self.device, self.dtype = autoencoder, numerics, device, dtype
        self._encoded: dict[tuple, Tensor] = {}

    def seen(self, context: Context) -> Tensor:
        """What the transformer sees of a context, `[1, C, h, w]` in its own dtype."""
        z = self.encode(context) if context.latents is None else context.latents
        return z.to(self.device, self.dtype)

    def encode(self, context: Context) -> Tensor:
        """Latents `[1, C, h, w]` of a context's picture on its canvas."""
        key = (id(context.picture.rgb), context.frame)
        if key not in self._encoded:
            x = to_float(np.asarray(context.frame.place(context.picture.rgb))[None], self.device)
            with self._autocast(self.numerics.half_encode):
                z = self.autoencoder.encode(x)
            self._encoded[key] = self._finite(z, "encoder", lambda: self.autoencoder.encode(x))
        return self._encoded[key]

    def decode(self, z: Tensor) -> Image.Image:
        """The canvas that latents `[1, C, h, w]` show."""
        with self._autocast(self.numerics.half_decode):
            x = self.autoencoder.decode(z.float())
        x = self._finite(x, "decoder", lambda: self.autoencoder.decode(z.float()))
        return Image.fromarray(to_bytes(x, self.numerics.truncate)[0].cpu().numpy())

    def _finite(self, x: Tensor, part: str, rerun: Callable[[], Tensor]) -> Tensor:
        if torch.isfinite(x).all():
            return x
        where = first_nonfinite(self.autoencoder, rerun) or part
        raise NonFiniteError(
            f"NaN or infinity appeared in autoencoder.{where}; check the weights with `inkontext inspect`"
        )

    def _autocast(self, half: bool) -> AbstractContextManager:
        if half and self.dtype.itemsize == 2:
            return torch.autocast(self.device.type, dtype=self.dtype)
        return nullcontext()
