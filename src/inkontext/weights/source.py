"""From what the user typed (a name, folder, file or hub id) to the files of each part of the model."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inkontext.errors import ModelNotFoundError
from inkontext.weights.card import CARD, Card, read_card, read_json

TEXT_PARTS = ("text_encoder", "text_encoder_2", "tokenizer", "tokenizer_2")
WEIGHT_SUFFIXES = (".safetensors", ".sft")
AUTOENCODER_NAMES = ("ae.safetensors", "ae.sft", "vae.safetensors")
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
_HUB_FILES = ["model_index.json", CARD, "*/*.json", "*/*.safetensors", "tokenizer*/*"]


@dataclass(frozen=True)
class Source:
    """Where the parts of a model are.

    Attributes:
        name: what the user called it, without its path.
        folder: the folder that holds the files.
        transformer, autoencoder: safetensors files; several are shards of one.
        text: folder with the towers and tokenizers.
        card: the model's own description, if it has one.
        configs: diffusers' JSON by component, those there are.
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
        name_or_path: `tiny`, a diffusers folder, a folder with BFL files, a single file, or a hub id.
        autoencoder: a file or folder that replaces the model's own (or the missing) autoencoder.
        text: folder with `text_encoder`, `text_encoder_2`, `tokenizer`, `tokenizer_2`, likewise.

    Raises:
        ModelNotFoundError: nothing there, or a part of it is not.
    """
    path = _locate(name_or_path)
    files = _split_files(path) if path.is_file() else _folder_files(path)
    folder = path.parent if path.is_file() else path
    transformer, own_autoencoder = files
    if autoencoder is not None:
        own_autoencoder = _weights_in(Path(autoencoder)) if Path(autoencoder).is_dir() else (Path(autoencoder),)
    configs = {
        part: read_json(file)
        for part, file in {
            "transformer": folder / "transformer/config.json",
            "vae": folder / "vae/config.json",
            "scheduler": folder / "scheduler/scheduler_config.json",
        }.items()
        if file.exists()
    }
    return Source(
        name=path.stem if path.is_file() else path.name,
        folder=folder,
        transformer=transformer,
        autoencoder=own_autoencoder,
        text=Path(text) if text is not None else folder,
        card=read_card(folder / CARD),
        configs=configs,
    )


def _locate(name_or_path: str | Path) -> Path:
    name = str(name_or_path)
    path = Path(name).expanduser()
    if path.exists():
        return path.resolve()
    if name in ("tiny", "debug"):
        from inkontext.weights.embedded import embedded

        return embedded(name)
    if _HUB_ID.fullmatch(name) and not path.parent.exists() and not path.suffix:
        return _from_hub(name)
    raise ModelNotFoundError(f"there is no model '{name}'; give 'tiny', a folder, a .safetensors file or a hub id")


def _from_hub(repo: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled

    try:
        return Path(snapshot_download(repo, allow_patterns=_HUB_FILES))
    except (HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled, OSError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ModelNotFoundError(
            f"model '{repo}' is no local path and cannot be downloaded ({reason}); "
            "check the name, the network and, for a gated model, that you are logged in to the hub"
        ) from error


def _weights_in(folder: Path) -> tuple[Path, ...]:
    """The safetensors files of a diffusers component folder; 16-bit variants are left to those who name them."""
    files = sorted(p for p in folder.glob("*") if p.suffix in WEIGHT_SUFFIXES)
    plain = [p for p in files if not re.search(r"\.(fp16|bf16|non_ema)\b", p.name)]
    return tuple(plain or files)


def _folder_files(folder: Path) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
    transformer = _weights_in(folder / "transformer")
    if transformer:
        return transformer, _weights_in(folder / "vae")
    singles = [p for p in _weights_in(folder) if p.name not in AUTOENCODER_NAMES]
    if not singles:
        pickles = [p.name for p in folder.rglob("*") if p.suffix in (".bin", ".ckpt", ".pt", ".pth")]
        hint = f"; {pickles[0]} is a pickle and is not opened" if pickles else ""
        raise ModelNotFoundError(
            f"'{folder}' holds neither transformer/*.safetensors nor a single-file model{hint}; "
            "give the folder that has model_index.json, or the model's .safetensors file"
        )
    if len(singles) > 1:
        names = ", ".join(p.name for p in singles)
        raise ModelNotFoundError(f"'{folder}' holds several models ({names}); give the path of one file")
    return _split_files(singles[0])


def _split_files(file: Path) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
    beside = [file.parent / name for name in AUTOENCODER_NAMES if (file.parent / name).exists()]
    beside = beside or list(_weights_in(file.parent / "vae"))
    return (file,), tuple(beside)


def model_from_environment() -> str:
    """The model to use when none is named: `INKONTEXT_MODEL`, else `tiny`."""
    return os.environ.get("INKONTEXT_MODEL") or "tiny"
