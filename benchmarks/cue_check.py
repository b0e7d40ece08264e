"""How often the cue check finds a line that is still there in other colours, and how often it sees one that is not.

    python -m benchmarks.cue_check --pairs 100 --json FILE

A cue is drawn on scenes of the world (held-out pairs of its task `cue`) and on photographs. What stands in the result
is known: the right answer, something new at the place of the cue, another light, or the picture itself, each with the
line laid over it in a changed ink or without any. A line that hardly differs from what lies below it is counted apart.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFilter
from skimage import data

from benchmarks.planted import PHOTOGRAPHS
from benchmarks.table import show
from inkontext.cues import INKS, KINDS, Cue, draw, gone, settle
from inkontext.cues.drawing import coverage, line_width
from inkontext.data.world import sample_pair
from inkontext.data.world.render import render

VISIBLE: Final = 45  # of 441: the mean difference between the result with the line and without it
_NOISE: Final = 4.0  # grey levels over every result

Colour = np.ndarray  # `[3]`, 0 to 255


class Case(NamedTuple):
    """A picture, the cue on it, and results that hold no line: a name and a picture each."""

    before: Image.Image
    cue: Cue
    results: dict[str, Image.Image]


def _hue(ink: Colour, degrees: float) -> Colour:
    """The ink turned about the grey axis."""
    turn, axis = np.radians(degrees), np.full(3, 3**-0.5)
    turned = ink * np.cos(turn) + np.cross(axis, ink) * np.sin(turn) + axis * (axis @ ink) * (1 - np.cos(turn))
    return np.clip(turned, 0, 255)


# What becomes of the ink: its colour, its opacity, and how far (in line widths) it is blurred.
INK: Final[dict[str, tuple[Callable[[Colour], Colour], float, float]]] = {
    "as drawn": (lambda ink: ink, 1.0, 0.0),
    "darkened": (lambda ink: ink * 0.45, 1.0, 0.0),
    "lightened": (lambda ink: ink * 0.45 + 255 * 0.55, 1.0, 0.0),
    "desaturated": (lambda ink: np.full(3, ink @ (0.299, 0.587, 0.114)), 1.0, 0.0),
    "hue by 60": (lambda ink: _hue(ink, 60), 1.0, 0.0),
    "hue by 180": (lambda ink: _hue(ink, 180), 1.0, 0.0),
    "half faded": (lambda ink: ink, 0.5, 0.0),
    "blurred": (lambda ink: ink, 1.0, 0.35),
    "dark, faded, blurred": (lambda ink: ink * 0.6, 0.7, 0.25),
}


def over(picture: Image.Image, cue: Cue, kind: str) -> Image.Image:
    """The picture with the cue laid over it in the changed ink."""
    colour, opacity, blur = INK[kind]
    assert cue.colour is not None and cue.width is not None
    mask, corner = coverage(cue, picture.size)
    layer = Image.new("L", picture.size)
    layer.paste(mask, corner)
    if blur:
        layer = layer.filter(ImageFilter.GaussianBlur(blur * cue.width * (picture.width * picture.height) ** 0.5))
    weight = np.asarray(layer, np.float32)[..., None] / 255 * opacity
    below = np.asarray(picture, np.float32)
    ink = colour(np.array(INKS[cue.colour], np.float32))
    return Image.fromarray(np.rint(below + weight * (ink - below)).astype(np.uint8))


def noisy(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """As a decoder leaves it: a little softer, with noise; every other one through JPEG."""
    soft = np.asarray(picture.filter(ImageFilter.GaussianBlur(0.4)), np.float32)
    result = Image.fromarray(np.clip(soft + rng.normal(0, _NOISE, soft.shape), 0, 255).astype(np.uint8))
    if rng.random() < 0.5:
        file = io.BytesIO()
        result.save(file, "JPEG", quality=85)
        result = Image.open(file).convert("RGB")
    return result


def contrast(a: Image.Image, b: Image.Image, cue: Cue) -> float:
    """Mean difference of two pictures along the cue's line, of 441."""
    mask, corner = coverage(cue, a.size)
    line = Image.new("L", a.size)
    line.paste(mask, corner)
    on = np.asarray(line) >= 128
    return float(np.linalg.norm(np.asarray(a, np.float32)[on] - np.asarray(b, np.float32)[on], axis=1).mean())


def world_cases(count: int, size: int, first: int) -> Iterator[Case]:
    """Held-out pairs of the world: the right answer, the picture itself, another scene, the right answer at night."""
    for seed in range(first, first + count):
        pair = sample_pair(seed, "cue", size, "test")
        scene = pair.reference_scenes[0]
        (mark,) = scene.cues
        x0, y0, x1, y1 = (v / 1000 for v in mark.box)
        before = render(replace(scene, cues=()), size)
        other = sample_pair(seed, "local", size, "test").target
        cue = Cue(mark.kind, ((x0, y0), (x1, y1)), mark.colour, line_width(size))
        results = {"answer": pair.target, "same": before, "other scene": other, "night": _night(pair.target)}
        yield Case(before, cue, results)


