"""The FLUX transformer: embed, double stream blocks, single stream blocks, project (paper figure 2)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from inkontext.model.blocks import (
    DoubleStreamBlock,
    LastLayer,
    MLPEmbedder,
    SingleStreamBlock,
    scalar_embedding,
)
from inkontext.model.presets import TransformerConfig
from inkontext.model.rope import rope_table


class FluxTransformer(nn.Module):
    """Velocity network v(z_t, t, y, c) over one sequence of target, context and text tokens (eq. 1, 3)."""

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

        Returns:
            `[B, L_img, out_channels]` velocities; the caller keeps the target's part.

        Raises:
            ValueError: guidance missing, or ids that do not match the tokens.
        """
        if img_ids.shape != (img.shape[1], 3) or txt_ids.shape != (txt.shape[1], 3):
            raise ValueError(
                f"ids {tuple(img_ids.shape)}, {tuple(txt_ids.shape)} do not match tokens "
                f"{tuple(img.shape)}, {tuple(txt.shape)}"
            )
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
