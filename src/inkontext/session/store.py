"""A session's folder.

session.json                      the manifest, written last: a turn is there when it is in it
turns/0003/picture.png            the picture, with the record of how it was made
turns/0003/latents.safetensors    its latents, float32 `[1, C, h, w]`
turns/0003/change.png             what this turn changed, mode L, 0 = nothing (not for turn 0)
turns/0003/mask.png, reference-1.png ...   what the edit was given
"""

from __future__ import annotations

import codecs
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch
from PIL import Image
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from inkontext.errors import PictureError, SessionError, StorageError
from inkontext.safety.pictures import open_image, read_size
from inkontext.safety.provenance import save_picture
from inkontext.session.manifest import Manifest, Turn, as_json, parse
from inkontext.storage import FolderLock, atomic_path, sync, write_json

T = TypeVar("T")
MANIFEST = "session.json"
PICTURE, LATENTS, CHANGE, MASK = "picture.png", "latents.safetensors", "change.png", "mask.png"


class Store:
    """The folder, locked against every other process until `close`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        in_use = SessionError(f"the session '{folder}' is open elsewhere; close it there, or wait until it is")
        self._lock = FolderLock(folder, in_use)

    def close(self) -> None:
        self._lock.release()

    def turn(self, number: int) -> Path:
        """The folder of a turn."""
        return turn_folder(self.folder, number)

    def save(
        self, number: int, picture: Image.Image, record: dict[str, Any], latents: Tensor,
        change: Image.Image | None = None, mask: Image.Image | None = None, references: Sequence[Image.Image] = (),
    ) -> None:  # fmt: skip
        """Write a turn's files, every one whole or absent. They count once the manifest names the turn.

        Raises:
            StorageError: the disk refuses.
        """
        folder = self.turn(number)
        extra = {CHANGE: change, MASK: mask} | {reference(n): im for n, im in enumerate(references, 1)}
        try:
            if folder.exists():  # left by a process that was killed before it wrote the manifest
                shutil.rmtree(folder)
            save_picture(picture, folder / PICTURE, record)
            with atomic_path(folder / LATENTS) as temporary:
                save_file({"latents": latents.detach().float().cpu().contiguous()}, temporary)
            for name, image in extra.items():
                if image is not None:
                    save_picture(image, folder / name)
            for place in (folder, folder.parent, self.folder):
                sync(place)
        except (OSError, SafetensorError) as error:
            raise StorageError(f"cannot write in '{folder}' ({error}); free some space") from error

    def commit(self, manifest: Manifest) -> None:
        """Make the manifest the session's. Raises StorageError."""
        write_json(self.folder / MANIFEST, as_json(manifest))

    def picture(self, number: int) -> Image.Image:
        """Mode RGB or RGBA, as it was saved. Raises SessionError where it is gone or damaged."""
        image = self._image(number, PICTURE)
        if image.mode not in ("RGB", "RGBA"):
            raise SessionError(f"the picture of turn {number} is not its own (mode {image.mode}); put a good copy back")
        return image

    def size(self, number: int) -> tuple[int, int]:
        """(width, height) of a turn's picture, which is not decoded. Raises SessionError where it is gone."""
        return self._read(read_size, number, PICTURE)

    def change(self, number: int) -> Image.Image:
        return self._image(number, CHANGE)

    def mask(self, turn: Turn) -> Image.Image | None:
        return self._image(turn.id, MASK) if turn.mask else None

    def references(self, turn: Turn) -> list[Image.Image]:
        return [self._image(turn.id, reference(n + 1)) for n in range(turn.references)]

    def latents(self, number: int) -> Tensor:
        """float32 `[1, C, h, w]`. Raises SessionError where they are gone or damaged."""
        path = self.turn(number) / LATENTS
        try:
            latents = load_file(path)["latents"]
        except (OSError, SafetensorError, KeyError) as error:
            raise SessionError(
                f"'{path}' is missing or damaged; put a good copy back, or go to another turn"
            ) from error
        if latents.ndim != 4 or latents.dtype != torch.float32 or not torch.isfinite(latents).all():
            raise SessionError(f"'{path}' does not hold latents; put a good copy back")
        return latents

    def _image(self, number: int, name: str) -> Image.Image:
        return self._read(open_image, number, name)

    def _read(self, read: Callable[[Path], T], number: int, name: str) -> T:
        try:
            return read(self.turn(number) / name)
        except PictureError as error:
            raise SessionError(f"turn {number} has lost a file: {error}") from error

    def check(self, manifest: Manifest) -> None:
        """Raises SessionError naming the first file that a turn of the manifest misses."""
        for turn in manifest.turns:
            names = [PICTURE, LATENTS, *[CHANGE] * (turn.id > 0), *[MASK] * turn.mask]
            names += [reference(n + 1) for n in range(turn.references)]
            for name in names:
                if not (self.turn(turn.id) / name).is_file():
                    path = self.turn(turn.id) / name
                    raise SessionError(f"turn {turn.id} has lost its file '{path}'; put a copy of it back")


def need_free(folder: Path) -> None:
    """Raises SessionError where a new session cannot begin in a folder, because it holds something."""
    others = {p.name for p in folder.iterdir() if not p.name.startswith(".")} - {"turns"} if folder.is_dir() else set()
    if MANIFEST in others:
        raise SessionError(f"there is a session in '{folder}' already; open it, or name a new folder")
    if others:
        raise SessionError(f"the folder '{folder}' is not empty; name a new one for the session")


def turn_folder(folder: Path, number: int) -> Path:
    """The folder of a turn, in that of its session."""
    return folder / "turns" / f"{number:04d}"


def reference(number: int) -> str:
    """File name of the reference picture with that number, from 1."""
    return f"reference-{number}.png"


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a session, which may be open elsewhere. Raises SessionError where there is no good one."""
    path = folder / MANIFEST
    try:
        text = path.read_bytes().removeprefix(codecs.BOM_UTF8)  # what some editors put there
    except (FileNotFoundError, NotADirectoryError) as error:
        raise SessionError(f"there is no session in '{folder}'; start one with `inkontext session new`") from error
    except OSError as error:
        raise SessionError(f"'{path}' cannot be read ({error.strerror}); check its permissions") from error
    return parse(text, str(path))
