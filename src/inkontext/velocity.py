"""The network as the function v(z, t) that a solver integrates: everything but z and t held fixed."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from inkontext.errors import NonFiniteError
from inkontext.model.text import TextEncoding
from inkontext.model.transformer import FluxTransformer
from inkontext.numerics import Numerics
from inkontext.runtime.guard import first_nonfinite
from inkontext.sequence import Grid, image_ids, pack, text_ids


@dataclass
class Velocity:
    """v_theta(z_t, t, y, c) for one picture (eq. 3), with true classifier-free guidance where asked.

    Attributes:
        context: clean latents `[1, 16, h, w]` of every reference; empty for text-to-image.
        target: grid of the picture being made, in packed tokens.
        scheme: how the references' positions are laid out.
        guidance: scale fed to the network, or None for a network without that input.
        negative, true_cfg: v = v_neg + true_cfg (v - v_neg); the context and the embedded guidance stay in both.
    """

    transformer: FluxTransformer
    numerics: Numerics
    text: TextEncoding
    context: list[Tensor]
    target: Grid
    scheme: str
    guidance: float | None
    negative: TextEncoding | None = None
    true_cfg: float = 1.0

    def __post_init__(self) -> None:
        parameter = next(self.transformer.parameters())
        self.device, self.dtype = parameter.device, parameter.dtype
        grids = [(z.shape[2] // 2, z.shape[3] // 2) for z in self.context]
        self.img_ids = image_ids(self.target, grids, self.scheme).to(self.device)
        self.tokens = [pack(z).to(self.device, self.dtype) for z in self.context]
        self.step = 0

    def __call__(self, z: Tensor, t: float) -> Tensor:
        """Velocity of the packed target tokens `[1, L, 64]`.

        Raises:
            NonFiniteError: names the submodule where NaN or infinity first appeared.
        """
        self.step += 1
        v = self._evaluate(z, t, self.text)
        if self.negative is not None:
            v_negative = self._evaluate(z, t, self.negative)
            v = v_negative + self.true_cfg * (v - v_negative)
        if not torch.isfinite(v).all():
            raise NonFiniteError(self._explain(z, t))
        return self.numerics.slope(v)

    def _evaluate(self, z: Tensor, t: float, text: TextEncoding) -> Tensor:
        time = self.numerics.time_input(t, self.dtype, self.device)
        guidance = None if self.guidance is None else torch.tensor([self.guidance], device=self.device).to(time.dtype)
        out = self.transformer(
            img=torch.cat([z.to(self.dtype), *self.tokens], dim=1),
            img_ids=self.img_ids,
            txt=text.txt.to(self.device, self.dtype),
            txt_ids=text_ids(text.txt.shape[1]).to(self.device),
            timesteps=time,
            y=text.vec.to(self.device, self.dtype),
            guidance=guidance,
        )
        return out[:, : z.shape[1]]

    def _explain(self, z: Tensor, t: float) -> str:
        where = None
        for text in filter(None, (self.text, self.negative)):
            where = where or first_nonfinite(self.transformer, lambda text=text: self._evaluate(z, t, text))
        place = f"in transformer.{where}" if where else "in the guided velocity"
        return (
            f"NaN or infinity appeared {place} at step {self.step} (t = {t:.3f}); "
            "try --dtype bfloat16 or float32, and check the weights with `inkontext inspect`"
        )
