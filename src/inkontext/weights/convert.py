"""Between BFL's files and a diffusers folder, bit-exactly, holding one tensor in memory at a time."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from inkontext.errors import OptionError, StorageError, WeightsError
from inkontext.model.autoencoder import AutoEncoder
from inkontext.model.transformer import FluxTransformer
from inkontext.weights.architecture import transformer_json
from inkontext.weights.autoencoder_map import autoencoder_map
from inkontext.weights.card import CARD, Card, read_json
from inkontext.weights.component import Component, key_report
from inkontext.weights.folder import STEM, write_configs
from inkontext.weights.load import autoencoder_of, sampling_of, transformer_of
from inkontext.weights.mapping import Entry
from inkontext.weights.shards import SHARD
from inkontext.weights.source import AUTOENCODER_NAMES, TEXT_PARTS, Source
from inkontext.weights.tensors import Specs, write_sharded, write_tensors
from inkontext.weights.transformer_map import transformer_map

LAYOUTS = ("diffusers", "bfl")
_LONGEST = 150  # bytes of a file name, well below any file system's limit
_TOWER_CLASSES = {
    "text_encoder": "CLIPTextModel",
    "text_encoder_2": "T5EncoderModel",
    "tokenizer": "CLIPTokenizer",
    "tokenizer_2": "T5TokenizerFast",
}


class _Reader:
    """An entry's tensor, in either naming, remembered while its parts are asked for one after the other."""

    def __init__(self, component: Component, entries: Sequence[Entry], layout: str, dtype: torch.dtype | None) -> None:
        self.component, self.layout, self.dtype = component, layout, dtype
        self.entries = {name: e for e in entries for name in ((e.bfl,) if layout == "bfl" else e.parts)}
        self._last: tuple[Entry, dict[str, Tensor]] | None = None

    def specs(self, shapes: dict[str, torch.Size]) -> Specs:
        """Name -> (dtype, shape) of everything to be written."""
        specs: dict[str, tuple[torch.dtype, Sequence[int]]] = {}
        for entry in dict.fromkeys(self.entries.values()):
            infos = [self.component.files[self.component.prefix + n] for n in self.component.sources(entry)]
            stored = infos[0].dtype
            if self.dtype is None and any(i.dtype != stored for i in infos):
                raise WeightsError(f"the parts of {entry.bfl} have different types; name one with --dtype")
            shape = tuple(shapes[entry.bfl])
            names, parts = ((entry.bfl,), [shape]) if self.layout == "bfl" else (entry.parts, entry.part_shapes(shape))
            specs |= {n: (self.dtype or stored, s) for n, s in zip(names, parts, strict=True)}
        return specs

    def __call__(self, name: str) -> Tensor:
        entry = self.entries[name]
        if self._last is None or self._last[0] != entry:
            tensor = self.component.read(entry)
            tensor = tensor if self.dtype is None else tensor.to(self.dtype)
            names, tensors = (
                ((entry.bfl,), [tensor]) if self.layout == "bfl" else (entry.parts, entry.to_diffusers(tensor))
            )
            self._last = entry, dict(zip(names, tensors, strict=True))
        return self._last[1][name]


def convert(source: Source, target: Path, layout: str, dtype: torch.dtype | None = None) -> Path:
    """Write a whole model in the other layout; returns what was written.

    Args:
        target: a folder that does not exist yet.
        layout: `diffusers`, or `bfl` for NAME.safetensors with ae.safetensors; text towers go along in both.
        dtype: cast to it; None keeps every tensor's own, bit for bit.

    Raises:
        OptionError, WeightsError, StorageError: with the sentence that says what to do.
    """
    if layout not in LAYOUTS:
        raise OptionError(f"unknown layout {layout!r}; choose one of {', '.join(LAYOUTS)}")
    if target.exists() and (target.is_file() or any(target.iterdir())):
        raise OptionError(f"'{target}' exists already; name a new folder")
    transformer, cfg = transformer_of(source)
    autoencoder, autoencoder_cfg = autoencoder_of(source)
    if dtype is None and any(c.scale_name(n) for c in (transformer, autoencoder) for n in c.names()):
        raise WeightsError("this model is stored as scaled fp8, which only its own layout holds; add --dtype bfloat16")
    card = source.card or Card(source.name, cfg, autoencoder_cfg, sampling_of(source, cfg))
    with torch.device("meta"):
        shapes = [dict(m.state_dict()) for m in (FluxTransformer(cfg), AutoEncoder(autoencoder_cfg))]
    if layout == "diffusers":
        transformer_json(cfg)  # refuses now what it could not describe after hours of writing
    maps = [transformer_map(cfg), autoencoder_map(autoencoder_cfg)]
    readers, specs = [], []
    for component, entries, state in zip((transformer, autoencoder), maps, shapes, strict=True):
        sizes = {name: t.shape for name, t in state.items()}
        key_report(component, entries, sizes).raise_unless_fits()
        readers.append(_Reader(component, entries, layout, dtype))
        specs.append(readers[-1].specs(sizes))
    _check_space(target, source, specs)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as temporary:
            made = Path(temporary) / target.name
            _write(made, source, card, layout, readers, specs)
            if target.exists():
                target.rmdir()
            made.replace(target)
    except OSError as error:
        raise StorageError(f"cannot write '{target}' ({error.strerror or error}); choose another place") from error
    return target


def _write(
    folder: Path, source: Source, card: Card, layout: str, readers: Sequence[_Reader], specs: Sequence[Specs]
) -> None:
    towers = [part for part in TEXT_PARTS if (source.text / part).is_dir()]
    for part in towers:
        shutil.copytree(source.text / part, folder / part)
    if layout == "bfl":
        write_tensors(folder / _file_name(card.name), specs[0], readers[0])
        write_tensors(folder / "ae.safetensors", specs[1], readers[1])
        card.save(folder / CARD)
        return
    write_sharded(folder / "transformer", STEM, specs[0], readers[0])
    write_sharded(folder / "vae", STEM, specs[1], readers[1])
    write_configs(folder, card, {part: _tower_class(source.text / part) for part in towers})


def _file_name(model: str) -> str:
    """A file named after a model; its name was read from a file and is no path, whatever it looks like."""
    stem = re.sub(r"[^\w.-]+", "-", model).strip("-.").encode()[:_LONGEST].decode(errors="ignore")
    name = f"{stem}.safetensors"
    # A model called "ae" must not be taken for its own autoencoder, nor one called "x-00001-of-00002" for a part.
    return "flux.safetensors" if not stem or name.lower() in AUTOENCODER_NAMES or SHARD.search(stem) else name


def _tower_class(folder: Path) -> str:
    """The class transformers should use for a tokenizer, as its own config says; the usual one otherwise."""
    config = folder / "tokenizer_config.json"
    named = read_json(config).get("tokenizer_class") if config.exists() else None
    return str(named) if named else _TOWER_CLASSES[folder.name]


def _check_space(target: Path, source: Source, specs: Sequence[Specs]) -> None:
    needed = sum(torch.Size(s).numel() * d.itemsize for spec in specs for d, s in spec.values())
    needed += sum(f.stat().st_size for part in TEXT_PARTS for f in (source.text / part).rglob("*") if f.is_file())
    place = next(p for p in (target, *target.absolute().parents) if p.exists())
    free = shutil.disk_usage(place).free
    if needed > free:
        raise StorageError(
            f"'{target}' needs {needed / 1e9:.1f} GB and {free / 1e9:.1f} GB are free there; choose another disk"
        )
