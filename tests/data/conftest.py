"""Small sets on disk, written by hand: nothing here goes through the code that reads them."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

SIZES = {"wide": (96, 64), "square": (64, 64), "tall": (48, 80)}


def painted(size: tuple[int, int], seed: int = 0) -> Image.Image:
    """A smooth picture unlike that of any other seed."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (4, 4, 3), dtype=np.uint8))
    return coarse.resize(size, Image.Resampling.BICUBIC)


def png(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def save(picture: Image.Image, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path)
    return path


def write_lines(path: Path, rows: list[Mapping[str, object]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def write_tar(path: Path, members: Mapping[str, bytes]) -> Path:
    with tarfile.open(path, "w") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """A JSONL set: per shape one row without, two with one and one with two references."""
    folder, rows = tmp_path / "mixed", []
    for n, (name, size) in enumerate(SIZES.items()):
        for i, count in enumerate((0, 1, 1, 2)):
            target = save(painted(size, 100 * n + i), folder / f"pictures/{name}-{i}.png")
            references = [
                save(painted((64, 64), 7 * n + j), folder / f"pictures/{name}-{i}-{j}.png") for j in range(count)
            ]
            names = [str(p.relative_to(folder)) for p in references]
            rows.append({"target": str(target.relative_to(folder)), "references": names, "instruction": f"{name} {i}"})
    write_lines(folder / "metadata.jsonl", rows)
    return folder
