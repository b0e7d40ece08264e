"""Sizes, canvases, and the recorded affine map from picture to canvas and back.

The contract: by default an edit has exactly its input's pixel size, and content that was not edited comes
back where it was. The picture is scaled onto a canvas the model knows and the rest is mirrored padding;
`Frame` records that map, applies it, and undoes it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from PIL import Image

from inkontext.errors import OptionError
from inkontext.numbers import as_whole, whole
from inkontext.safety.pictures import MAX_PIXELS

Size = tuple[int, int]
Box = tuple[int, int, int, int]
GRID = 16  # pixels a packed token covers
RESOLUTIONS = (GRID, 4096)  # what a model may be asked to work at: side in pixels of the square of equal area
FITS = ("pad", "crop", "stretch", "reference")
_LANCZOS = Image.Resampling.LANCZOS


@dataclass(frozen=True)
class Frame:
    """The map between a picture and its canvas; all in pixels, x before y, boxes (left, top, right, bottom).

    Attributes:
        source: size of the picture.
        canvas: size the model works at, multiples of 16.
        crop: the part of the picture that is shown (all of it unless `fit="crop"`).
        box: where on the canvas that part stands; outside is padding.
    """

    source: Size
    canvas: Size
    crop: Box
    box: Box

    @property
    def output(self) -> Size:
        """Size of what `restore` returns."""
        return self.crop[2] - self.crop[0], self.crop[3] - self.crop[1]

    @property
    def scale(self) -> tuple[float, float]:
        """Canvas pixels per picture pixel, (x, y); equal up to rounding unless stretched."""
        left, top, right, bottom = self.box
        return (right - left) / self.output[0], (bottom - top) / self.output[1]

    def to_canvas(self, x: float, y: float) -> tuple[float, float]:
        """A point of the picture (continuous pixel coordinates) on the canvas."""
        sx, sy = self.scale
        return self.box[0] + (x - self.crop[0]) * sx, self.box[1] + (y - self.crop[1]) * sy

    def to_source(self, x: float, y: float) -> tuple[float, float]:
        """The inverse of `to_canvas`."""
        sx, sy = self.scale
        return self.crop[0] + (x - self.box[0]) / sx, self.crop[1] + (y - self.box[1]) / sy

    def place(self, image: Image.Image, resample: Image.Resampling = _LANCZOS) -> Image.Image:
        """The picture on its canvas, padding filled with mirrored content."""
        left, top, right, bottom = self.box
        shown = image if self.crop == (0, 0, *image.size) else image.crop(self.crop)
        content = _resize(shown, (right - left, bottom - top), resample)
        if content.size == self.canvas:
            return content
        pad = ((top, self.canvas[1] - bottom), (left, self.canvas[0] - right))
        array = np.asarray(content)
        return Image.fromarray(np.pad(array, pad + ((0, 0),) * (array.ndim - 2), mode="symmetric"))

    def restore(self, canvas: Image.Image) -> Image.Image:
        """The canvas content back at the picture's scale, size `output`."""
        content = canvas if self.box == (0, 0, *canvas.size) else canvas.crop(self.box)
        return _resize(content, self.output, _LANCZOS)

    def as_dict(self) -> dict:
        """The record that goes into a picture's metadata."""
        return asdict(self)


def _resize(image: Image.Image, size: Size, resample: Image.Resampling) -> Image.Image:
    return image if image.size == size else image.resize(size, resample)


def frame_for(source: Size, canvas: Size, fit: str = "pad") -> Frame:
    """The frame that lays a picture of size `source` on `canvas`.

    `pad` shows all of it at one scale, centred; `crop` fills the canvas and cuts what stands over;
    `stretch` and `reference` fill the canvas with all of it. A picture of the canvas's size is left alone.

    Raises:
        OptionError: an unknown `fit`.
    """
    (w, h), (cw, ch) = source, canvas
    whole, full = (0, 0, w, h), (0, 0, cw, ch)
    if fit in ("stretch", "reference"):
        return Frame(source, canvas, whole, full)
    if fit == "pad":
        scale = min(cw / w, ch / h)
        bw, bh = max(1, min(cw, round(w * scale))), max(1, min(ch, round(h * scale)))
        left, top = (cw - bw) // 2, (ch - bh) // 2
        return Frame(source, canvas, whole, (left, top, left + bw, top + bh))
    if fit == "crop":
        scale = max(cw / w, ch / h)
        kw, kh = max(1, min(w, round(cw / scale))), max(1, min(h, round(ch / scale)))
        left, top = (w - kw) // 2, (h - kh) // 2
        return Frame(source, canvas, (left, top, left + kw, top + kh), full)
    raise OptionError(f"unknown fit {fit!r}; choose one of {', '.join(FITS)}")


