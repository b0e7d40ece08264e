"""What is measured by `inkontext eval autoencoder`: autoencoders, and beside them what needs no network."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
import torch
from PIL import Image, features
from torch import Tensor

from inkontext.errors import InKontextError, OptionError, WeightsError
from inkontext.model.autoencoder import AutoEncoder
from inkontext.pixels import to_bytes, to_float
from inkontext.weights import load
from inkontext.weights.hashing import fingerprint
from inkontext.weights.source import Source, resolve_autoencoder

LATENT_BYTES: Final = 2  # of a number in bfloat16
_CHANNELS, _FACTOR = 16, 8  # of FLUX's latents: what "equal bytes" means, whatever is measured
_LANCZOS = Image.Resampling.LANCZOS


class NoReconstructionError(InKontextError):
    """A system cannot give this picture back; the message says why."""


@dataclass(frozen=True)
class Made:
    """A reconstruction, uint8 `[H, W, 3]`, the bytes it was made from, and JPEG's quality."""

    pixels: np.ndarray
    nbytes: int
    quality: int | None = None


class System(Protocol):
    """`label` names it in tables; `identity` is all that its reconstructions depend on, as plain values."""

    label: str
    identity: dict[str, Any]

    def check(self, size: int) -> None:
        """Raises OptionError for a side in pixels that it cannot take."""
        ...

    def make(self, pixels: np.ndarray) -> Made:
        """`[H, W, 3]` uint8 -> reconstruction of the same size. Raises NoReconstructionError."""
        ...


def latent_bytes(size: int, channels: int = _CHANNELS, factor: int = _FACTOR) -> int:
    """Bytes of a square picture's latents, channels x (size / factor)², in bfloat16."""
    return channels * (size // factor) ** 2 * LATENT_BYTES


class Network:
    """An autoencoder: the picture, through the posterior's mean, back to 8 bits."""

    def __init__(
        self, label: str, module: AutoEncoder | ForeignAutoEncoder, identity: dict[str, Any], device: torch.device,
        dtype: torch.dtype,
    ) -> None:  # fmt: skip
        self.label, self.module, self.device, self.dtype = label, module, device, dtype
        self.channels, self.factor = _latent_shape(module)
        self.identity = {
            "kind": "autoencoder", **identity, "channels": self.channels, "downsample": self.factor,
            "device": device.type, "dtype": str(dtype).removeprefix("torch."),
        }  # fmt: skip

    def check(self, size: int) -> None:
        if size % self.factor:
            raise OptionError(f"{self.label} takes multiples of {self.factor} pixels, not {size}; change --size")

    @torch.no_grad()
    def make(self, pixels: np.ndarray) -> Made:
        out = self.module.decode(self.module.encode(to_float(pixels[None], self.device).to(self.dtype)))
        if not torch.isfinite(out).all():
            raise NoReconstructionError("its output has NaN or infinity in it")
        return Made(to_bytes(out)[0].cpu().numpy(), latent_bytes(len(pixels), self.channels, self.factor))


class ForeignAutoEncoder:
    """An AutoencoderKL with quantisation convolutions, such as SD's and SDXL's, run by diffusers."""

    def __init__(self, folder: Path, device: torch.device, dtype: torch.dtype) -> None:
        try:
            from diffusers import AutoencoderKL  # type: ignore[attr-defined]
        except ImportError as error:
            raise OptionError(
                f"'{folder}' is an autoencoder of another family than FLUX's, which needs diffusers; "
                "pip install diffusers"
            ) from error
        try:
            module: Any = AutoencoderKL.from_pretrained(
                folder, torch_dtype=dtype, use_safetensors=True, local_files_only=True, low_cpu_mem_usage=False
            )
        except (OSError, ValueError, RuntimeError, TypeError) as error:
            reason = str(error).strip().partition("\n")[0]
            raise WeightsError(f"diffusers cannot load '{folder}' ({reason}); restore its files") from error
        self._module = module.to(device).eval()
        self.config: Any = self._module.config

    def encode(self, x: Tensor) -> Tensor:
        return self._module.encode(x).latent_dist.mode()

    def decode(self, z: Tensor) -> Tensor:
        return self._module.decode(z).sample


def _latent_shape(module: AutoEncoder | ForeignAutoEncoder) -> tuple[int, int]:
    """Channels, and pixels a side of a cell."""
    if isinstance(module, AutoEncoder):
        return module.cfg.z_channels, module.cfg.downsample
    return module.config.latent_channels, 2 ** (len(module.config.block_out_channels) - 1)


class Resize:
    """The picture made smaller and larger again (Lanczos both ways), kept as 8-bit RGB in between."""

    def __init__(self, label: str, side: int) -> None:
        self.label, self.side = label, side
        self.identity: dict[str, Any] = {"kind": "resize", "side": side}

    def check(self, size: int) -> None:
        pass

    def make(self, pixels: np.ndarray) -> Made:
        small = Image.fromarray(pixels).resize((self.side, self.side), _LANCZOS)
        return Made(np.asarray(small.resize((len(pixels), len(pixels)), _LANCZOS)), self.side**2 * 3)


class Jpeg:
    """The file of the highest quality from 100 down that is no larger than `limit` bytes, its header included.

    Colour at full resolution (4:4:4), Huffman tables optimised.
    """

    def __init__(self, limit: int) -> None:
        self.label, self.limit = "JPEG, equal bytes", limit
        libraries = {name: features.version(name) for name in ("jpg", "libjpeg_turbo")}
        self.identity: dict[str, Any] = {"kind": "jpeg", "limit": limit, "library": libraries}

    def check(self, size: int) -> None:
        pass

    def make(self, pixels: np.ndarray) -> Made:
        image = Image.fromarray(pixels)
        for quality in range(100, 0, -1):
            if len(_encoded(image, quality, optimize=False)) > len(pixels) ** 2:
                continue  # Pillow optimises within a buffer of a byte a pixel; the limit is half of that
            data = _encoded(image, quality, optimize=True)
            if len(data) <= self.limit:
                return Made(np.asarray(Image.open(io.BytesIO(data)).convert("RGB")), len(data), quality)
        raise NoReconstructionError(f"no JPEG file of it has at most {self.limit} bytes")


def _encoded(image: Image.Image, quality: int, optimize: bool) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality, subsampling=0, optimize=optimize)
    return file.getvalue()


