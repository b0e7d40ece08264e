"""Bytes to [-1, 1] and back, against diffusers' image processor, and for every byte there is."""

from __future__ import annotations

import numpy as np
import torch
from diffusers.image_processor import VaeImageProcessor
from PIL import Image

from inkontext.pixels import to_bytes, to_float

EVERY = np.arange(256, dtype=np.uint8).repeat(3).reshape(1, 16, 16, 3)


def test_every_byte_comes_back() -> None:
    x = to_float(EVERY)
    assert (x.shape, x.dtype) == ((1, 3, 16, 16), torch.float32)
    assert (x.min(), x.max()) == (-1, 1)
    assert np.array_equal(to_bytes(x).numpy(), EVERY)
    assert torch.equal(to_float(torch.from_numpy(EVERY)), x)


def test_the_caller_keeps_its_bytes() -> None:
    """An array that cannot be written, as PIL gives one, is read and not shared."""
    given = np.asarray(Image.fromarray(EVERY[0]))[None]
    to_float(given).fill_(0)
    assert np.array_equal(given, EVERY)


def test_diffusers_does_the_same() -> None:
    processor = VaeImageProcessor(vae_scale_factor=8)
    theirs = processor.preprocess(Image.fromarray(EVERY[0]))
    torch.testing.assert_close(to_float(EVERY), theirs, rtol=0, atol=1.2e-7)  # they divide by 255 first
    x = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2
    back = processor.numpy_to_pil(np.asarray(processor.postprocess(x, output_type="np")))
    assert np.array_equal(to_bytes(x).numpy(), np.stack([np.asarray(image) for image in back]))


def test_down_is_what_bfl_does() -> None:
    """Their `sampling.py` and `cli.py`: clamp, then 127.5 * (x + 1.0), then uint8."""
    x = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2
    theirs = (127.5 * (x.clamp(-1, 1).permute(0, 2, 3, 1) + 1.0)).byte()
    assert torch.equal(to_bytes(x, truncate=True), theirs)
    assert (to_bytes(x) != theirs).any()