def ratio_buckets(resolution: int) -> tuple[Size, ...]:
    """Canvases of about `resolution` squared pixels with sides in steps of 16, from 1:4 to 4:1, a square among them."""
    side = _on_grid(resolution)
    widths = range(math.ceil(side / 2 / GRID) * GRID, 2 * side + 1, GRID)
    return tuple((w, _on_grid(side**2 / w)) for w in widths)


def scaled_buckets(buckets: Sequence[Size], scale: float) -> tuple[Size, ...]:
    """The canvases of another area at the same ratios, as near as steps of 16 come; each once."""
    return tuple(dict.fromkeys((_on_grid(w * scale), _on_grid(h * scale)) for w, h in buckets))


def _on_grid(side: float) -> int:
    return max(GRID, round(side / GRID) * GRID)


def nearest_canvas(size: Size, buckets: Sequence[Size]) -> Size:
    """The bucket whose aspect ratio is nearest on a logarithmic scale: the one with the least padding."""
    wanted = math.log(size[0] / size[1])
    return min(buckets, key=lambda b: (abs(math.log(b[0] / b[1]) - wanted), b))


def reference_canvas(size: Size, buckets: Sequence[Size]) -> Size:
    """The reference implementations' choice: smallest (|w/h difference|, width, height)."""
    return min(buckets, key=lambda b: (abs(size[0] / size[1] - b[0] / b[1]), *b))


def area_canvas(size: tuple[float, float], area: int) -> Size:
    """`size` rescaled to about `area` pixels at its ratio, both sides floored to 16 (reference behaviour)."""
    ratio = size[0] / size[1]
    width, height = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
    return max(GRID, width // GRID * GRID), max(GRID, height // GRID * GRID)


def native_frame(size: Size, resolution: int) -> Frame:
    """Frame of a picture made from text alone: a canvas of its own size rounded up to 16, cut centrally.

    Beyond twice the model's training area the canvas is scaled down and the result scaled up.
    """
    canvas = (math.ceil(size[0] / GRID) * GRID, math.ceil(size[1] / GRID) * GRID)
    if canvas[0] * canvas[1] > 2 * resolution**2:
        return frame_for(size, area_canvas(size, resolution**2))
    left, top = (canvas[0] - size[0]) // 2, (canvas[1] - size[1]) // 2
    return Frame(size, canvas, (0, 0, *size), (left, top, left + size[0], top + size[1]))


def read_resolution(value: object, name: str = "resolution") -> int | None:
    """Side in pixels of the square of equal area that a model is to work at; None: its own. Raises OptionError."""
    return None if value is None else whole(value, name, *RESOLUTIONS)


def parse_size(size: str | Size | None, resolution: int) -> Size | None:
    """`"match"` or None -> None; `"1024x768"` or a tuple -> that; `"16:9"` -> that ratio at the model's area.

    Raises:
        OptionError: anything else, or a side outside 1..16384.
    """
    if size is None or (isinstance(size, str) and size == "match"):
        return None
    if isinstance(size, str):
        match = re.fullmatch(r"\s*(\d{1,9}(?:\.\d+)?)\s*([xX:])\s*(\d{1,9}(?:\.\d+)?)\s*", size)
        if match is None or (match[2] != ":" and "." in match[1] + match[3]):
            raise OptionError(f"size {size!r} is not understood; write 'match', WIDTHxHEIGHT or a ratio such as 16:9")
        first, second = float(match[1]), float(match[3])
        if match[2] == ":":
            if not (first and second and 0.1 <= first / second <= 10):
                raise OptionError(f"ratio {size!r} is too extreme; stay between 1:10 and 10:1")
            return area_canvas((first, second), resolution**2)
        size = (int(first), int(second))
    sides = [as_whole(side) for side in size] if isinstance(size, Iterable) else []
    if len(sides) != 2 or not all(side is not None and 1 <= side <= 16384 for side in sides):
        raise OptionError(f"size {size!r} must be two whole numbers of pixels between 1 and 16384")
    width, height = (int(side) for side in sides if side is not None)
    if width * height > MAX_PIXELS:
        raise OptionError(f"size {width}x{height} is more than {MAX_PIXELS // 10**6} megapixels; ask for less")
    return width, height


def told_size(size: str | Size | None) -> str | None:
    """A size as `parse_size` takes it, for a record: None for the picture's own. Raises OptionError."""
    if size is None or isinstance(size, str):
        return None if size == "match" else size
    width, height = parse_size(size, GRID) or size
    return f"{width}x{height}"


def stitch(images: Sequence[Image.Image]) -> Image.Image:
    """RGB pictures side by side, left to right, at the height of the first."""
    height = images[0].height
    scaled = [_resize(im, (max(1, round(im.width * height / im.height)), height), _LANCZOS) for im in images]
    canvas = Image.new("RGB", (sum(im.width for im in scaled), height))
    left = 0
    for im in scaled:
        canvas.paste(im, (left, 0))
        left += im.width
    return canvas
