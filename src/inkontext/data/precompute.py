"""Latents and text embeddings of a set, computed once: resumable, keyed by content and model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import Tensor

from inkontext.data.cache import Shards, owned, write_rows
from inkontext.data.formats import open_set
from inkontext.data.latents import content_key, fingerprint_of, text_key, towers_fingerprint
from inkontext.data.pairs import Layout, measure, placed
from inkontext.data.rows import Row
from inkontext.errors import ModelNotFoundError, OptionError
from inkontext.geometry import Size, ratio_buckets
from inkontext.model.autoencoder import AutoEncoder
from inkontext.model.text import TextTowers
from inkontext.pixels import to_float

SHARD_BYTES: Final = 64 * 2**20
Tick = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Encoders:
    """The frozen networks; `towers` None leaves the text alone. `dtype` is what the run will train in."""

    autoencoder: AutoEncoder
    towers: TextTowers | None
    device: torch.device
    dtype: torch.dtype = torch.float32

    def prepare(self) -> None:
        """Move the networks to the device."""
        self.autoencoder.to(self.device).eval()
        if self.towers is not None:
            self.towers.t5.to(self.device)
            self.towers.clip.to(self.device)

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32)

    @torch.no_grad()
    def latents(self, pictures: Sequence[np.ndarray]) -> Tensor:
        """uint8 pictures of one size `[H, W, 3]` -> `[n, z, H/8, W/8]` as training computes them, on the CPU."""
        batch = torch.from_numpy(np.stack(list(pictures)))
        with self._autocast():
            return self.autoencoder.encode(to_float(batch, self.device)).cpu()

    @torch.no_grad()
    def text(self, prompts: list[str]) -> tuple[Tensor, Tensor]:
        """`txt [n, L, D]` and `vec [n, P]` as training computes them, on the CPU."""
        assert self.towers is not None
        with self._autocast():
            encoding = self.towers(prompts)
        return encoding.txt.cpu(), encoding.vec.cpu()


@dataclass(frozen=True)
class Outcome:
    """How many pictures and prompts were computed and how many stood there already, each content counted once."""

    rows: int
    made: int
    kept: int
    texts_made: int
    texts_kept: int
    dropped_shards: int


def precompute(
    path: Path, out: Path, size: int, encoders: Encoders, batch: int = 8, shard_bytes: int = SHARD_BYTES,
    tick: Tick = lambda *_: None,
) -> Outcome:  # fmt: skip
    """Fill `out` with the latents of a set's pictures and, with towers, the embeddings of its instructions.

    A picture or prompt that was computed with the same weights is not computed again; shards of which nothing is
    needed any more, those of another model included, are deleted once the new ones stand.

    Raises:
        DataError: training would refuse the set. RunError: another process writes there. StorageError: the disk.
    """
    if out.resolve() == path.resolve():
        raise OptionError(f"'{out}' is the set itself; name another folder for the latents")
    listing = open_set(path)
    layouts = measure(listing, ratio_buckets(size))
    rows = listing.sound()
    models = {"latents": _mark(fingerprint_of(encoders.autoencoder), encoders)}
    if encoders.towers is not None:
        models["text"] = _mark(towers_fingerprint(encoders.towers), encoders)
    encoders.prepare()
    with owned(out):
        shards = Shards(out, models)
        shards.rewrite()
        stood = set(shards.place)
        writer = _Writer(shards, shard_bytes)
        keys = _pictures(rows, layouts, encoders, writer, batch, tick)
        texts = _texts(rows, encoders, writer, batch, tick) if encoders.towers is not None else []
        head = {"rows": len(rows), "size": size, "autoencoder": models["latents"], "text": models.get("text")}
        write_rows(out, head, (_body(row, parts) for row, parts in zip(rows, keys, strict=True)))
        pictures = {key for parts in keys for key in parts}
        spoken = {f"{key}.{part}" for key in texts for part in ("txt", "vec")}
        dropped = shards.keep(pictures | spoken)
    return Outcome(
        len(rows), len(pictures - stood), len(pictures & stood), len(spoken - stood) // 2, len(spoken & stood) // 2,
        dropped,
    )  # fmt: skip


def _mark(fingerprint: str, encoders: Encoders) -> str:
    """What tensors of a model are known by: its weights, and the precision they were computed in."""
    return f"{fingerprint} {str(encoders.dtype).removeprefix('torch.')}"


class _Writer:
    """Collects tensors into shards of about `shard_bytes`."""

    def __init__(self, shards: Shards, shard_bytes: int) -> None:
        self.shards, self.shard_bytes = shards, shard_bytes
        self.waiting: dict[str, Tensor] = {}
        self.bytes = 0

    def put(self, kind: str, tensors: dict[str, Tensor]) -> None:
        """Keep tensors of one kind; write a shard when there are enough."""
        self.waiting |= tensors
        self.bytes += sum(tensor.nbytes for tensor in tensors.values())
        if self.bytes >= self.shard_bytes:
            self.flush(kind)

    def flush(self, kind: str) -> None:
        """Write what waits."""
        if self.waiting:
            self.shards.add(kind, self.waiting)
        self.waiting, self.bytes = {}, 0


def _pictures(
    rows: Sequence[Row], layouts: Sequence[Layout | None], encoders: Encoders, writer: _Writer, batch: int, tick: Tick
) -> list[tuple[str, ...]]:
    """Compute what is missing; returns the keys of every row's target and references."""
    waiting: dict[Size, dict[str, np.ndarray]] = {}
    keys = []
    for done, (row, layout) in enumerate(zip(rows, layouts, strict=True), 1):
        assert layout is not None  # a set with unreadable rows was refused
        parts = tuple(content_key(blob.read(), canvas) for blob, canvas in zip(row.pictures, layout, strict=True))
        for key, blob, canvas in zip(parts, row.pictures, layout, strict=True):
            group = waiting.setdefault(canvas, {})
            if key not in writer.shards and key not in writer.waiting:
                group.setdefault(key, placed(blob, canvas))
            if len(group) == batch:
                _encode(encoders, writer, waiting.pop(canvas))
        keys.append(parts)
        tick("pictures", done, len(rows))
    for group in waiting.values():
        _encode(encoders, writer, group)
    writer.flush("latents")
    return keys


