"""A contact sheet: references, instruction, target and mask of many pairs in one PNG.

python -m inkontext.data.world.sheet OUT.png --task local --count 24 --size 128
"""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw

from inkontext.data.world.levels import LEVELS
from inkontext.data.world.outside import Outside
from inkontext.data.world.pair import SPLITS, TASKS, Pair, sample_pair

_TEXT = 168  # width of the column of words, in pixels
_GAP = 6


def sheet(pairs: Sequence[Pair], columns: int = 2, zoom: int = 1) -> Image.Image:
    """The pairs in a grid; the sheet's pictures are enlarged `zoom` times."""
    size = pairs[0].size * zoom
    most = max(len(p.references) for p in pairs)
    wide = _TEXT + (most + 2) * (size + _GAP) + 2 * _GAP
    rows = -(-len(pairs) // columns)
    notes = [_note(pair) for pair in pairs]
    tall = max(size, max(12 * (1 + note.count("\n")) for note in notes)) + _GAP
    page = Image.new("RGB", (wide * columns, rows * tall), (255, 255, 255))
    draw = ImageDraw.Draw(page)
    for i, pair in enumerate(pairs):
        x, y = (i % columns) * wide, (i // columns) * tall
        for picture in pair.references:
            page.paste(picture.resize((size, size), Image.Resampling.NEAREST), (x, y))
            x += size + _GAP
        x += (most - len(pair.references)) * (size + _GAP)
        draw.text((x, y), notes[i], (0, 0, 0), spacing=1)
        x += _TEXT
        for picture in (pair.target, pair.mask):
            page.paste(picture.convert("RGB").resize((size, size), Image.Resampling.NEAREST), (x, y))
            x += size + _GAP
    return page


def _note(pair: Pair) -> str:
    """What stands beside the pictures."""
    head = f"{pair.seed} {pair.task}/{pair.edit.kind}"
    return "\n".join([head, *textwrap.wrap(pair.instruction, 27)])


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="inkontext.data.world.sheet", description="Draw a contact sheet.")
    parser.add_argument("out", type=Path)
    parser.add_argument("--task", choices=TASKS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=24)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--split", choices=SPLITS, default="train")
    parser.add_argument("--level", type=int, choices=sorted(LEVELS), default=3)
    parser.add_argument("--columns", type=int, default=2)
    parser.add_argument("--zoom", type=int, default=1)
    parser.add_argument("--photos", type=Path)
    parser.add_argument("--emoji", type=Path)
    args = parser.parse_args(argv)
    outside = Outside(args.photos, args.emoji) if args.photos or args.emoji else None
    pairs = [
        sample_pair(seed, args.task, args.size, args.split, outside, level=args.level)
        for seed in range(args.seed, args.seed + args.count)
    ]
    sheet(pairs, args.columns, args.zoom).save(args.out)


if __name__ == "__main__":
    main()
