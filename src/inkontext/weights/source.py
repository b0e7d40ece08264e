"""From what the user typed (a name, folder, file or hub id) to the files of each part of the model."""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from inkontext.errors import ModelNotFoundError
from inkontext.weights.card import CARD, Card, read_card, read_json
from inkontext.weights.hub import download, is_hub_id
from inkontext.weights.shards import SHARD, WEIGHT_SUFFIXES, networks_in, weight_files

SHIPPED = Path(str(files("inkontext"))) / "models"
EMBEDDED = ("tiny", "tiny-fast", "debug")
SHARING = {"tiny-fast": "tiny"}  # shipped as a transformer alone; the other parts are that model's
TEXT_PARTS = ("text_encoder", "text_encoder_2", "tokenizer", "tokenizer_2")
AUTOENCODER_NAMES = ("ae.safetensors", "ae.sft", "vae.safetensors")
_PICKLE_SUFFIXES = (".bin", ".ckpt", ".pt", ".pth")
_FILE_SUFFIXES = (*WEIGHT_SUFFIXES, *_PICKLE_SUFFIXES, ".gguf")
_HUB_FILES = ["model_index.json", CARD, "*/*.json", "*/*.safetensors", "tokenizer*/*"]
_NOT_HAD = (
    "model '{repo}' is no local path and cannot be downloaded ({reason}); "
    "check the name, the network and, for a gated model, that you are logged in to the hub"
)


@dataclass(frozen=True)
class Source:
    """Where the parts of a model are.

    Attributes:
        name: what the user called it, without its path.
        folder: the folder that holds the files.
        transformer, autoencoder: safetensors files; several are shards of one.
        text: folder with the towers and tokenizers.
        card: the model's own description, if it has one.
        configs: diffusers' JSON by component, those there are; `index` is `model_index.json`.
    """

    name: str
    folder: Path
    transformer: tuple[Path, ...]
    autoencoder: tuple[Path, ...]
    text: Path
    card: Card | None
    configs: dict[str, dict[str, Any]]


def resolve(name_or_path: str | Path, autoencoder: Path | None = None, text: Path | None = None) -> Source:
    """Find a model's files; nothing is loaded.

    Args:
        name_or_path: `tiny`, `tiny-fast`, a diffusers folder, a folder with BFL files, a single file, or a hub id.
        autoencoder: a file or folder that replaces the model's own (or the missing) autoencoder.
        text: folder with `text_encoder`, `text_encoder_2`, `tokenizer`, `tokenizer_2`, likewise.

    Raises:
        ModelNotFoundError: nothing there, or a part of it is not.
    """
    path = _locate(name_or_path)
    folder = path.parent if path.is_file() else path
    if path.is_file() and SHARD.search(path.name):
        raise ModelNotFoundError(f"'{path}' is one shard of several; give the folder that holds the model")
    if (shared := shared_parts(folder)) != folder:
        autoencoder, text = autoencoder or shared / "vae", text or shared
    transformer, own_autoencoder = ((path,), _autoencoder_beside(folder)) if path.is_file() else _folder_files(path)
    if autoencoder is not None:
        own_autoencoder = weight_files(Path(autoencoder)) if Path(autoencoder).is_dir() else (Path(autoencoder),)
    configs = {
        part: read_json(file)
        for part, file in {
            "transformer": folder / "transformer/config.json",
            "vae": folder / "vae/config.json",
            "scheduler": folder / "scheduler/scheduler_config.json",
            "index": folder / "model_index.json",
        }.items()
        if file.exists()
    }
    return Source(
        name=path.stem if path.is_file() else _folder_name(path),
        folder=folder,
        transformer=transformer,
        autoencoder=own_autoencoder,
        text=Path(text) if text is not None else folder,
        card=read_card(folder / CARD),
        configs=configs,
    )


def shared_parts(folder: Path) -> Path:
    """The folder that has the autoencoder and text parts of a model: its own, but for a shipped variant."""
    return SHIPPED / SHARING[folder.name] if folder.parent == SHIPPED and folder.name in SHARING else folder