def photograph_cases(pictures: list[Image.Image], count: int, size: int, first: int) -> Iterator[Case]:
    """Cues at chance places of photographs: the picture, at night, smoothed, and new content below the cue."""
    for seed in range(first, first + count):
        rng = np.random.default_rng(seed)
        a, b = (_cut(pictures[i], size, rng) for i in rng.choice(len(pictures), 2, replace=False))
        cue = _chance_cue(a, rng)
        results = {"same": a, "night": _night(a), "smooth": a.filter(ImageFilter.MedianFilter(5))}
        results |= {"new inside": _new(a, b, cue, 0.0), "new, edge near the line": _new(a, b, cue, rng.uniform(-1, 1))}
        yield Case(a, cue, results)


def _cut(picture: Image.Image, size: int, rng: np.random.Generator) -> Image.Image:
    side = int(min(picture.size) * rng.uniform(0.5, 1))
    left, top = (int(rng.integers(limit - side + 1)) for limit in picture.size)
    return picture.crop((left, top, left + side, top + side)).resize((size, size), Image.Resampling.LANCZOS)


def _chance_cue(picture: Image.Image, rng: np.random.Generator) -> Cue:
    kind = str(rng.choice(KINDS))
    x, y, w, h = *rng.uniform(0.05, 0.5, 2), *rng.uniform(0.2, 0.42, 2)
    points = ((x, y), (x + w, y + h))
    if kind == "scribble":
        points = tuple((x + w * i / 9, y + h * (0.5 + 0.5 * np.sin(i + w * 9))) for i in range(10))
    return settle(picture, [Cue(kind, points)], picture.width)[0]


def _night(picture: Image.Image) -> Image.Image:
    return Image.fromarray((np.asarray(picture, np.float32) * (0.35, 0.4, 0.6)).astype(np.uint8))


def _new(picture: Image.Image, other: Image.Image, cue: Cue, shift: float) -> Image.Image:
    """Something else inside the cue's box, its border `shift` of three line widths away from the line."""
    xs, ys = zip(*cue.points, strict=True)
    grow = 3 * shift * (cue.width or 0) * picture.width
    box = [min(xs) * picture.width - grow, min(ys) * picture.height - grow]
    box += [max(xs) * picture.width + grow, max(ys) * picture.height + grow]
    mask = Image.new("L", picture.size)
    pen = ImageDraw.Draw(mask)
    if box[2] > box[0] and box[3] > box[1]:
        (pen.ellipse if cue.kind == "ellipse" else pen.rectangle)(box, 255)
    return Image.composite(other, picture, mask.filter(ImageFilter.GaussianBlur(0.6)))


def count_verdicts(cases: Iterator[Case], keep: Callable[[str, Any], None] | None = None) -> dict[tuple[str, str], Any]:
    """(what became of the ink, result) to the numbers of verdicts; what is hardly seen counts as `faint`."""
    found: dict[tuple[str, str], dict[str, int]] = {}
    for number, case in enumerate(cases):
        shown = draw(case.before, [case.cue])
        rng = np.random.default_rng(number)
        for name, clean in case.results.items():
            for ink in ("none", *INK):
                result = clean if ink == "none" else over(clean, case.cue, ink)
                row = found.setdefault((ink, name), {"gone": 0, "left": 0, "cannot tell": 0, "faint": 0})
                if ink != "none" and contrast(clean, result, case.cue) < VISIBLE:
                    row["faint"] += 1
                    continue
                final = noisy(result, rng)
                finding = gone(case.before, shown, final, [case.cue]).findings[0]
                row[finding.verdict] += 1
                if keep:
                    keep(f"{number:03}-{ink}-{name}", (case, shown, final, finding, ink != "none"))
    return found


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=100)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--first", type=int, default=0, help="seed of the first pair")
    parser.add_argument("--photos", type=Path, help="folder of photographs; default: four of scikit-image")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    files = sorted(args.photos.glob("*.jpg")) if args.photos else []
    pictures = [Image.open(f).convert("RGB") for f in files] or [
        Image.fromarray(getattr(data, name)()).convert("RGB") for name in PHOTOGRAPHS
    ]
    rows = []
    for where, cases in (
        ("world", world_cases(args.pairs, args.size, args.first)),
        ("photographs", photograph_cases(pictures, args.pairs, args.size, args.first)),
    ):
        rows += [
            {"pictures": where, "line": ink, "result": name, **verdicts}
            for (ink, name), verdicts in count_verdicts(cases).items()
        ]
    show("The cue check", rows, args.json)


if __name__ == "__main__":
    main()
