"""Fill networks from files, one tensor at a time, each straight to its device and dtype.

Host memory never holds more than one tensor beside what the networks themselves keep there.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, TypeVar

import torch
from huggingface_hub.errors import StrictDataclassError
from pydantic import BaseModel, Field, ValidationError
from safetensors import SafetensorError
from torch import Tensor, nn

from inkontext.errors import ModelNotFoundError, NonFiniteError, WeightsError
from inkontext.model.autoencoder import AutoEncoder
from inkontext.model.presets import AutoencoderConfig, Sampling, TransformerConfig
from inkontext.model.text import TextTowers
from inkontext.model.transformer import FluxTransformer
from inkontext.weights.architecture import ASYMMETRIC, infer_autoencoder, infer_transformer
from inkontext.weights.autoencoder_map import autoencoder_map
from inkontext.weights.card import sampling_for
from inkontext.weights.component import Component, KeyReport, find_component, key_report
from inkontext.weights.mapping import Entry
from inkontext.weights.quiet import no_bars
from inkontext.weights.scheduler import check_agreement
from inkontext.weights.shards import weight_files
from inkontext.weights.source import TEXT_PARTS, Source
from inkontext.weights.tensors import TensorFiles
from inkontext.weights.transformer_map import transformer_map

# What transformers raises for folders that are damaged one way or another.
_UNREADABLE = (ImportError, OSError, ValueError, TypeError, AttributeError, LookupError, RuntimeError, SafetensorError,
               StrictDataclassError)  # fmt: skip

Placement = Callable[[str, torch.dtype], tuple[torch.device, torch.dtype]]


def place_all(device: torch.device | str, dtype: torch.dtype) -> Placement:
    """Every tensor on one device in one dtype."""
    return lambda name, stored: (torch.device(device), dtype)


def transformer_of(source: Source) -> tuple[Component, TransformerConfig]:
    """The transformer's tensors and configuration, from the card, the config file, or the shapes alone."""
    component = find_component(TensorFiles(source.transformer), "transformer")
    config = source.configs.get("transformer", {})
    if source.card:
        said = source.card.transformer
        cfg = infer_transformer(component, said.axes_dim)
        return component, replace(cfg, theta=said.theta, asymmetric=said.asymmetric, context_time=said.context_time)
    said = _said(_TransformerFields, config, source.folder / "transformer/config.json")
    cfg = infer_transformer(component, tuple(said.axes_dims_rope or ()))
    return component, replace(cfg, asymmetric=config.get("_class_name") == ASYMMETRIC, context_time=said.context_time)


def autoencoder_of(source: Source) -> tuple[Component, AutoencoderConfig]:
    """The autoencoder's tensors and configuration. Raises ModelNotFoundError where there is none."""
    files = TensorFiles(source.autoencoder or source.transformer)
    if not source.autoencoder and not any("decoder.conv_in.weight" in name for name in files):
        raise ModelNotFoundError(
            f"'{source.folder}' has no autoencoder; put ae.safetensors beside the model or name one with --autoencoder"
        )
    component = find_component(files, "autoencoder")
    if source.card:
        known = source.card.autoencoder
        return component, infer_autoencoder(component, known.scale_factor, known.shift_factor, known.norm_groups)
    said = _said(_AutoencoderFields, source.configs.get("vae", {}), source.folder / "vae/config.json")
    return component, infer_autoencoder(component, said.scaling_factor, said.shift_factor or 0.0, said.norm_num_groups)


class _TransformerFields(BaseModel, strict=True):
    """What is read of diffusers' `transformer/config.json`."""

    axes_dims_rope: Annotated[list[int], Field(min_length=3, max_length=3)] | None = None
    context_time: Annotated[float, Field(ge=0, le=1)] = 0.0


class _AutoencoderFields(BaseModel, strict=True, allow_inf_nan=False):
    """What is read of diffusers' `vae/config.json`; a shift of null is none."""

    scaling_factor: Annotated[float, Field(gt=0)] = 0.3611
    shift_factor: float | None = 0.1159
    norm_num_groups: Annotated[int, Field(gt=0)] = 32


