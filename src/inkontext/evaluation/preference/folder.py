"""Write a study: pictures without names, the page, and the key."""

from __future__ import annotations

import hashlib
import io
import json
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image, ImageCms

from inkontext.errors import OptionError, StorageError
from inkontext.evaluation.preference.data import common_keys
from inkontext.evaluation.preference.plan import Meeting, draw, per_pair_of
from inkontext.evaluation.preference.study import STUDY, Dimension, Prompt, Study, Trial
from inkontext.safety.pictures import Picture, read_picture
from inkontext.storage import write_json

_CELLS: Final = 8  # coarse squares along the shorter side of a spoilt picture


@dataclass(frozen=True)
class Order:
    """What to plan. `prompts` None: nothing is known but the pictures' keys."""

    systems: dict[str, dict[str, Path]]
    prompts: dict[str, Prompt] | None
    dimensions: dict[str, Dimension]
    per_pair: int | None
    checks: float
    seed: int
    raters: tuple[str, ...] | None = None


def write_study(folder: Path, order: Order) -> Study:
    """Write the study whole or not at all; the same order gives the same bytes.

    Raises:
        OptionError: the folder holds something, or no trial would ask one of the dimensions.
        DataError: no key is common to the systems.
        PictureError: a picture cannot be read.
        StorageError: the disk refuses.
    """
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
        raise OptionError(f"'{folder}' holds something already; name a new folder for the study")
    keys, left_out = common_keys(order.systems, order.prompts)
    per_pair = per_pair_of(order.per_pair, len(keys))
    meetings = draw(list(order.systems), keys, per_pair, order.checks, order.seed)
    prompts = order.prompts or {key: Prompt(key) for key in keys}
    asked = {m.key: tuple(n for n, d in order.dimensions.items() if d.applies(prompts[m.key])) for m in meetings}
    questions = _questions(order.dimensions, asked)
    parent = folder.absolute().parent
    try:
        parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=parent) as temporary:
            made = Path(temporary) / "study"
            writer = _Writer(made, order)
            trials = tuple(writer.trial(n, m, prompts[m.key], asked[m.key]) for n, m in enumerate(meetings))
            study = Study("", order.seed, tuple(order.systems), questions, trials, order.raters, left_out)
            study = replace(study, id=_digest(json.dumps(study.as_dict()))[:12])
            write_json(made / STUDY, study.as_dict())
            (made / "index.html").write_text(page(study), encoding="utf-8")
            made.replace(folder)
    except OSError as error:
        raise StorageError(f"cannot write '{folder}' ({error.strerror or error}); choose another place") from error
    return study


def _questions(dimensions: dict[str, Dimension], asked: dict[str, tuple[str, ...]]) -> dict[str, str]:
    """The questions that are asked; all of them where nobody chose."""
    used = Counter(name for names in asked.values() for name in names)
    if not used:
        raise OptionError(
            f"none of the dimensions {', '.join(dimensions)} suits these requests; add aesthetics, or give --data"
        )
    return {name: d.question for name, d in dimensions.items() if used[name]}


class _Writer:
    """Copies pictures into the study as they are first needed."""

    def __init__(self, folder: Path, order: Order) -> None:
        self.folder, self.order = folder, order
        self.written: dict[tuple[str, str], str] = {}
        (folder / "pictures").mkdir(parents=True)

    def trial(self, number: int, meeting: Meeting, prompt: Prompt, dimensions: tuple[str, ...]) -> Trial:
        """Write what a meeting shows."""
        spoilt = {None: None, "left": 1, "right": 0}[meeting.answer]
        left, right = (
            self._system(name, meeting.key, side == spoilt) for side, name in enumerate((meeting.left, meeting.right))
        )
        references = tuple(self._write("", f"{meeting.key} {n}", p, False) for n, p in enumerate(prompt.references))
        return Trial(
            f"t{number + 1:04d}", meeting.key, meeting.left, meeting.right, meeting.answer, meeting.block,
            dimensions, (left, right), references, prompt.instruction, prompt.category,
        )  # fmt: skip

    def _system(self, name: str, key: str, spoilt: bool) -> str:
        return self._write(name, key, self.order.systems[name][key], spoilt)

    def _write(self, system: str, key: str, source: Path, spoilt: bool) -> str:
        """Its anonymous name."""
        at = (system, f"{key} spoilt" if spoilt else key)
        if at not in self.written:
            image = plain(read_picture(source))
            data = _png(spoil(image, self.order.seed) if spoilt else image)
            name = f"pictures/{_digest(f'{self.order.seed} {at} {_digest(data)}')[:16]}.png"
            (self.folder / name).write_bytes(data)
            self.written[at] = name
        return self.written[at]


def plain(picture: Picture) -> Image.Image:
    """Its colours in sRGB, and nothing beside them: no profile, no record."""
    if picture.icc is None:
        return picture.rgb
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(picture.icc))
        converted = ImageCms.profileToProfile(picture.rgb, profile, ImageCms.createProfile("sRGB"))
    except (ImageCms.PyCMSError, OSError):  # a broken profile says nothing
        return picture.rgb
    return picture.rgb if converted is None else converted


def spoil(image: Image.Image, seed: int) -> Image.Image:
    """The picture in squares of an eighth of its shorter side, every second one of a random colour."""
    cell = max(1, min(image.size) // _CELLS)
    width, height = (max(2, round(side / cell)) for side in image.size)
    coarse = np.array(image.resize((width, height), Image.Resampling.BOX))
    noise = np.random.default_rng(seed).integers(0, 256, coarse.shape, dtype=np.uint8)
    board = (np.add.outer(np.arange(height), np.arange(width)) % 2)[..., None]
    return Image.fromarray(np.where(board, noise, coarse).astype(np.uint8)).resize(image.size, Image.Resampling.NEAREST)


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.asarray(image)).save(buffer, "PNG")  # from the bare numbers: nothing rides along
    return buffer.getvalue()


def _digest(data: str | bytes) -> str:
    return hashlib.sha256(data.encode() if isinstance(data, str) else data).hexdigest()


def page(study: Study, served: bool = False) -> str:
    """The page that is voted on. Alone it holds all trials; `served`, it asks a server for one at a time."""
    body = {
        "study": study.id,
        "raters": study.raters,
        "questions": study.questions,
        "blocks": None if served else _blocks(study.trials),
    }
    template = files("inkontext").joinpath("evaluation/preference/page.html").read_text(encoding="utf-8")
    return template.replace('"STUDY"', json.dumps(body, ensure_ascii=False).replace("<", "\\u003c"), 1)


def _blocks(trials: Sequence[Trial]) -> list[list[dict[str, Any]]]:
    blocks: dict[int, list[dict[str, Any]]] = {}
    for trial in trials:
        blocks.setdefault(trial.block, []).append(trial.shown())
    return list(blocks.values())
