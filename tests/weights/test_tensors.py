"""Our reading and writing of safetensors against the format's own library."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from inkontext.errors import StorageError, WeightsError
from inkontext.weights import tensors
from inkontext.weights.tensors import DTYPES, TensorFiles, write_sharded, write_tensors
from tests.weights.samples import assert_same_state


def specs_of(state: dict[str, Tensor]) -> dict[str, tuple[torch.dtype, tuple[int, ...]]]:
    return {name: (t.dtype, tuple(t.shape)) for name, t in state.items()}


def write(path: Path, state: dict[str, Tensor], **options: Any) -> None:
    write_tensors(path, specs_of(state), state.__getitem__, **options)


def of_every_type() -> dict[str, Tensor]:
    """One tensor a type, of three bytes' worth of numbers, so that nothing is aligned by luck."""
    return {name: (torch.arange(3) % 2).to(dtype) for name, dtype in DTYPES.items()}


def header_of(path: Path) -> tuple[int, dict[str, Any]]:
    """Where the data begins, and the header."""
    raw = path.read_bytes()
    (length,) = struct.unpack("<Q", raw[:8])
    return 8 + length, json.loads(raw[8 : 8 + length])


def raw_file(path: Path, header: bytes, data: bytes = bytes(16)) -> Path:
    path.write_bytes(struct.pack("<Q", len(header)) + header + data)
    return path


def test_library_reads_what_we_write(tmp_path: Path) -> None:
    state = of_every_type() | {"scalar": torch.tensor(2.5), "empty": torch.empty(0, 4), "wide": torch.randn(5, 7).T}
    write(tmp_path / "a.safetensors", state)
    assert_same_state(load_file(tmp_path / "a.safetensors"), state)


def test_we_read_what_the_library_writes(tmp_path: Path) -> None:
    state = of_every_type() | {"matrix": torch.randn(5, 7)}
    save_file(state, tmp_path / "a.safetensors")
    files = TensorFiles([tmp_path / "a.safetensors"])
    assert_same_state({name: files.read(name) for name in files}, state)
    assert {n: (i.dtype, i.shape, i.nbytes) for n, i in files.items()} == {
        n: (t.dtype, tuple(t.shape), t.nbytes) for n, t in state.items()
    }


@settings(max_examples=25, deadline=None)
@given(st.dictionaries(st.text(min_size=1, max_size=8), st.tuples(st.sampled_from(list(DTYPES)), st.integers(0, 9))))
def test_any_names_and_lengths_round_trip(tmp_path_factory: pytest.TempPathFactory, plan: dict) -> None:
    plan.pop("__metadata__", None)
    state = {name: (torch.arange(n) % 2).to(DTYPES[kind]) for name, (kind, n) in plan.items()}
    path = tmp_path_factory.mktemp("any") / "a.safetensors"
    write(path, state)
    assert_same_state(load_file(path), state)


def test_every_tensor_is_aligned_to_its_item(tmp_path: Path) -> None:
    write(tmp_path / "a.safetensors", of_every_type())
    start, header = header_of(tmp_path / "a.safetensors")
    offsets = {n: (start + h["data_offsets"][0]) % DTYPES[h["dtype"]].itemsize for n, h in header.items()}
    assert set(offsets.values()) == {0}


def test_metadata_is_kept(tmp_path: Path) -> None:
    write(tmp_path / "a.safetensors", of_every_type(), metadata={"format": "pt", "who": "Ωmega"})
    with safe_open(tmp_path / "a.safetensors", "pt") as file:
        assert file.metadata() == {"format": "pt", "who": "Ωmega"}
    assert TensorFiles([tmp_path / "a.safetensors"]).metadata == {"format": "pt", "who": "Ωmega"}


def test_a_failed_read_leaves_nothing(tmp_path: Path) -> None:
    state = of_every_type()

    def read(name: str) -> Tensor:
        if name == "BOOL":
            raise RuntimeError("source went away")
        return state[name]

    with pytest.raises(RuntimeError, match="went away"):
        write_tensors(tmp_path / "a.safetensors", specs_of(state), read)
    assert list(tmp_path.iterdir()) == []