Fields = TypeVar("Fields", bound=BaseModel)


def _said(kind: type[Fields], config: dict[str, Any], path: Path) -> Fields:
    """The fields of a config file that are used. Raises WeightsError naming one that cannot be."""
    try:
        return kind(**{name: config[name] for name in kind.model_fields if name in config})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        said = f"{ascii(first['input'])[:60]} ({first['msg'].lower()})"
        raise WeightsError(f"'{path}' gives {where} as {said}; restore it from where the model came") from error


def sampling_of(source: Source, cfg: TransformerConfig) -> Sampling:
    """How the model wants to be sampled. Raises WeightsError for a scheduler that we have not, or not the card's."""
    scheduler, kind = source.configs.get("scheduler"), _scheduler_class(source)
    if source.card is None:
        return sampling_for(source.name, cfg, scheduler, kind)
    if scheduler is not None:
        check_agreement(source.card.sampling, scheduler, source.name, kind)
    return source.card.sampling


def _scheduler_class(source: Source) -> str | None:
    """What `model_index.json` says, as `[library, class]`; diffusers believes it before the scheduler's own config."""
    entry = source.configs.get("index", {}).get("scheduler")
    return entry[1] if isinstance(entry, list) and len(entry) == 2 else None


def load_transformer(component: Component, cfg: TransformerConfig, place: Placement) -> FluxTransformer:
    """Raises WeightsError for tensors that do not fit, NonFiniteError for NaN or infinity in them."""
    with torch.device("meta"):
        module = FluxTransformer(cfg)
    fill(module, component, transformer_map(cfg), place)
    return module.eval()


def load_autoencoder(component: Component, cfg: AutoencoderConfig, place: Placement) -> AutoEncoder:
    """As `load_transformer`, for the autoencoder."""
    with torch.device("meta"):
        module = AutoEncoder(cfg)
    fill(module, component, autoencoder_map(cfg), place)
    return module.eval()


def fill(module: nn.Module, component: Component, entries: Sequence[Entry], place: Placement) -> KeyReport:
    """Replace every parameter of a module on the meta device by the file's tensor, streaming."""
    report = key_report(component, entries, {name: p.shape for name, p in module.named_parameters()})
    report.raise_unless_fits()
    for entry in entries:
        tensor = component.read(entry)
        device, dtype = place(entry.bfl, tensor.dtype)
        # A copy even when nothing changes: the file's mapping must not outlive this loop.
        tensor = tensor.to(device, dtype, copy=True)
        if not _is_finite(tensor):
            path = component.files[component.prefix + component.sources(entry)[0]].path
            raise NonFiniteError(f"tensor {entry.bfl} in '{path}' has NaN or infinity in it; "
                                 "the file is damaged or was cast badly, get it again")  # fmt: skip
        owner, _, leaf = entry.bfl.rpartition(".")
        setattr(module.get_submodule(owner), leaf, nn.Parameter(tensor, requires_grad=False))
    return report


def _is_finite(tensor: Tensor) -> bool:
    """On the meta device, where a load is only rehearsed, there is nothing to look at."""
    if tensor.is_meta or not tensor.numel():
        return True
    # The extremes carry any NaN along and, unlike `isfinite`, need no memory as large as the tensor.
    extremes = torch.stack(torch.aminmax(tensor.float() if tensor.dtype.itemsize == 1 else tensor))
    return bool(torch.isfinite(extremes).all())