def _encode(encoders: Encoders, writer: _Writer, group: dict[str, np.ndarray]) -> None:
    if group:
        writer.put("latents", dict(zip(group, encoders.latents(list(group.values())), strict=True)))


def _texts(rows: Sequence[Row], encoders: Encoders, writer: _Writer, batch: int, tick: Tick) -> list[str]:
    """Compute what is missing, the empty prompt of text dropout included; returns the keys of all prompts."""
    prompts = list(dict.fromkeys(["", *(row.instruction for row in rows)]))
    missing = [prompt for prompt in prompts if f"{text_key(prompt)}.vec" not in writer.shards]
    for first in range(0, len(missing), batch):
        some = missing[first : first + batch]
        encoded = zip(some, *encoders.text(some), strict=True)
        for prompt, txt, vec in encoded:
            key = text_key(prompt)
            writer.put("text", {f"{key}.txt": txt.clone(), f"{key}.vec": vec.clone()})
        tick("instructions", first + len(some), len(missing))
    writer.flush("text")
    return [text_key(prompt) for prompt in prompts]


def _body(row: Row, keys: Sequence[str]) -> Mapping[str, object]:
    target, *references = keys
    words = {"instruction": row.instruction, "category": row.category}
    return {"key": row.key, "target": target, "references": references} | words


def load_encoders(
    model: str, towers_of: str | None, text: bool | None, device: torch.device, dtype: torch.dtype
) -> Encoders:
    """The frozen networks of run or model folders; `text` None takes the towers where there are any.

    Raises:
        ModelNotFoundError: no autoencoder there, or no towers where they are asked for.
    """
    from inkontext.training.start import load_autoencoder, model_folder
    from inkontext.weights import load
    from inkontext.weights.source import resolve, shared_parts

    autoencoder = load_autoencoder(model)
    if towers_of is None or text is False:
        if text:
            raise ModelNotFoundError("there are no towers to encode the instructions with; name a model that has them")
        return Encoders(autoencoder, None, device, dtype)
    folder = model_folder(towers_of)
    if text is None and not (shared_parts(folder) / "text_encoder_2").is_dir():
        return Encoders(autoencoder, None, device, dtype)
    source = resolve(folder)
    length = load.sampling_of(source, load.transformer_of(source)[1]).text_length
    return Encoders(autoencoder, load.load_towers(source.text, length, "cpu", torch.float32), device, dtype)
