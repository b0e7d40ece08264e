"""Latents to one token sequence and back: packing, (t, h, w) positions, where references go.

Paper section 3 and eq. 2: the image stream is [target | context 1 | context 2 | ...], the target has t = 0
and context image i has t = i. Grids are counted in packed tokens, (rows, columns).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from einops import rearrange
from torch import Tensor

from inkontext.errors import OptionError

Grid = tuple[int, int]
SCHEMES = ("index", "offset", "far", "stitch")


def pack(z: Tensor) -> Tensor:
    """Latents `[B, C, H, W]` (H, W even) -> tokens `[B, (H/2)(W/2), 4 C]`, features in order (c, dy, dx)."""
    return rearrange(z, "B C (h dy) (w dx) -> B (h w) (C dy dx)", dy=2, dx=2)


def unpack(tokens: Tensor, grid: Grid) -> Tensor:
    """The inverse of `pack`: tokens `[B, rows * columns, 4 C]` -> latents `[B, C, 2 rows, 2 columns]`."""
    return rearrange(tokens, "B (h w) (C dy dx) -> B C (h dy) (w dx)", h=grid[0], w=grid[1], dy=2, dx=2)


def grid_ids(grid: Grid, t: float = 0, h: float = 0, w: float = 0) -> Tensor:
    """Positions `[rows * columns, 3]` float32 of one image whose first token stands at (t, h, w).

    float32 always: bfloat16 cannot tell 257 from 256.
    """
    rows, columns = grid
    ids = torch.empty(rows, columns, 3)
    ids[..., 0] = t
    ids[..., 1] = h + torch.arange(rows, dtype=torch.float32)[:, None]
    ids[..., 2] = w + torch.arange(columns, dtype=torch.float32)[None, :]
    return rearrange(ids, "h w axes -> (h w) axes")


def text_ids(length: int) -> Tensor:
    """Positions `[length, 3]` of text tokens: all zero, so text is never rotated."""
    return torch.zeros(length, 3)


def reference_origins(grids: Sequence[Grid], scheme: str = "index") -> list[tuple[int, int, int]]:
    """First position (t, h, w) of every context image.

    * `index` (paper eq. 2): image i at t = i, rows and columns from 0.
    * `far` (FLUX.2): image i at t = 10 i.
    * `offset` (ComfyUI's default for Kontext): all at t = 1, each placed right of or below what is there,
      whichever keeps the longer side of the growing canvas shorter.
    * `stitch`: the pictures were pasted into one before encoding, so there is one image at t = 1.

    Raises:
        OptionError: an unknown scheme, or several images left under `stitch`.
    """
    if scheme in ("index", "far"):
        stride = 1 if scheme == "index" else 10
        return [(stride * (i + 1), 0, 0) for i in range(len(grids))]
    if scheme == "offset":
        return _offset_origins(grids)
    if scheme == "stitch":
        if len(grids) > 1:
            raise OptionError("the stitch scheme takes one picture; paste the references together first")
        return [(1, 0, 0)] * len(grids)
    raise OptionError(f"unknown reference scheme {scheme!r}; choose one of {', '.join(SCHEMES)}")


def _offset_origins(grids: Sequence[Grid]) -> list[tuple[int, int, int]]:
    origins = []
    canvas_h = canvas_w = 0
    for rows, columns in grids:
        below = rows + canvas_h <= columns + canvas_w
        h, w = (canvas_h, 0) if below else (0, canvas_w)
        origins.append((1, h, w))
        canvas_h, canvas_w = max(canvas_h, h + rows), max(canvas_w, w + columns)
    return origins


def image_ids(target: Grid, references: Sequence[Grid] = (), scheme: str = "index") -> Tensor:
    """Positions `[L_img, 3]` of the whole image stream, target first.

    Without references nothing is left in the sequence: plain text-to-image.
    """
    origins = reference_origins(references, scheme)
    parts = [grid_ids(target)]
    parts += [grid_ids(grid, *origin) for grid, origin in zip(references, origins, strict=True)]
    return torch.cat(parts)
