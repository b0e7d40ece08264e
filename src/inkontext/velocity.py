"""The network as the function v(z, t) that a solver integrates: everything but z and t held fixed."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from inkontext.errors import NonFiniteError
from inkontext.flow.expectation import expectation
from inkontext.model.text import TextEncoding
from inkontext.model.transformer import FluxTransformer, Prefix
from inkontext.numerics import Numerics
from inkontext.runtime.context_cache import ContextCache
from inkontext.runtime.guard import first_nonfinite
from inkontext.sequence import Grid, image_ids, pack, text_ids, unpack


@dataclass
class Velocity:
    """v_theta(z_t, t, y, c) for one picture (eq. 3), with true classifier-free guidance where asked.

    Attributes:
        context: clean latents `[1, 16, h, w]` of every reference; empty for text-to-image.
        target: grid of the picture being made, in packed tokens.
        scheme: how the references' positions are laid out.
        guidance: scale fed to the network, or None for a network without that input.
        negative, true_cfg: v = v_neg + true_cfg (v - v_neg); the context and the embedded guidance stay in both.
        cache: keeps what an asymmetric network reads of context and text; None computes it for this picture alone.
        model: fingerprint of the network's weights, under which the cache keeps it.
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
    cache: ContextCache | None = None
    model: str = ""

    def __post_init__(self) -> None:
        parameter = next(self.transformer.parameters())
        self.device, self.dtype = parameter.device, parameter.dtype
        grids = [(z.shape[2] // 2, z.shape[3] // 2) for z in self.context]
        self.img_ids = image_ids(self.target, grids, self.scheme).to(self.device)
        self.tokens = [pack(z).to(self.device, self.dtype) for z in self.context]
        self.step = 0
        self.prefixes = [self._prefixes(text, self.cache) for text in self._texts()]

    def __call__(self, z: Tensor, t: float) -> Tensor:
        """Velocity of the packed target tokens `[1, L, 64]`.

        Raises:
            NonFiniteError: names the submodule where NaN or infinity first appeared.
        """
        self.step += 1
        v, *others = (
            self._evaluate(z, t, text, before) for text, before in zip(self._texts(), self.prefixes, strict=True)
        )
        for v_negative in others:
            v = v_negative + self.true_cfg * (v - v_negative)
        if not torch.isfinite(v).all():
            raise NonFiniteError(self._explain(z, t))
        return self.numerics.slope(v)

    def expected(self, clean: Tensor, noise: Tensor) -> Tensor:
        """What the network expects of an edit before it draws one (`flow.expectation`), `[1, C, h, w]`.

        Args:
            clean: latents `[1, C, h, w]` of the picture to be edited.
            noise: the sampling's own, packed `[1, L, 64]`.
        """
        return unpack(expectation(self, pack(clean).to(noise.dtype), noise), self.target)

    def _texts(self) -> list[TextEncoding]:
        """The prompt and, where there is one, the negative prompt, as the network takes them."""
        texts = [self.text] if self.negative is None else [self.text, self.negative]
        return [TextEncoding(*(x.to(self.device, self.dtype) for x in text)) for text in texts]

    def _prefixes(self, text: TextEncoding, cache: ContextCache | None) -> list[Prefix] | None:
        """What the target reads of context and text at every step; None where that changes with the step."""
        if not self.transformer.cfg.asymmetric:
            return None
        context = torch.cat(self.tokens, dim=1) if self.tokens else None
        ids = self.img_ids[self.target[0] * self.target[1] :]
        return (cache or ContextCache(limit=0)).prefixes(self.transformer, self.model, context, ids, text)

    def _evaluate(self, z: Tensor, t: float, text: TextEncoding, before: list[Prefix] | None) -> Tensor:
        time = self.numerics.time_input(t, self.dtype, self.device)
        guidance = None if self.guidance is None else torch.tensor([self.guidance], device=self.device).to(time.dtype)
        if before is not None:
            ids = self.img_ids[: z.shape[1]]
            return self.transformer.target_velocity(z.to(self.dtype), ids, time, text.vec, guidance, before)
        out = self.transformer(
            img=torch.cat([z.to(self.dtype), *self.tokens], dim=1),
            img_ids=self.img_ids,
            txt=text.txt,
            txt_ids=text_ids(text.txt.shape[1]).to(self.device),
            timesteps=time,
            y=text.vec,
            guidance=guidance,
        )
        return out[:, : z.shape[1]]

    def _explain(self, z: Tensor, t: float) -> str:
        def rerun(text: TextEncoding) -> Tensor:
            return self._evaluate(z, t, text, self._prefixes(text, None))

        where = None
        for text in self._texts():
            where = where or first_nonfinite(self.transformer, lambda text=text: rerun(text))
        place = f"in transformer.{where}" if where else "in the guided velocity"
        return (
            f"NaN or infinity appeared {place} at step {self.step} (t = {t:.3f}); "
            "try --dtype bfloat16 or float32, and check the weights with `inkontext inspect`"
        )
