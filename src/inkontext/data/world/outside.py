"""Pictures from outside: photographs and named stickers from folders given at run time."""

from __future__ import annotations

from collections import OrderedDict
from functools import cached_property
from pathlib import Path
from typing import Final

from PIL import Image, ImageOps

from inkontext.data.folders import named_file, pictures_below
from inkontext.data.tables import read_json
from inkontext.data.world.dice import held_out
from inkontext.errors import DataError, OptionError, PictureError
from inkontext.safety.pictures import DAMAGE, identify

_ZOOMS: Final = (100, 115, 130)  # a crop's enlargement, in percent
CROPS: Final = len(_ZOOMS) * 9 * 2  # zoom x nine places x mirrored or not
STICKERS_HELD_OUT_ONE_IN: Final = 6


class Outside:
    """Folders of pictures, read lazily and kept downsized in a bounded memory.

    photos: a folder of photographs; where it holds `train/` and `test/`, each split reads its own.
    emoji: a folder of pictures with transparency and a `names.json` {file: name}; a name's checksum
    decides its split. memory: how many megabytes of decoded pictures to keep.
    """

    def __init__(self, photos: str | Path | None = None, emoji: str | Path | None = None, memory: int = 192) -> None:
        self.photos = Path(photos) if photos is not None else None
        self.emoji = Path(emoji) if emoji is not None else None
        self._room = memory << 20
        self._kept: OrderedDict[tuple[str, int, bool], Image.Image] = OrderedDict()
        self._used = 0
        self._lists: dict[str, tuple[str, ...]] = {}
        if self.photos is not None:
            self.photo_names("train")
        if self.emoji is not None:
            self.sticker_names("train")

    def photo_names(self, split: str) -> tuple[str, ...]:
        """Photographs of the split, as paths below the folder, sorted."""
        if self.photos is None:
            return ()
        if split not in self._lists:
            own = self.photos / split
            folder = own if own.is_dir() else self.photos
            found = sorted(p.relative_to(self.photos).as_posix() for p in pictures_below(folder))
            if not found:
                raise OptionError(f"No photographs in {folder}; put .jpg, .png or .webp files there or leave it out.")
            self._lists[split] = tuple(found)
        return self._lists[split]

    def sticker_names(self, split: str) -> tuple[str, ...]:
        """Names of stickers of the split, sorted."""
        if self.emoji is None:
            return ()
        kept = f"sticker {split}"
        if kept not in self._lists:
            names = tuple(n for n in sorted(self._files) if held_out(n, STICKERS_HELD_OUT_ONE_IN) == (split == "test"))
            if not names:
                raise OptionError(f"names.json in {self.emoji} leaves no usable name; name at least a dozen pictures.")
            self._lists[kept] = names
        return self._lists[kept]

    @cached_property
    def _files(self) -> dict[str, Path]:
        assert self.emoji is not None
        index = self.emoji / "names.json"
        try:
            table = read_json(index)
        except DataError as error:
            raise OptionError(str(error)) from error
        if not isinstance(table, dict):
            raise OptionError(f"Cannot read {index}; it should be a JSON object of file names and names.")
        try:
            named = {name: named_file(self.emoji, file) for file, name in sorted(table.items(), reverse=True)}
        except ValueError as error:
            raise OptionError(f"A file name in {index} {error}; correct it.") from error
        return {name: file for name, file in named.items() if _is_plain_name(str(name))}

    def photo(self, name: str, crop: int, size: int) -> Image.Image:
        """One of `CROPS` square crops of the photograph, RGB, `size` pixels square."""
        whole = self._load(f"{self.photos}/{name}", size * _ZOOMS[-1] // 100 + 1, False)
        crop, mirrored = divmod(crop, 2)
        crop, place = divmod(crop, 9)
        side = min(whole.size) * 100 // _ZOOMS[crop]
        x = (whole.width - side) * (place % 3) // 2
        y = (whole.height - side) * (place // 3) // 2
        picture = whole.resize((size, size), Image.Resampling.BILINEAR, (x, y, x + side, y + side))
        return ImageOps.mirror(picture) if mirrored else picture

    def sticker(self, name: str, size: int) -> Image.Image:
        """The sticker of that name, RGBA, `size` pixels square."""
        return self._load(str(self._files[name]), size, True)

    def _load(self, path: str, short: int, sticker: bool) -> Image.Image:
        """The picture with its short side brought to `short`, from memory where it is kept."""
        key = (path, short, sticker)
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        picture = _read(path, short, "RGBA" if sticker else "RGB")
        self._kept[key] = picture
        self._used += picture.width * picture.height * 4
        while self._used > self._room and len(self._kept) > 1:
            _, old = self._kept.popitem(last=False)
            self._used -= old.width * old.height * 4
        return picture


def _read(path: str, short: int, mode: str) -> Image.Image:
    try:
        with Path(path).open("rb") as file, identify(file) as opened:
            opened.draft(mode, (short, short))
            picture = ImageOps.exif_transpose(opened).convert(mode)
    except DAMAGE as error:
        raise PictureError(f"Cannot read the picture {path}; replace it or take it out of the folder.") from error
    if mode == "RGBA":
        return ImageOps.pad(picture, (short, short), Image.Resampling.BOX, color=(0, 0, 0, 0))
    scale = short / min(picture.size)
    across = max(short, round(picture.width * scale)), max(short, round(picture.height * scale))
    return picture.resize(across, Image.Resampling.BOX if scale < 1 else Image.Resampling.BILINEAR)


def _is_plain_name(name: str) -> bool:
    """Names that read well after "a": a word or three in small letters, of one thing."""
    words = name.split(" ")
    return (
        name.isascii()
        and name.replace(" ", "").replace("-", "").isalpha()
        and name == name.lower()
        and len(words) <= 3
        and not any(w in ("button", "flag", "keycap", "hand", "hands", "symbol") for w in words)
        and not (name.endswith("s") and not name.endswith(("ss", "us")))
        and "and" not in words
    )
