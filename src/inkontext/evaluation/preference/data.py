"""What a study is made of: the requests, and the systems' pictures of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from inkontext.data.fields import FIELDS, read_fields
from inkontext.data.folders import named_file, pictures_by_stem, same_text
from inkontext.data.tables import json_lines
from inkontext.errors import DataError, OptionError
from inkontext.evaluation.preference.study import Prompt

_PLACES: Final = ("test/metadata.jsonl", "metadata.jsonl")


def read_prompts(path: Path) -> dict[str, Prompt]:
    """The requests of KontextBench's folder, or of a file of lines, by key.

    A line names its instruction (or prompt, caption), its input pictures (`file_name`, `references`, ...; none for
    text-to-image), its key and its category. Without a key it is the line's number, 0000 for the first.

    Raises:
        DataError: no such file, a line that is none, or two lines of one key.
    """
    lines = _lines(path)
    prompts: dict[str, Prompt] = {}
    for line in json_lines(lines):
        try:
            if line.fault:
                raise ValueError(line.fault)
            prompt = _prompt(line.value, f"{line.number - 1:04d}", lines.parent)
        except ValueError as error:
            raise DataError(f"line {line.number} of '{lines}' is no request ({error}); mend or remove it") from error
        if prompt.key in prompts:
            raise DataError(f"line {line.number} of '{lines}' repeats the key '{prompt.key}'; keys are unique")
        prompts[prompt.key] = prompt
    if not prompts:
        raise DataError(f"'{lines}' holds no request; give one a line")
    return prompts


def _lines(path: Path) -> Path:
    if path.is_file():
        return path
    for place in _PLACES:
        if (path / place).is_file():
            return path / place
    raise DataError(f"there are no requests at '{path}'; give a folder with {_PLACES[0]}, or a .jsonl file")


def _prompt(row: Any, number: str, folder: Path) -> Prompt:
    """Raises ValueError with the reason."""
    fields = read_fields(row)
    references = fields.references
    if not references and fields.target and not any(name in row for name in FIELDS["target"]):
        references = (fields.target,)  # KontextBench's file_name is the input
    pictures = tuple(named_file(folder, name) for name in references)
    for picture in pictures:
        if not picture.is_file():
            raise ValueError(f"there is no picture '{picture}'")
    instruction = (fields.instruction or "").strip() or None
    return Prompt(same_text(fields.key or number), instruction, pictures, fields.category)


def read_systems(named: Sequence[str]) -> dict[str, dict[str, Path]]:
    """NAME=FOLDER, several -> the pictures of each system by key (the file's name without its ending).

    A folder that `eval ... --out` has written keeps its pictures in `outputs/`; they are found there.

    Raises:
        OptionError: fewer than two, one without a name, a name twice, a folder without pictures or with two of a key.
    """
    systems: dict[str, dict[str, Path]] = {}
    for text in named:
        name, equals, place = text.partition("=")
        if not equals or not name.strip() or not place:
            raise OptionError(f"'{text}' is no system; write NAME=FOLDER")
        if name in systems:
            raise OptionError(f"two systems are called '{name}'; give each a name of its own")
        systems[name] = _pictures(Path(place))
    if len(systems) < 2:
        raise OptionError("a comparison needs two systems or more; write NAME=FOLDER for each")
    return systems


def _pictures(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        raise OptionError(f"there is no folder '{folder}'; give the one that holds the pictures, KEY.png")
    place = folder / "outputs" if (folder / "outputs").is_dir() else folder
    try:
        found = pictures_by_stem(place)
    except ValueError as error:
        raise OptionError(f"the folder '{place}' {error}; keep one") from error
    if not found:
        raise OptionError(f"the folder '{folder}' holds no picture; name them by key, such as 0000.png")
    return found


def common_keys(
    systems: dict[str, dict[str, Path]], prompts: dict[str, Prompt] | None
) -> tuple[list[str], dict[str, str]]:
    """The keys that every system has a picture of, and the others with the first system that has none.

    Without `prompts` all keys count that any system has. Raises DataError where nothing is common.
    """
    wanted = sorted({key for pictures in systems.values() for key in pictures}) if prompts is None else list(prompts)
    left_out = {
        key: next(name for name, pictures in systems.items() if key not in pictures)
        for key in wanted
        if not all(key in pictures for pictures in systems.values())
    }
    keys = [key for key in wanted if key not in left_out]
    if not keys:
        raise DataError("no request has a picture of every system; the names of pictures must be the keys, KEY.png")
    return keys, left_out