def test_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "a.safetensors", {"a": torch.ones(3)})

    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StorageError, match="No space left"):
        write(tmp_path / "a.safetensors", {"a": torch.zeros(3)})
    assert [p.name for p in tmp_path.iterdir()] == ["a.safetensors"]
    assert load_file(tmp_path / "a.safetensors")["a"].tolist() == [1, 1, 1]


def test_shards_and_index_are_diffusers_layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensors, "SHARD_BYTES", 100)
    state = {f"t{i}": torch.randn(10) for i in range(6)} | {"huge": torch.randn(100)}
    write_sharded(tmp_path, "model", specs_of(state), state.__getitem__)
    index = json.loads((tmp_path / "model.safetensors.index.json").read_text())
    shards = sorted(tmp_path.glob("*.safetensors"))
    assert [p.name for p in shards] == [f"model-0000{i}-of-00004.safetensors" for i in (1, 2, 3, 4)]
    assert index["metadata"]["total_size"] == sum(t.nbytes for t in state.values())
    assert index["weight_map"] == {name: p.name for p in shards for name in load_file(p)}
    assert_same_state({n: t for p in shards for n, t in load_file(p).items()}, state)


def test_small_models_are_not_sharded(tmp_path: Path) -> None:
    state = of_every_type()
    write_sharded(tmp_path, "model", specs_of(state), state.__getitem__)
    assert [p.name for p in tmp_path.iterdir()] == ["model.safetensors"]


LIES = {
    "shape": b'{"a":{"dtype":"F32","shape":[8],"data_offsets":[0,16]}}',
    "past the end": b'{"a":{"dtype":"F32","shape":[8],"data_offsets":[0,32]}}',
    "negative": b'{"a":{"dtype":"F32","shape":[-4],"data_offsets":[0,16]}}',
    "overflow": b'{"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,16]}}',
    "overlap": b'{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,12]},'
    b'"b":{"dtype":"F32","shape":[2],"data_offsets":[8,16]}}',
    "unknown type": b'{"a":{"dtype":"X7","shape":[4],"data_offsets":[0,16]}}',
    "type without a torch dtype": b'{"a":{"dtype":"F4","shape":[32],"data_offsets":[0,16]}}',
    "no JSON": b"safetensors, honestly",
    "empty": b"",
}


@pytest.mark.parametrize("lie", sorted(LIES))
def test_a_lying_header_is_refused(tmp_path: Path, lie: str) -> None:
    path = raw_file(tmp_path / "lie.safetensors", LIES[lie])
    with pytest.raises(WeightsError, match=r"lie\.safetensors"):
        TensorFiles([path])


@pytest.mark.parametrize("content", [b"", b"abc", struct.pack("<Q", 2**62) + b"{}"])
def test_a_damaged_start_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.safetensors").write_bytes(content)
    with pytest.raises(WeightsError, match="download or convert it again"):
        TensorFiles([tmp_path / "a.safetensors"])


@pytest.mark.parametrize("keep", [0.5, 0.999])
def test_a_truncated_file_is_refused(tmp_path: Path, keep: float) -> None:
    path = tmp_path / "a.safetensors"
    save_file({"a": torch.randn(1000)}, path)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * keep)])
    with pytest.raises(WeightsError, match="no complete safetensors file"):
        TensorFiles([path])


@pytest.mark.parametrize("suffix", [".ckpt", ".pt", ".pth", ".bin", ".pkl"])
def test_a_pickle_is_never_opened(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"model{suffix}"
    torch.save({"a": torch.ones(1)}, path)
    with pytest.raises(WeightsError, match="is a pickle, which can run code"):
        TensorFiles([path])


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"absent\.safetensors' does not exist"):
        TensorFiles([tmp_path / "absent.safetensors"])


def test_a_name_in_two_shards_is_named(tmp_path: Path) -> None:
    for name in ("a", "b"):
        save_file({"twice": torch.ones(1)}, tmp_path / f"{name}.safetensors")
    with pytest.raises(WeightsError, match=r"'twice' is in both .*a\.safetensors' and .*b\.safetensors'"):
        TensorFiles(tmp_path.glob("*.safetensors"))
