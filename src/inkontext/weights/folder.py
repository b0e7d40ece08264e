"""Write a model as a diffusers-layout folder that diffusers' own `FluxKontextPipeline` also loads.

That pipeline cannot run an asymmetric transformer, and refuses it by the name of its class.
"""

from __future__ import annotations

import json
from pathlib import Path

from torch import Tensor, nn

from inkontext.model.text import TextTowers
from inkontext.storage import write_json
from inkontext.weights.architecture import autoencoder_json, transformer_json
from inkontext.weights.autoencoder_map import autoencoder_map
from inkontext.weights.card import CARD, Card
from inkontext.weights.mapping import Entry
from inkontext.weights.quiet import no_bars
from inkontext.weights.scheduler import scheduler_json
from inkontext.weights.tensors import write_sharded
from inkontext.weights.transformer_map import transformer_map

STEM = "diffusion_pytorch_model"
_GENERAL = "PreTrainedTokenizerFast"


def write_configs(folder: Path, card: Card, towers: dict[str, str]) -> None:
    """Every JSON file of the folder but those of the text towers.

    Args:
        towers: class names of `text_encoder`, `text_encoder_2`, `tokenizer`, `tokenizer_2`.
    """
    index = {"_class_name": "FluxKontextPipeline", "_diffusers_version": "0.42.1"}
    index |= {part: ["transformers", name] for part, name in towers.items()}  # type: ignore[dict-item]
    transformer = transformer_json(card.transformer)
    index |= {
        "transformer": ["diffusers", transformer["_class_name"]],
        "vae": ["diffusers", "AutoencoderKL"],
        "scheduler": ["diffusers", "FlowMatchEulerDiscreteScheduler"],
    }  # type: ignore[dict-item]
    write_json(folder / "transformer/config.json", transformer)
    write_json(folder / "vae/config.json", autoencoder_json(card.autoencoder))
    write_json(folder / "scheduler/scheduler_config.json", scheduler_json(card.sampling))
    card.save(folder / CARD)
    write_json(folder / "model_index.json", index)


def save_folder(folder: Path, card: Card, transformer: nn.Module, autoencoder: nn.Module, towers: TextTowers) -> None:
    """Write a whole model, in the dtypes its modules have; model_index.json comes last."""
    _save_network(folder / "transformer", transformer, transformer_map(card.transformer))
    _save_network(folder / "vae", autoencoder, autoencoder_map(card.autoencoder))
    parts = {
        "text_encoder": towers.clip,
        "text_encoder_2": towers.t5,
        "tokenizer": towers.clip_tokenizer,
        "tokenizer_2": towers.t5_tokenizer,
    }
    with no_bars():
        for name, part in parts.items():
            part.save_pretrained(folder / name)  # type: ignore[operator]
    classes = {name: type(part).__name__ for name, part in parts.items()}
    for name in (name for name, kind in classes.items() if kind == "TokenizersBackend"):
        _rename_class(folder / name / "tokenizer_config.json")
        classes[name] = _GENERAL
    write_configs(folder, card, classes)


def _rename_class(path: Path) -> None:
    """Say `PreTrainedTokenizerFast`, the name that transformers before 5 and after both know."""
    write_json(path, json.loads(path.read_text(encoding="utf-8")) | {"tokenizer_class": _GENERAL})


def _save_network(folder: Path, module: nn.Module, entries: list[Entry]) -> None:
    state = module.state_dict()
    tensors: dict[str, Tensor] = {}
    for entry in entries:
        tensors |= dict(zip(entry.parts, entry.to_diffusers(state[entry.bfl]), strict=True))
    specs = {name: (t.dtype, tuple(t.shape)) for name, t in tensors.items()}
    write_sharded(folder, STEM, specs, tensors.__getitem__)
