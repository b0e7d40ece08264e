"""The names of fields in metadata files, ours and other tools', in one table.

ours                    target, references, instruction, mask, category, key
musubi-tuner            image_path | control_path, control_path_0 ... | caption
DiffSynth-Studio        image | kontext_images | prompt
Hugging Face imagefolder  file_name | text; with `output` beside it, file_name is the reference
InstructPix2Pix         original_image, edited_image, edit_prompt
MagicBrush              source_img, target_img, mask_img, instruction
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from inkontext.safety.pictures import is_picture

FIELDS: Final[dict[str, tuple[str, ...]]] = {
    "target": ("target", "output", "target_image", "target_img", "output_image", "edited_image", "edited"),
    "references": (
        "references", "reference", "ref", "control_path", "control", "kontext_images", "input", "input_image", "source",
        "source_image", "source_img", "original_image", "conditioning", "conditioning_image", "control_image",
    ),
    "instruction": ("instruction", "caption", "text", "prompt", "edit_prompt", "edit"),
    "mask": ("mask", "mask_path", "mask_img", "mask_image"),
    "category": ("category", "task", "type"),
    "key": ("key", "id", "__key__"),
}  # fmt: skip
# The target where nothing else names it, and the reference where something does.
EITHER: Final = ("file_name", "image_path", "image")
# Common words, which mean a picture only where they hold the name of one.
_LOOSE: Final = frozenset({"ref", "control", "input", "source", "conditioning", "output", "edited", "edit"})
_LABELS: Final = ("category", "key")
_NUMBERED = re.compile(r"(.+?)_?(\d{1,3})")


@dataclass(frozen=True)
class Fields:
    """What a metadata row says, under our names; None where it says nothing."""

    target: str | None
    references: tuple[str, ...]
    instruction: str | None
    mask: str | None
    category: str
    key: str | None


def read_fields(row: Mapping[str, Any]) -> Fields:
    """A row of metadata under our names. Fields of other names are left alone.

    Raises:
        ValueError: it is no mapping, two fields say the same thing, or a field has the wrong type.
    """
    if not isinstance(row, Mapping):
        raise ValueError("is not an object with named fields")
    row = {name: value for name, value in row.items() if _says_something(name, value)}
    target, references = _one(row, "target"), _references(row)
    either = [name for name in EITHER if name in row]
    if target is None and either:
        target = _text(row, either.pop(0))
    elif target is not None and not references:
        references = [_text(row, name) for name in either]
    category, key = (next((str(row[name]) for name in FIELDS[role] if name in row), None) for role in _LABELS)
    return Fields(target, tuple(references), _one(row, "instruction"), _one(row, "mask"), category or "", key)


def reference_number(name: str) -> int | None:
    """0 for `control_path`, 3 for `control_path_3` or `ref3`; None where the name is no reference's."""
    if name in FIELDS["references"]:
        return 0
    match = _NUMBERED.fullmatch(name)
    return int(match[2]) if match and match[1] in FIELDS["references"] else None


def _says_something(name: str, value: Any) -> bool:
    if name in FIELDS["instruction"] and name not in _LOOSE:
        return value is not None  # "" is an instruction too, if a useless one: it is reported as empty, not as missing
    if value in (None, "", []):
        return False
    if re.sub(r"_?\d+$", "", name) not in _LOOSE or name == "edit":
        return True
    return any(
        isinstance(v, str) and is_picture(v.strip('[] "')) for v in (value if isinstance(value, list) else [value])
    )


def _references(row: Mapping[str, Any]) -> list[str]:
    numbered = sorted((number, name) for name in row if (number := reference_number(name)) is not None)
    bases = sorted({re.sub(r"_?\d+$", "", name) for _, name in numbered})
    if len(bases) > 1:
        raise ValueError(f"names references twice, as '{bases[0]}' and as '{bases[1]}'")
    return [path for _, name in numbered for path in _paths(row[name], name)]


def _paths(value: Any, name: str) -> list[str]:
    if isinstance(value, str) and value.startswith("["):  # a list inside a CSV cell
        try:
            value = json.loads(value)
        except ValueError as error:
            raise ValueError(f"has a field '{name}' that is neither a path nor a list") from error
    paths = value if isinstance(value, list) else [value]
    if not all(isinstance(path, str) and path for path in paths):
        raise ValueError(f"has a field '{name}' that is neither a path nor a list of paths")
    return paths


def _one(row: Mapping[str, Any], role: str) -> str | None:
    return next((_text(row, name) for name in FIELDS[role] if name in row), None)


def _text(row: Mapping[str, Any], name: str) -> str:
    if not isinstance(row[name], str):
        raise ValueError(f"has a field '{name}' that is not text")
    return row[name]
