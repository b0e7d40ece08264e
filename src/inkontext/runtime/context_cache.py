"""Keys and values of pictures and prompts, kept for the steps, seeds and turns that read them again.

Only an asymmetric transformer has such a thing. Its context's depends on the pictures alone, its text's on pictures and
prompt, so the two are kept apart: another prompt on the same picture computes only its own.
"""

from __future__ import annotations

import hashlib
from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from inkontext.errors import OptionError
from inkontext.model.blocks import KeyValue
from inkontext.model.text import TextEncoding
from inkontext.model.transformer import FluxTransformer, Prefix
from inkontext.sequence import text_ids

GIB = 2**30
FP8 = torch.float8_e4m3fn


@dataclass(frozen=True)
class _Stored:
    """A tensor as it is kept: plain, or fp8 with a scale `[1, H, 1, 1]` for each head."""

    data: Tensor
    scale: Tensor | None
    dtype: torch.dtype

    @property
    def tensors(self) -> list[Tensor]:
        return [self.data] if self.scale is None else [self.data, self.scale]

    def restore(self, device: torch.device) -> Tensor:
        if self.scale is None:
            return self.data.to(device)
        return (self.data.to(device).float() * self.scale.to(device)).to(self.dtype)


class ContextCache:
    """A bounded store, the least recently used given up first.

    What is kept in another form (`dtype`) is also read in that form the first time, so that a picture's bytes never
    depend on what was asked before. `used` counts look-ups by kind, `computed` those that had to be computed.

    Args:
        limit: bytes it may hold; 0 keeps nothing.
        dtype: `torch.float8_e4m3fn` to keep keys and values in fp8; None keeps the model's own, bit for bit.
        device: where to keep them, such as "cpu" beside a model on a GPU; None keeps them where they are computed.

    Raises:
        OptionError: a limit below 0, or another dtype.
    """

    def __init__(
        self, limit: int = 2 * GIB, dtype: torch.dtype | None = None, device: torch.device | str | None = None
    ) -> None:
        if limit < 0:
            raise OptionError(f"a context cache of {limit} bytes is impossible; give 0 or more")
        if dtype not in (None, FP8):
            raise OptionError(f"a context cache cannot keep {dtype}; use torch.float8_e4m3fn, or None for the model's")
        self.limit, self.dtype = limit, dtype
        self.device = None if device is None else torch.device(device)
        self.used: Counter[str] = Counter()
        self.computed: Counter[str] = Counter()
        self._kept: OrderedDict[str, list[_Stored]] = OrderedDict()
        self._bytes = 0

    @property
    def nbytes(self) -> int:
        """Bytes of everything that is kept; never above `limit`."""
        return self._bytes

    @property
    def tensors(self) -> list[Tensor]:
        """Every tensor that is kept."""
        return [t for stored in self._kept.values() for part in stored for t in part.tensors]

    def clear(self) -> None:
        """Give up everything; the counts stay."""
        self._kept.clear()
        self._bytes = 0

    @torch.no_grad()
    def prefixes(
        self, transformer: FluxTransformer, model: str, context: Tensor | None, ids: Tensor, text: TextEncoding
    ) -> list[Prefix]:
        """What target tokens read: the pictures' keys and values where there are any, then the prompt's.

        Args:
            model: fingerprint of the transformer's weights.
            context: `[1, L, in_channels]` packed tokens of every reference, or None.
            ids: `[L, 3]` their positions.
            text: encoding of the prompt, on the transformer's device and in its dtype.
        """
        device, key = text.txt.device, _key(model)
        parts: list[Prefix] = []
        if context is not None:
            key = _key(key, context, ids)
            parts.append(self._get("context", key, device, lambda: transformer.context_prefix(context, ids)))
        words = text_ids(text.txt.shape[1]).to(device)
        key = _key(key, text.txt, text.vec)
        parts.append(self._get("text", key, device, lambda: transformer.text_prefix(text.txt, words, text.vec, parts)))
        return parts

    def _get(self, kind: str, key: str, device: torch.device, compute: Callable[[], Prefix]) -> Prefix:
        self.used[kind] += 1
        stored = self._kept.get(key)
        if stored is None:
            self.computed[kind] += 1
            stored = [self._store(t) for pair in compute() for t in pair]
            self._keep(key, stored)
        else:
            self._kept.move_to_end(key)
        flat = [part.restore(device) for part in stored]
        return [KeyValue(k, v) for k, v in zip(flat[::2], flat[1::2], strict=True)]

    def _keep(self, key: str, stored: list[_Stored]) -> None:
        size = sum(t.nbytes for part in stored for t in part.tensors)
        if size > self.limit:
            return
        while self._bytes + size > self.limit:
            _, gone = self._kept.popitem(last=False)
            self._bytes -= sum(t.nbytes for part in gone for t in part.tensors)
        self._kept[key] = stored
        self._bytes += size

    def _store(self, x: Tensor) -> _Stored:
        """A tensor `[B, H, L, D]` in the form that is kept, with memory of its own."""
        place = self.device or x.device
        if self.dtype is None:
            return _Stored(x.to(place, copy=True, memory_format=torch.contiguous_format), None, x.dtype)
        scale = (x.float().abs().amax(dim=(0, 2, 3), keepdim=True) / torch.finfo(FP8).max).clamp(min=1e-12)
        return _Stored((x.float() / scale).to(FP8).to(place), scale.to(place), x.dtype)


def _key(*parts: str | Tensor) -> str:
    """A hash of words and of the contents, shapes and dtypes of tensors."""
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, str):
            digest.update(f"{len(part)} {part}".encode())
            continue
        digest.update(f"{part.dtype} {list(part.shape)}".encode())
        digest.update(part.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
