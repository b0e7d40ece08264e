"""Safetensors files as one dictionary that is read a tensor at a time, and written the same way.

Nothing but safetensors is opened: a pickle runs whatever code its author put in.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from inkontext.errors import WeightsError
from inkontext.storage import atomic_path, write_json

DTYPES: dict[str, torch.dtype] = {
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn, "F8_E5M2": torch.float8_e5m2,
    "I64": torch.int64, "I32": torch.int32, "I16": torch.int16, "I8": torch.int8, "U8": torch.uint8,
    "BOOL": torch.bool,
}  # fmt: skip
_NAMES = {dtype: name for name, dtype in DTYPES.items()}
_PICKLES = {".ckpt", ".pt", ".pth", ".bin", ".pkl"}
SHARD_BYTES = 10 * 10**9


@dataclass(frozen=True)
class TensorInfo:
    """Where a tensor is stored, and as what."""

    path: Path
    dtype: torch.dtype
    shape: tuple[int, ...]

    @property
    def count(self) -> int:
        return torch.Size(self.shape).numel()

    @property
    def nbytes(self) -> int:
        return self.count * self.dtype.itemsize


class TensorFiles(Mapping[str, TensorInfo]):
    """One or several safetensors files, read-only; maps tensor names to `TensorInfo`.

    Raises:
        WeightsError: a file is missing, truncated, no safetensors, or repeats a name of another shard.
    """

    def __init__(self, paths: Iterable[Path]) -> None:
        self.paths = sorted(Path(p) for p in paths)
        self.metadata: dict[str, str] = {}
        self._infos: dict[str, TensorInfo] = {}
        for path in self.paths:
            self._scan(path)

    @property
    def place(self) -> Path:
        """What to call them in a sentence: the file, or the folder of several."""
        return self.paths[0] if len(self.paths) == 1 else self.paths[0].parent

    def _scan(self, path: Path) -> None:
        if path.suffix in _PICKLES:
            raise WeightsError(f"'{path}' is a pickle, which can run code; get the model as .safetensors")
        if not path.is_file():
            raise WeightsError(f"weights file '{path}' does not exist; check the path or download it again")
        try:
            with safe_open(path, "pt") as file:
                self.metadata |= file.metadata() or {}
                for name in file.keys():  # noqa: SIM118 - not a dictionary
                    part = file.get_slice(name)
                    if name in self._infos:
                        raise WeightsError(f"'{name}' is in both '{self._infos[name].path}' and '{path}'")
                    dtype = DTYPES.get(part.get_dtype())
                    if dtype is None:
                        raise WeightsError(f"'{name}' in '{path}' has the unknown type {part.get_dtype()}")
                    self._infos[name] = TensorInfo(path, dtype, tuple(part.get_shape()))
        except (SafetensorError, OSError) as error:
            raise WeightsError(
                f"'{path}' is no complete safetensors file ({error}); download or convert it again"
            ) from error

    def __getitem__(self, name: str) -> TensorInfo:
        return self._infos[name]

    def __iter__(self):
        return iter(self._infos)

    def __len__(self) -> int:
        return len(self._infos)

    def read(self, name: str) -> Tensor:
        """One tensor on the CPU. The file is closed again, so that its pages can leave memory at once."""
        with safe_open(self._infos[name].path, "pt") as file:
            return file.get_tensor(name)


Specs = Mapping[str, tuple[torch.dtype, Sequence[int]]]


def write_tensors(
    path: Path, specs: Specs, read: Callable[[str], Tensor], metadata: Mapping[str, str] | None = None
) -> None:
    """Write one safetensors file, holding one tensor in memory at a time; atomic.

    Args:
        specs: name -> (dtype, shape) of everything that will be written.
        read: gives the tensor of a name.
    """
    # Wide types first keeps every tensor aligned to its own item size, as the format's own writer does.
    names = sorted(specs, key=lambda n: (-specs[n][0].itemsize, n))
    header: dict[str, object] = {"__metadata__": dict(metadata)} if metadata else {}
    offset = 0
    for name in names:
        dtype, shape = specs[name]
        end = offset + torch.Size(shape).numel() * dtype.itemsize
        header[name] = {"dtype": _NAMES[dtype], "shape": list(shape), "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for name in names:
            tensor = read(name)
            assert (tensor.dtype, tuple(tensor.shape)) == (specs[name][0], tuple(specs[name][1])), name
            file.write(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)


def write_sharded(folder: Path, stem: str, specs: Specs, read: Callable[[str], Tensor]) -> None:
    """Write `stem.safetensors`, or numbered shards of at most 10 GB with diffusers' index file."""
    shards: list[dict[str, tuple[torch.dtype, Sequence[int]]]] = [{}]
    total = filled = 0
    for name, (dtype, shape) in specs.items():
        size = torch.Size(shape).numel() * dtype.itemsize
        if filled and filled + size > SHARD_BYTES:
            shards.append({})
            filled = 0
        shards[-1][name] = (dtype, shape)
        filled, total = filled + size, total + size
    if len(shards) == 1:
        write_tensors(folder / f"{stem}.safetensors", specs, read, {"format": "pt"})
        return
    index: dict[str, str] = {}
    for i, shard in enumerate(shards):
        file_name = f"{stem}-{i + 1:05d}-of-{len(shards):05d}.safetensors"
        write_tensors(folder / file_name, shard, read, {"format": "pt"})
        index |= dict.fromkeys(shard, file_name)
    write_json(folder / f"{stem}.safetensors.index.json", {"metadata": {"total_size": total}, "weight_map": index})