def load_towers(folder: Path, length: int, device: torch.device | str, dtype: torch.dtype) -> TextTowers:
    """The text towers and tokenizers of a diffusers-layout folder, through transformers.

    Raises:
        ModelNotFoundError: one of the four parts is missing or unreadable.
        WeightsError: tensors missing, unused or of another shape.
    """
    from transformers import AutoTokenizer, CLIPTextModel, T5EncoderModel

    missing = [part for part in TEXT_PARTS if not (folder / part).is_dir()]
    if missing:
        raise ModelNotFoundError(
            f"'{folder}' lacks {', '.join(missing)}; point --text at a folder that has "
            "text_encoder (CLIP-L), text_encoder_2 (T5-XXL) and their tokenizers"
        )
    t5 = _tower(T5EncoderModel, folder / "text_encoder_2", device, dtype)
    clip = _tower(CLIPTextModel, folder / "text_encoder", device, dtype)
    tokenizers = []
    for kind, part, tower in ((AutoTokenizer, "tokenizer_2", t5), (_pooled_kind(folder), "tokenizer", clip)):
        try:
            _check_tokenizer(folder / part)
            tokenizer = kind.from_pretrained(  # type: ignore[attr-defined]
                folder / part, local_files_only=True, trust_remote_code=False
            )
            tokenizers.append(tokenizer)
            # Without its vocabulary file a tokenizer is made nevertheless, of a few special pieces.
            pieces, rows = len(tokenizers[-1]), tower.config.vocab_size  # type: ignore[union-attr, arg-type]
            if not rows / 2 <= pieces <= rows:  # type: ignore[operator]
                raise ValueError(f"it has {pieces} pieces for an encoder of {rows}")
        except _UNREADABLE as error:
            reason = str(error).strip().partition("\n")[0]
            raise ModelNotFoundError(f"'{folder / part}' holds no usable tokenizer ({reason}); restore it") from error
    return TextTowers(t5, clip, *tokenizers, length=length)


def _check_tokenizer(folder: Path) -> None:
    """Raises ValueError where its config names files elsewhere, which some versions of transformers open."""
    path = folder / "tokenizer_config.json"
    config = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    # What the last one names was on its author's machine; no version opens it.
    named = {k: v for k, v in config.items() if k.endswith("_file") and k != "special_tokens_map_file"}
    named["fast_tokenizer_files"] = config.get("fast_tokenizer_files")
    for key, value in named.items():
        for name in value if isinstance(value, list) else [value]:
            if name is not None and (not isinstance(name, str) or Path(name).name != name or "\\" in name):
                raise ValueError(f"its config names {name!r} as {key}, which is no file beside it")


def _pooled_kind(folder: Path) -> type:
    """CLIP's own tokenizer class unless the folder names another, whose rules CLIP's class would replace by its own."""
    from transformers import AutoTokenizer, CLIPTokenizer

    try:
        named = json.loads((folder / "tokenizer/tokenizer_config.json").read_text())["tokenizer_class"]
    except (OSError, ValueError, KeyError, TypeError):
        return CLIPTokenizer
    return CLIPTokenizer if str(named).startswith("CLIPTokenizer") else AutoTokenizer


def _tower(kind: type, folder: Path, device: torch.device | str, dtype: torch.dtype) -> nn.Module:
    if not (folder / "config.json").is_file():  # transformers would take its own defaults
        raise ModelNotFoundError(f"'{folder}' has no config.json; restore it from where the model came")
    files = TensorFiles(weight_files(folder))
    if not files:
        raise ModelNotFoundError(f"'{folder}' holds no usable text encoder (no safetensors); restore its files")
    try:
        # Without a folder, transformers opens no file that a config or an adapter beside it names.
        config = kind.config_class.from_pretrained(folder, local_files_only=True)  # type: ignore[attr-defined]
        with no_bars():
            module, info = kind.from_pretrained(  # type: ignore[attr-defined]
                None, config=config, state_dict={name: files.read(name) for name in files}, dtype=dtype,
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # they are reported below, by name
            )  # fmt: skip
    except _UNREADABLE as error:
        reason = str(error).strip().partition("\n")[0]
        raise ModelNotFoundError(f"'{folder}' holds no usable text encoder ({reason}); restore its files") from error
    report = KeyReport(
        f"'{folder}'",
        len(module.state_dict()) - len(info["missing_keys"]),
        sorted(info["missing_keys"]),
        sorted(info["unexpected_keys"]),
        [f"{name} is {list(stored)}, should be {list(own)}" for name, stored, own in sorted(info["mismatched_keys"])],
    )
    report.raise_unless_fits()
    for name, parameter in module.named_parameters():
        if not torch.isfinite(parameter).all():
            raise NonFiniteError(f"tensor {name} in '{folder}' has NaN or infinity in it; get the file again")
    return module.to(device).eval()