def beside(size: int) -> list[System]:
    """What stands beside every autoencoder: plain resizing, and resizing and JPEG in the bytes of FLUX's latents."""
    budget = latent_bytes(size)
    small = math.isqrt(budget // 3)
    return [Resize("resize to 1/8", size // _FACTOR), Resize("resize, equal bytes", small), Jpeg(budget)]


def networks(names: Sequence[str], device: torch.device, dtype: torch.dtype) -> list[System]:
    """The autoencoders of these models, runs, AutoencoderKL folders or files.

    Raises:
        OptionError: the same weights twice. ModelNotFoundError, WeightsError: nothing there that can be loaded.
    """
    found = [(resolve_autoencoder(name), name) for name in names]
    prints = [fingerprint(source.autoencoder or source.transformer) for source, _ in found]
    for number, mark in enumerate(prints):
        if mark in prints[:number]:
            earlier = found[prints.index(mark)][1]
            raise OptionError(f"'{found[number][1]}' has the same weights as '{earlier}'; name each autoencoder once")
    called = [source.card.name if source.card else source.name for source, _ in found]
    labels = [n if called.count(n) == 1 else f"{n} ({mark[:6]})" for n, mark in zip(called, prints, strict=True)]
    out: list[System] = []
    for (source, _), label, mark in zip(found, labels, prints, strict=True):
        out.append(Network(label, _load(source, device, dtype), {"name": label, "fingerprint": mark}, device, dtype))
    return out


def _load(source: Source, device: torch.device, dtype: torch.dtype) -> AutoEncoder | ForeignAutoEncoder:
    component, cfg = load.autoencoder_of(source)
    if component.naming == "diffusers" and component.get("quant_conv.weight") and source.autoencoder:
        return ForeignAutoEncoder(source.autoencoder[0].parent, device, dtype)
    return load.load_autoencoder(component, cfg, load.place_all(device, dtype))
