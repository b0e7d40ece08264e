"""What a file of weights is: for `inkontext inspect` and `inkontext models`."""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import asdict
from typing import Any

import torch

from inkontext.errors import WeightsError
from inkontext.model.transformer import FluxTransformer
from inkontext.weights.card import recognise
from inkontext.weights.component import key_report
from inkontext.weights.hashing import fingerprint
from inkontext.weights.load import autoencoder_of, sampling_of, transformer_of
from inkontext.weights.shards import weight_files
from inkontext.weights.source import TEXT_PARTS, Source
from inkontext.weights.tensors import TensorFiles
from inkontext.weights.transformer_map import transformer_map

_DOWN = re.compile(r"\.(lora_down|lora_A|down|[a-z]+_lora\d?\.down)(\.default)?\.weight$")


def describe_model(source: Source) -> dict[str, Any]:
    """Architecture, sampling, sizes and the key report of a model; nothing is loaded but headers."""
    component, cfg = transformer_of(source)
    with torch.device("meta"):
        shapes = {name: p.shape for name, p in FluxTransformer(cfg).named_parameters()}
    report = key_report(component, transformer_map(cfg), shapes)
    known = recognise(source.name, cfg)
    body: dict[str, Any] = {
        "kind": "model",
        "name": source.card.name if source.card else source.name,
        "folder": str(source.folder),
        "layout": component.naming,
        "architecture": known.name if known else "own",
        "trained": source.card.trained if source.card else True,
        "parameters": component.count(),
        "tensors": len(component.names()),
        "dtypes": dict(Counter(str(i.dtype).removeprefix("torch.") for i in component.files.values())),
        "fingerprint": fingerprint(source.transformer),
        "transformer": asdict(cfg),
        "sampling": asdict(sampling_of(source, cfg)),
        "keys": {
            "matched": report.matched,
            "missing": list(report.missing),
            "unused": list(report.unused),
            "mis_shaped": list(report.mis_shaped),
        },
        "files": _files(source),
        "text_parts": [part for part in TEXT_PARTS if (source.text / part).is_dir()],
    }
    if source.autoencoder:
        files, autoencoder_cfg = autoencoder_of(source)
        body["autoencoder"] = asdict(autoencoder_cfg) | {"parameters": files.count()}
    if source.card and source.card.notes:
        body["notes"] = source.card.notes
    return body


def _files(source: Source) -> dict[str, list[str]]:
    """The files that are read of every network: which variant, how many shards."""
    towers = {part: weight_files(source.text / part) for part in TEXT_PARTS}
    networks = {"transformer": source.transformer, "autoencoder": source.autoencoder, **towers}
    return {part: [path.name for path in paths] for part, paths in networks.items() if paths}


def lora_family(names: list[str]) -> str | None:
    """Which trainer's naming a LoRA uses, or None if the file is no LoRA. Facts: docs/formats.md."""
    if not any(_DOWN.search(n) for n in names):
        return None
    if any(".processor." in n for n in names):
        return "xlabs"
    if any(n.endswith("query_norm.scale") for n in names):
        return "bfl-control"
    if any(n.startswith("base_model") for n in names):
        return "fal"
    if any(n.startswith("diffusion_model.") for n in names):
        return "comfyui"
    if any(n.startswith(("lora_unet_", "lora_transformer_", "lora_te")) for n in names):
        return "kohya"
    return "diffusers"


def describe_lora(files: TensorFiles) -> dict[str, Any]:
    """Family, ranks, scales and targets of a LoRA file.

    Raises:
        WeightsError: it is no LoRA.
    """
    names = list(files)
    family = lora_family(names)
    if family is None:
        raise WeightsError(f"'{files.place}' is neither a model nor a LoRA that is known here; check the file")
    downs = [n for n in names if _DOWN.search(n)]
    for name in downs:
        info = files[name]
        if len(info.shape) < 2 or not info.count or not info.dtype.is_floating_point:
            raise WeightsError(
                f"{name} in '{info.path}' is {str(info.dtype).removeprefix('torch.')} {list(info.shape)}, no low-rank "
                "matrix; the file is damaged, get it again"
            )
    alphas = Counter(_alpha(files, n) for n in names if n.endswith(".alpha"))
    return {
        "kind": "lora",
        "family": family,
        "modules": len(downs),
        "ranks": dict(Counter(files[n].shape[0] for n in downs)),
        "alphas": dict(alphas) or "equal to the rank",
        "dora": any(n.endswith("dora_scale") for n in names),
        "targets": sorted({re.sub(r"\d+", "N", _DOWN.sub("", n)) for n in downs}),
        "metadata": files.metadata,
    }


def _alpha(files: TensorFiles, name: str) -> float:
    """The number that a LoRA's strength is told by."""
    values = files.read(name).flatten().tolist() if files[name].count == 1 else []
    if not values or not math.isfinite(values[0]):
        said = values[0] if values else list(files[name].shape)
        raise WeightsError(
            f"{name} in '{files[name].path}' is {said}, not one number; the file is damaged, get it again"
        )
    return float(values[0])
