"""A pipeline's stand-in that paints a square of the seed's colour: sessions in microseconds, with real files."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from inkontext.geometry import Frame, frame_for
from inkontext.model.presets import Sampling
from inkontext.pipeline import Pipeline
from inkontext.result import Result
from inkontext.safety.pictures import read_picture


class Painter:
    """Latents are the means of 8x8 cells in the first three channels; decoding shows them flat."""

    def __init__(self, fingerprint: str = "painter") -> None:
        self.model = {"name": "painter", "fingerprint": fingerprint, "trained": True}
        self.autoencoder = nn.Linear(1, 1)
        nn.init.zeros_(self.autoencoder.weight)
        nn.init.zeros_(self.autoencoder.bias)
        self.autoencoder.cfg = cast(Any, SimpleNamespace(scale_factor=1.0, shift_factor=0.0))
        self.resolution, self.sampling = 64, Sampling()
        self.calls: list[dict[str, Any]] = []

    def encode(self, image: Image.Image, resolution: int | None = None) -> tuple[Tensor, Frame]:
        picture = read_picture(image).rgb
        small = np.asarray(picture.resize((picture.width // 8, picture.height // 8), Image.Resampling.BOX))
        z = torch.zeros(1, 16, *small.shape[:2])
        z[0, :3] = torch.from_numpy(small.copy()).permute(2, 0, 1).float()
        return z, frame_for(picture.size, picture.size)

    def decode(self, latents: Tensor) -> Image.Image:
        cells = latents[0, :3].permute(1, 2, 0).round().to(torch.uint8).numpy()
        return Image.fromarray(cells.repeat(8, 0).repeat(8, 1))

    def edit(
        self, image: Image.Image, prompt: str, *, context_latents: Tensor | None, seed: int, count: int = 1, **more: Any
    ) -> Result:
        if context_latents is None:  # there are cues, or another resolution
            context_latents = self.encode(image)[0]
        self.calls.append({"prompt": prompt, "seed": seed, "context": context_latents.clone(), "count": count, **more})
        painted = [self._paint(context_latents.clone(), seed + n) for n in range(count)]
        frame = frame_for(image.size, image.size).as_dict()
        records = [{"frame": frame, "prompt": prompt, "seed": seed + n} for n in range(count)]
        return Result([self.decode(z) for z in painted], records, painted, painted)

    @staticmethod
    def _paint(z: Tensor, seed: int) -> Tensor:
        rng = np.random.default_rng(seed)
        y, x = rng.integers(0, z.shape[2]), rng.integers(0, z.shape[3])
        z[0, :3, y, x] = torch.from_numpy(rng.integers(0, 256, 3)).float()
        return z


def painter(fingerprint: str = "painter") -> Pipeline:
    return cast(Pipeline, Painter(fingerprint))


def start(seed: int = 0, side: int = 32) -> Image.Image:
    """A picture of smooth colours with texture inside its cells."""
    rng = np.random.default_rng(seed)
    cells = rng.integers(40, 200, (side // 8, side // 8, 3)).repeat(8, 0).repeat(8, 1)
    return Image.fromarray((cells + rng.integers(0, 5, cells.shape)).astype(np.uint8))
