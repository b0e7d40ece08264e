"""Find one network inside whatever file holds it: prefixes, either naming, fp8 with or without scales."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from inkontext.errors import WeightsError
from inkontext.weights.mapping import Entry
from inkontext.weights.tensors import TensorFiles, TensorInfo

# A tensor that every network of its kind has, in BFL's and in diffusers' naming.
TRANSFORMER_MARKS = {
    "bfl": "double_blocks.0.img_attn.norm.key_norm.scale",
    "diffusers": "transformer_blocks.0.attn.norm_k.weight",
}
AUTOENCODER_MARKS = {
    "bfl": "encoder.down.0.block.0.conv1.weight",
    "diffusers": "encoder.down_blocks.0.resnets.0.conv1.weight",
}
TRANSFORMER_PREFIXES = ("", "model.diffusion_model.", "diffusion_model.", "transformer.")
AUTOENCODER_PREFIXES = ("", "vae.", "first_stage_model.")
# Other networks that share an all-in-one file with the one that is wanted.
NEIGHBOURS = ("model.diffusion_model.", "diffusion_model.", "transformer.", "vae.", "first_stage_model.",
              "text_encoders.", "cond_stage_model.", "conditioner.")  # fmt: skip

_SCALES = (".scale_weight", ".weight_scale")
_SIDE = (*_SCALES, ".scale_input", ".input_scale", ".comfy_quant")
_REFUSED = {
    ".qweight": "a nunchaku SVDQuant file, which needs its own CUDA kernels",
    ".weight_scale_2": "an nvfp4 file",
    ".quant_state.bitsandbytes__nf4": "a bitsandbytes nf4 file",
    ".quant_state.bitsandbytes__fp4": "a bitsandbytes fp4 file",
    ".SCB": "a bitsandbytes int8 file",
}


@dataclass(frozen=True)
class Component:
    """The tensors of one network, under their names without prefix.

    Attributes:
        files: what holds them.
        prefix: what was cut from the front of every name.
        naming: `bfl` or `diffusers`.
    """

    files: TensorFiles
    prefix: str
    naming: str

    def get(self, name: str) -> TensorInfo | None:
        return self.files.get(self.prefix + name)

    def names(self) -> list[str]:
        """Names of all tensors that ought to belong to this network, side tensors of quantisation left out."""
        others = tuple(p for p in NEIGHBOURS if p != self.prefix)
        own = [n for n in self.files if n.startswith(self.prefix) and (self.prefix or not n.startswith(others))]
        bare = any(mark in self.files for mark in (*TRANSFORMER_MARKS.values(), *AUTOENCODER_MARKS.values()))
        alone = self.prefix and not bare  # else what has no prefix is another network's
        strangers = [n for n in self.files if not n.startswith((*others, self.prefix))] if alone else []
        named = [n.removeprefix(self.prefix) for n in own] + strangers
        return [n for n in named if not n.endswith(_SIDE) and n != "scaled_fp8"]

    def count(self) -> int:
        """Numbers in all its tensors."""
        return sum(self.files[self.prefix + name].count for name in self.names() if self.get(name))

    def sources(self, entry: Entry) -> tuple[str, ...]:
        """The names, in this file's naming, that an entry of the map is read from."""
        return (entry.bfl,) if self.naming == "bfl" else entry.parts

    def read(self, entry: Entry) -> Tensor:
        """An entry's tensor in BFL form; fp8 with a scale comes back as float32, all else in its own dtype."""
        parts = [self._read_one(name) for name in self.sources(entry)]
        return parts[0] if self.naming == "bfl" else entry.to_bfl(parts)

    def scale_name(self, name: str) -> str | None:
        """The tensor that scales `name`, if the file quantises it that way."""
        stem = self.prefix + name.removesuffix(".weight")
        return next((stem + s for s in _SCALES if name.endswith(".weight") and stem + s in self.files), None)

    def _read_one(self, name: str) -> Tensor:
        tensor = self.files.read(self.prefix + name)
        scale_name = self.scale_name(name)
        if scale_name is None:
            return tensor
        scale = self.files.read(scale_name).float()
        if scale.numel() not in (1, len(tensor)):
            raise WeightsError(
                f"{scale_name} in '{self.files.place}' scales in blocks of a kind not known here; "
                "use a bf16, fp8 or plain safetensors version of this model"
            )
        return tensor.float() * scale.reshape(-1, *[1] * (tensor.ndim - 1))


def find_component(files: TensorFiles, kind: str) -> Component:
    """The `transformer` or `autoencoder` inside `files`.

    Raises:
        WeightsError: there is none, or it is stored in a form that cannot be read.
    """
    marks, prefixes = {
        "transformer": (TRANSFORMER_MARKS, TRANSFORMER_PREFIXES),
        "autoencoder": (AUTOENCODER_MARKS, AUTOENCODER_PREFIXES),
    }[kind]
    where = f"'{files.place}'" if files.paths else "the model"
    for suffix, what in _REFUSED.items():
        if any(name.endswith(suffix) for name in files):
            raise WeightsError(f"{where} is {what}; use a bf16, fp8 or plain safetensors version of this model")
    for naming, mark in marks.items():
        for prefix in prefixes:
            if prefix + mark in files:
                return Component(files, prefix, naming)
    sample = ", ".join(list(files)[:3]) or "nothing"
    raise WeightsError(f"{where} holds no FLUX {kind} (its tensors: {sample}, ...); give the file that does")


@dataclass
class KeyReport:
    """How a file's tensors meet the network's: every name that does not fit, by what is wrong with it."""

    what: str
    matched: int
    missing: Sequence[str]
    unused: Sequence[str]
    mis_shaped: Sequence[str]

    @property
    def fits(self) -> bool:
        return not (self.missing or self.unused or self.mis_shaped)

    def raise_unless_fits(self) -> None:
        """Raises WeightsError naming the tensors."""
        if self.fits:
            return
        kinds = (("missing", self.missing), ("unused", self.unused), ("of another shape or type", self.mis_shaped))
        parts = [f"{len(names)} {kind}: {', '.join(names)}" for kind, names in kinds if names]
        raise WeightsError(
            f"{self.what} does not fit its network; {self.matched} tensors match, {'; '.join(parts)}. "
            "Use the file that belongs to this architecture, or remove what does not"
        )


def key_report(component: Component, entries: Sequence[Entry], shapes: dict[str, torch.Size]) -> KeyReport:
    """Compare a component with the network described by `entries` and BFL-named `shapes`."""
    missing, mis_shaped, matched, used = [], [], 0, set()
    for entry in entries:
        bfl_shape = tuple(shapes[entry.bfl])
        wanted = [bfl_shape] if component.naming == "bfl" else entry.part_shapes(bfl_shape)
        for name, shape in zip(component.sources(entry), wanted, strict=True):
            used.add(name)
            info = component.get(name)
            if info is None:
                missing.append(name)
            elif info.shape != shape:
                mis_shaped.append(f"{name} is {list(info.shape)}, should be {list(shape)}")
            elif not info.dtype.is_floating_point and component.scale_name(name) is None:
                mis_shaped.append(f"{name} is of {str(info.dtype).removeprefix('torch.')}")
            else:
                matched += 1
    unused = [n for n in component.names() if n not in used]
    return KeyReport(f"'{component.files.place}'", matched, missing, unused, mis_shaped)
