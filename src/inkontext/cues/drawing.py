"""Drawing cues: the same markers for pictures of the training world and for those of users."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np
from PIL import Image, ImageDraw

from inkontext.cues.cue import INKS, Cue

LINE: Final = 22  # a line's width, thousandths of the side
THIN: Final = 7  # and never less than this on a canvas of four times the model's pixels
_SMOOTH: Final = 4  # markers are drawn this much larger and reduced
_SEEN: Final = 100  # an ink so far from the colours around it (of 441) is seen at once
_SMALL: Final = 128  # side at which colours are looked at


def marker(draw: ImageDraw.ImageDraw, kind: str, points: Sequence[tuple[int, int]], wide: int) -> None:
    """Paint one marker in 255, lines `wide` pixels, on a canvas of mode L.

    Args:
        kind: one of `KINDS`.
        points: canvas pixels; two corners with the smaller coordinates first, an arrow's tail and head, or a line.
    """
    (x0, y0), (x1, y1) = points[0], points[-1]
    if kind == "ellipse":
        draw.ellipse((x0, y0, x1, y1), outline=255, width=wide)
    elif kind == "box":
        draw.rectangle((x0, y0, x1, y1), outline=255, width=wide)
    elif kind == "cross":
        draw.line((x0, y0, x1, y1), 255, wide)
        draw.line((x0, y1, x1, y0), 255, wide)
    elif kind == "arrow":
        _arrow(draw, (x0, y0), (x1, y1), wide)
    else:
        draw.line(list(points), 255, wide)
        r = (wide - 1) // 2
        for x, y in points:
            draw.ellipse((x - r, y - r, x + r, y + r), 255)


def _arrow(draw: ImageDraw.ImageDraw, tail: tuple[int, int], tip: tuple[int, int], wide: int) -> None:
    """A shaft with a head whose point lies half a line beyond `tip`."""
    (x0, y0), (x1, y1) = tail, tip
    draw.line((x0, y0, x1, y1), 255, wide)
    long = math.hypot(x1 - x0, y1 - y0) or 1.0
    dx, dy = (x1 - x0) / long, (y1 - y0) / long
    head = wide * 2
    bx, by = x1 - dx * head * 2, y1 - dy * head * 2
    corners = [
        (x1 + math.floor(dx * wide / 2), y1 + math.floor(dy * wide / 2)),
        (round(bx + dy * head), round(by - dx * head)),
        (round(bx - dy * head), round(by + dx * head)),
    ]
    draw.polygon(corners, 255)


def line_width(resolution: int) -> float:
    """A line's share of the side for a model that works at `resolution` pixels: as thick as it was trained on."""
    return max(LINE / 1000, THIN / 4 / resolution)


def coverage(cue: Cue, size: tuple[int, int]) -> tuple[Image.Image, tuple[int, int]]:
    """How much of every pixel the cue covers, mode L, as a crop and its top left corner on a picture of `size`."""
    width, height = size
    share = cue.width or line_width(1024)
    side = math.sqrt(width * height)
    smooth = _SMOOTH if side <= 1536 else 2 if side <= 4096 else 1
    wide = max(1, int(share * side * smooth + 1e-6))
    points = cue.points
    if cue.kind in ("ellipse", "box", "cross"):
        xs, ys = zip(*points, strict=True)
        points = ((min(xs), min(ys)), (max(xs), max(ys)))
    placed = [(int(x * width * smooth + 1e-6), int(y * height * smooth + 1e-6)) for x, y in points]
    margin = wide * 3  # an arrow's head stands out by two lines
    left, top = (max(0, (min(v) - margin) // smooth) for v in zip(*placed, strict=True))
    right, bottom = (
        min(limit, -(-(max(v) + margin) // smooth)) for v, limit in zip(zip(*placed, strict=True), size, strict=True)
    )
    canvas = Image.new("L", ((right - left) * smooth, (bottom - top) * smooth))
    marker(ImageDraw.Draw(canvas), cue.kind, [(x - left * smooth, y - top * smooth) for x, y in placed], wide)
    return canvas.reduce(smooth), (left, top)


def settle(picture: Image.Image, cues: Sequence[Cue], resolution: int = 1024) -> tuple[Cue, ...]:
    """The cues with their colours and widths decided; those that have them stay as they are.

    A colour is the first of `INKS` that stands out from everything near the cue and marks no other cue.

    Args:
        picture: mode RGB.
        resolution: side in pixels of the pictures the model works on; its lines are never thinner than in training.
    """
    settled: list[Cue] = []
    taken = {cue.colour for cue in cues if cue.colour}
    small = picture.resize((min(_SMALL, picture.width), min(_SMALL, picture.height)), Image.Resampling.BOX)
    pixels = np.asarray(small, np.float32)
    for cue in cues:
        colour = cue.colour or _standing_out(pixels, cue, taken)
        taken.add(colour)
        settled.append(replace(cue, colour=colour, width=cue.width or line_width(resolution)))
    return tuple(settled)


def _standing_out(pixels: np.ndarray, cue: Cue, taken: set[str]) -> str:
    """The ink that is seen best near the cue; `pixels` is `[H, W, 3]`."""
    height, width = pixels.shape[:2]
    xs, ys = zip(*cue.points, strict=True)
    rows = slice(int(max(0, min(ys) - 0.08) * height), math.ceil((max(ys) + 0.08) * height))
    columns = slice(int(max(0, min(xs) - 0.08) * width), math.ceil((max(xs) + 0.08) * width))
    near = pixels[rows, columns].reshape(-1, 3)
    free = [ink for ink in INKS if ink not in taken] or list(INKS)
    distance = {ink: float(np.percentile(np.linalg.norm(near - INKS[ink], axis=1), 3)) for ink in free}
    return next((ink for ink in free if distance[ink] >= _SEEN), max(free, key=distance.__getitem__))


def draw(picture: Image.Image, cues: Sequence[Cue], resolution: int = 1024) -> Image.Image:
    """A copy of the picture (mode RGB) with the cues over it: what the model is shown. The picture stays as it is."""
    shown = picture.copy()
    for cue in settle(picture, cues, resolution):
        mask, corner = coverage(cue, picture.size)
        assert cue.colour is not None
        shown.paste(INKS[cue.colour], corner, mask)
    return shown
