"""The FLUX transformer: embed, double stream blocks, single stream blocks, project (paper figure 2)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from inkontext.model.blocks import (
    DoubleStreamBlock,
    KeyValue,
    LastLayer,
    MLPEmbedder,
    SingleStreamBlock,
    Stream,
    scalar_embedding,
)
from inkontext.model.presets import TransformerConfig
from inkontext.model.rope import rope_table

Prefix = list[KeyValue]  # of some tokens, in every block: double blocks first, then single blocks


class FluxTransformer(nn.Module):
    """Velocity network v(z_t, t, y, c) over one sequence of target, context and text tokens (eq. 1, 3).

    An asymmetric one is the same network under a mask: context reads context, text reads context and text, the target
    reads everything; and context and text are modulated at one fixed time. What the target reads of them is then the
    same at every step, so that it can be computed once (`context_prefix`, `text_prefix`) and kept (`target_velocity`).
    """

    def __init__(self, cfg: TransformerConfig) -> None:
        super().__init__()
        self.cfg = cfg
        dim = cfg.hidden_size
        self.img_in = nn.Linear(cfg.in_channels, dim)
        self.time_in = MLPEmbedder(256, dim)
        self.vector_in = MLPEmbedder(cfg.vec_in_dim, dim)
        self.guidance_in = MLPEmbedder(256, dim) if cfg.guidance_embed else None
        self.txt_in = nn.Linear(cfg.context_in_dim, dim)
        self.double_blocks = nn.ModuleList(DoubleStreamBlock(cfg) for _ in range(cfg.depth))
        self.single_blocks = nn.ModuleList(SingleStreamBlock(cfg) for _ in range(cfg.depth_single_blocks))
        self.final_layer = LastLayer(cfg)

    def forward(
        self,
        img: Tensor,
        img_ids: Tensor,
        txt: Tensor,
        txt_ids: Tensor,
        timesteps: Tensor,
        y: Tensor,
        guidance: Tensor | None = None,
        target: int | None = None,
    ) -> Tensor:
        """One evaluation of the velocity.

        Args:
            img: `[B, L_img, in_channels]` packed target tokens, then context tokens.
            img_ids: `[L_img, 3]` float32 positions (t, h, w).
            txt: `[B, L_txt, context_in_dim]` sequence of the text tower, padding included.
            txt_ids: `[L_txt, 3]` float32, zeros.
            timesteps: `[B]` in 0..1, 1 is noise.
            y: `[B, vec_in_dim]` pooled text.
            guidance: `[B]` guidance scale; required exactly when the model has a guidance input.
            target: how many of `img` are the target's; required by an asymmetric model.

        Returns:
            `[B, L_img, out_channels]` velocities, of which the caller keeps the target's part; an asymmetric model
            gives that part alone.

        Raises:
            ValueError: guidance or target missing, or ids that do not match the tokens.
        """
        if img_ids.shape != (img.shape[1], 3) or txt_ids.shape != (txt.shape[1], 3):
            raise ValueError(
                f"ids {tuple(img_ids.shape)}, {tuple(txt_ids.shape)} do not match tokens "
                f"{tuple(img.shape)}, {tuple(txt.shape)}"
            )
        if self.cfg.asymmetric:
            if target is None:
                raise ValueError("this model is asymmetric; pass `target`, the number of target tokens")
            before = [self.context_prefix(img[:, target:], img_ids[target:])] if target < img.shape[1] else []
            before.append(self.text_prefix(txt, txt_ids, y, before))
            return self.target_velocity(img[:, :target], img_ids[:target], timesteps, y, guidance, before)
        img = self.img_in(img)
        txt = self.txt_in(txt)
        vec = self.condition(timesteps, y, guidance, img.dtype)
        pe = rope_table(torch.cat([txt_ids, img_ids]), self.cfg.axes_dim, self.cfg.theta)

        for block in self.double_blocks:
            img, txt = block(img, txt, vec, pe)
        x = torch.cat([txt, img], dim=1)
        for block in self.single_blocks:
            x = block(x, vec, pe)
        return self.final_layer(x[:, txt.shape[1] :], vec)

    def condition(self, timesteps: Tensor, y: Tensor, guidance: Tensor | None, dtype: torch.dtype) -> Tensor:
        """The vector `[B, hidden]` that modulates every block: time, guidance and pooled text, summed."""
        vec = self.time_in(scalar_embedding(timesteps).to(dtype))
        if self.guidance_in is not None:
            if guidance is None:
                raise ValueError("this model has a guidance input; pass `guidance`")
            vec = vec + self.guidance_in(scalar_embedding(guidance).to(dtype))
        return vec + self.vector_in(y)

    def context_prefix(self, context: Tensor, ids: Tensor) -> Prefix:
        """Keys and values of context tokens `[B, L, in_channels]` at `[L, 3]`: of pictures alone, whatever is asked.

        Raises:
            ValueError: the model is symmetric, so its context reads the target.
        """
        self._must_be_asymmetric()
        x = self.img_in(context)
        return self._extend(x, ids, self._still(x), "img", [])[1]

    def text_prefix(self, txt: Tensor, ids: Tensor, y: Tensor, before: Sequence[Prefix]) -> Prefix:
        """Keys and values of text tokens, which read the context's in `before`; shapes as in `forward`."""
        self._must_be_asymmetric()
        x = self.txt_in(txt)
        return self._extend(x, ids, self._still(x) + self.vector_in(y), "txt", before)[1]

    def target_velocity(
        self, img: Tensor, ids: Tensor, timesteps: Tensor, y: Tensor, guidance: Tensor | None, before: Sequence[Prefix]
    ) -> Tensor:  # fmt: skip
        """Velocity of target tokens `[B, L, in_channels]` that read the prefixes of context and text."""
        self._must_be_asymmetric()
        x = self.img_in(img)
        vec = self.condition(timesteps, y, guidance, x.dtype)
        x, _ = self._extend(x, ids, vec, "img", before)
        return self.final_layer(x, vec)

    def _extend(
        self, x: Tensor, ids: Tensor, vec: Tensor, stream: Stream, before: Sequence[Prefix]
    ) -> tuple[Tensor, Prefix]:
        """Tokens of one kind through every block, reading themselves and what is before; their keys and values too."""
        pe = rope_table(ids, self.cfg.axes_dim, self.cfg.theta)
        read = list(zip(*before, strict=True)) or [()] * (self.cfg.depth + self.cfg.depth_single_blocks)
        own: Prefix = []
        for block, keys in zip(self.double_blocks, read[: self.cfg.depth], strict=True):
            assert isinstance(block, DoubleStreamBlock)
            x, mine = block.extend(x, vec, pe, stream, keys)
            own.append(mine)
        for block, keys in zip(self.single_blocks, read[self.cfg.depth :], strict=True):
            assert isinstance(block, SingleStreamBlock)
            x, mine = block.extend(x, vec, pe, keys)
            own.append(mine)
        return x, own

    def _still(self, x: Tensor) -> Tensor:
        """The part `[B, hidden]` of the condition that the fixed time gives."""
        t = torch.full((len(x),), self.cfg.context_time, device=x.device)
        return self.time_in(scalar_embedding(t).to(x.dtype))

    def _must_be_asymmetric(self) -> None:
        if not self.cfg.asymmetric:
            raise ValueError("the context of a symmetric model reads the target; its keys and values cannot be kept")
