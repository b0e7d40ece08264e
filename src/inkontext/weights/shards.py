"""Which safetensors files of a folder are one network: its index, its shards, its 16-bit variants.

One rule for transformer, autoencoder and both text towers, and the names that diffusers and transformers give:

    STEM.safetensors                            whole
    STEM-00001-of-00003.safetensors             a shard
    STEM.safetensors.index.json                 the index: which tensor is in which shard
    STEM.bf16.safetensors, STEM.bf16-00001-of-00003.safetensors, STEM.safetensors.index.bf16.json    a variant

An index decides where there is one; without, the numbers in the names say what belongs together.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from inkontext.errors import WeightsError
from inkontext.weights.card import read_json

WEIGHT_SUFFIXES: Final = (".safetensors", ".sft")
# Which is read where several stand side by side: the full one, then the type of FLUX's training; T5 overflows fp16.
VARIANTS: Final = ("", "bf16", "fp16", "non_ema")
_STEMS: Final = ("diffusion_pytorch_model", "model")  # diffusers' and transformers' own; another only where it is alone
_VARIANT: Final = rf"(?:\.({'|'.join(VARIANTS[1:])}))?"
SHARD: Final = re.compile(r"-(\d{5})-of-(\d{5})")
_FILE: Final = re.compile(rf"(.+?){_VARIANT}(?:{SHARD.pattern})?{_VARIANT}\.(?:safetensors|sft)")
_INDEX: Final = re.compile(rf"(.+?)\.(?:safetensors|sft)\.index{_VARIANT}\.json")
_SHOWN: Final = 5


@dataclass
class _Set:
    """The files of one stem and variant; shards by (number, of how many)."""

    whole: list[Path] = field(default_factory=list)
    shards: dict[tuple[int, int], Path] = field(default_factory=dict)
    index: Path | None = None

    @property
    def files(self) -> list[Path]:
        return [*self.whole, *self.shards.values()]


def weight_files(folder: Path, leave: Sequence[str] = ()) -> tuple[Path, ...]:
    """The files of the one network in a component's folder, sorted; empty where there are none.

    Args:
        leave: names of files that are another network's.

    Raises:
        WeightsError: shards are missing or too many, or nothing says which of several networks is meant.
    """
    found = networks_in(folder, leave)
    known = [stem for stem in _STEMS if stem in found]
    if len(found) > 1 and not known:
        raise WeightsError(f"'{folder}' holds several networks ({_some(found)}); keep the files of one")
    stems = known or list(found)
    return found[stems[0]].files_of(folder) if stems else ()


@dataclass(frozen=True)
class Network:
    """What stands under one stem, by variant."""

    stem: str
    variants: dict[str, _Set]

    def files_of(self, folder: Path) -> tuple[Path, ...]:
        """The files of the variant that is read. Raises WeightsError where they are not complete."""
        chosen = self.variants[next(v for v in VARIANTS if v in self.variants)]
        return _listed(folder, chosen) if chosen.index else _numbered(folder, chosen)


def networks_in(folder: Path, leave: Sequence[str] = ()) -> dict[str, Network]:
    """Every network in a folder by its stem; nothing is opened."""
    found: dict[str, Network] = {}
    for path in sorted(folder.glob("*")):
        if path.name.startswith(".") or path.name in leave:
            continue
        if match := _INDEX.fullmatch(path.name):
            stem, variant = match[1], match[2] or ""
            found.setdefault(stem, Network(stem, {})).variants.setdefault(variant, _Set()).index = path
        elif match := _FILE.fullmatch(path.name):
            stem, variant = match[1], match[2] or match[5] or ""
            of = found.setdefault(stem, Network(stem, {})).variants.setdefault(variant, _Set())
            if match[3]:
                of.shards[int(match[3]), int(match[4])] = path
            else:
                of.whole.append(path)
    return found


def _listed(folder: Path, of: _Set) -> tuple[Path, ...]:
    """The files that the index names."""
    assert of.index is not None
    weight_map = read_json(of.index).get("weight_map")
    names = set(weight_map.values()) if isinstance(weight_map, dict) and _all_text(weight_map.values()) else set()
    if not names:
        raise WeightsError(f"'{of.index}' lists no files; restore it from where the model came, or remove it")
    if strange := [n for n in names if not n.endswith(WEIGHT_SUFFIXES) or Path(n).name != n or "\\" in n]:
        raise WeightsError(
            f"'{of.index}' lists {_some(strange)}, which is no weights file beside it; restore the index"
        )
    if missing := [n for n in names if not (folder / n).is_file()]:
        raise WeightsError(
            f"'{folder}' lacks {_some(missing)} of the {len(names)} files in {of.index.name}; download the model again"
        )
    if extra := [p.name for p in of.files if p.name not in names]:
        raise WeightsError(
            f"'{folder}' holds {_some(extra)}, which {of.index.name} does not list; remove one of the two"
        )
    return tuple(sorted(folder / n for n in names))


def _numbered(folder: Path, of: _Set) -> tuple[Path, ...]:
    """The whole file, or every shard from 1 to the number in the names."""
    totals = {total for _, total in of.shards}
    if len(of.whole) + len(totals) > 1:
        raise WeightsError(
            f"'{folder}' holds one network twice ({_some(p.name for p in of.files)}); remove one of them"
        )
    for total in totals:
        name = next(iter(of.shards.values())).name
        wanted = {number: SHARD.sub(f"-{number:05d}-of-{total:05d}", name) for number in range(1, total + 1)}
        if missing := [wanted[number] for number in wanted if (number, total) not in of.shards]:
            raise WeightsError(f"'{folder}' lacks {_some(missing)} of {total} shards; download the model again")
        if extra := [p.name for (number, _), p in of.shards.items() if number not in wanted]:
            raise WeightsError(f"'{folder}' holds {_some(extra)}, which is none of its {total} shards; remove it")
    return tuple(sorted(of.files))


def _all_text(values: Iterable[object]) -> bool:
    return all(isinstance(value, str) for value in values)


def _some(names: Iterable[str]) -> str:
    names = sorted(names)
    return ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