def resolve_autoencoder(name_or_path: str | Path) -> Source:
    """Find an autoencoder alone: a model's (`resolve`'s names, or a run's folder), an AutoencoderKL folder, or a file.

    `transformer` of the result is empty unless a whole model or an all-in-one file was found.

    Raises:
        ModelNotFoundError: nothing there, or nothing that holds an autoencoder's weights.
    """
    from inkontext.weights.tensors import TensorFiles  # here, so that finding a model's files needs no torch

    path = _locate(name_or_path)
    if path.is_file():
        own = path.suffix in WEIGHT_SUFFIXES and any("decoder.conv_in.weight" in name for name in TensorFiles([path]))
        return _alone(path.stem, path.parent, path.parent, (path,)) if own else resolve(path)
    model = path / "model" if (path / "model").is_dir() else path
    for vae in (model, model / "vae"):
        if _autoencoder_config(vae) and (weights := weight_files(vae)):
            owner = vae.parent if vae.name == "vae" else vae
            return _alone(_folder_name(owner if model == path else path), owner, vae, weights)
    return resolve(model)


def _alone(name: str, folder: Path, vae: Path, weights: tuple[Path, ...]) -> Source:
    return Source(name, folder, (), weights, folder, read_card(folder / CARD), _autoencoder_config(vae))


def _autoencoder_config(folder: Path) -> dict[str, dict[str, Any]]:
    """`{"vae": config}` where `config.json` describes diffusers' AutoencoderKL."""
    file = folder / "config.json"
    body = read_json(file) if file.exists() else {}
    return {"vae": body} if body.get("_class_name") == "AutoencoderKL" else {}


def _locate(name_or_path: str | Path) -> Path:
    name = str(name_or_path)
    try:
        path = Path(name).expanduser()
        if name and path.exists():
            # A file is not followed: in the hub's cache it is a link to a nameless blob, away from its neighbours.
            return path.resolve() if path.is_dir() else path.absolute()
    except (OSError, RuntimeError) as error:  # a name too long, a home folder that is not there
        raise ModelNotFoundError(f"'{name[:80]}' cannot be a model's path ({error.args[-1]}); check it") from error
    if name in EMBEDDED:
        from inkontext.weights.embedded import embedded

        return embedded(name)
    if is_hub_id(name) and path.suffix not in _FILE_SUFFIXES:
        return download(name, _HUB_FILES, ModelNotFoundError, _NOT_HAD.replace("{repo}", name))
    raise ModelNotFoundError(
        f"there is no model '{name}'; give 'tiny', 'tiny-fast', a folder, a .safetensors file or a hub id"
    )


def _folder_name(folder: Path) -> str:
    """The name people know a folder by; the hub's cache calls it MODELS--OWNER--NAME/snapshots/COMMIT."""
    return folder.parents[1].name.split("--")[-1] if folder.parent.name == "snapshots" else folder.name


def _folder_files(folder: Path) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
    transformer = weight_files(folder / "transformer")
    if transformer:
        return transformer, weight_files(folder / "vae")
    models = networks_in(folder, leave=AUTOENCODER_NAMES)
    if not models:
        pickles = [p.name for p in folder.rglob("*") if p.suffix in _PICKLE_SUFFIXES]
        hint = f"; {pickles[0]} is a pickle and is not opened" if pickles else ""
        raise ModelNotFoundError(
            f"'{folder}' holds neither transformer/*.safetensors nor a single-file model{hint}; "
            "give the folder that has model_index.json, or the model's .safetensors file"
        )
    if len(models) > 1:
        names = ", ".join(path.name for model in models.values() for path in model.files_of(folder))
        raise ModelNotFoundError(f"'{folder}' holds several models ({names}); give the path of one file")
    return weight_files(folder, leave=AUTOENCODER_NAMES), _autoencoder_beside(folder)


def _autoencoder_beside(folder: Path) -> tuple[Path, ...]:
    return tuple(folder / name for name in AUTOENCODER_NAMES if (folder / name).exists()) or weight_files(
        folder / "vae"
    )


def model_from_environment() -> str:
    """The model to use when none is named: `INKONTEXT_MODEL`, else `tiny`."""
    return os.environ.get("INKONTEXT_MODEL") or "tiny"
