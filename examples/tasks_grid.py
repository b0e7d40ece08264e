"""One picture of what a model does: reference, instruction and result for each of the five tasks.

The rows are the first held-out pairs of each task in the bench whose words the model can read (`--skip` goes further
down), not chosen by eye.

    python examples/tasks_grid.py --model tiny --out docs/tasks.png
    python examples/tasks_grid.py --photos FOLDER --emoji FOLDER --rows 2
"""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from inkontext import Pipeline
from inkontext.data.world import Outside, Pair
from inkontext.data.world.bench import CATEGORIES, bench_pairs, rows

NAMES = {
    "local": "Local edit", "global": "Global edit", "character": "Character reference", "text": "Text edit",
    "style": "Style reference",
}  # fmt: skip
SIDE, WORDS, GAP, HEAD = 144, 176, 10, 30  # pixels: a picture, the column of words, between, the line of headings
INK, GREY = (20, 20, 20), (110, 110, 110)
Example = tuple[Pair, Image.Image]


def held_out(
    seed: int, size: int, count: int, skip: int, outside: Outside | None, readable: Callable[[str], bool]
) -> list[Pair]:
    """`count` pairs of each task, in the order of `NAMES`, without those whose instruction is not `readable`."""
    table, spare = rows(seed), 8
    chosen = [
        n for task in CATEGORIES for n in [i for i, row in enumerate(table) if row.task == task][skip:][: count + spare]
    ]
    pairs = [pair for _, pair in bench_pairs(seed, size, outside, chosen) if readable(pair.instruction)]
    return [pair for task in NAMES for pair in [p for p in pairs if p.task == task][:count]]


def draw(examples: Sequence[Example], columns: int) -> Image.Image:
    """The examples side by side in `columns`; pictures are enlarged without smoothing where that is a whole factor."""
    wide = 2 * SIDE + WORDS + 4 * GAP
    deep = -(-len(examples) // columns)
    page = Image.new("RGB", (columns * wide, HEAD + deep * (SIDE + GAP)), "white")
    pen = ImageDraw.Draw(page)
    for column in range(columns):
        for word, x in (("reference", 0), ("instruction", SIDE + GAP), ("result", SIDE + WORDS + 2 * GAP)):
            pen.text((column * wide + GAP + x, 8), word, GREY, ImageFont.load_default(14))
    for i, (pair, made) in enumerate(examples):
        x, y = (i % columns) * wide + GAP, HEAD + (i // columns) * (SIDE + GAP)
        page.paste(_shown(pair.references[0]), (x, y))
        page.paste(_shown(made), (x + SIDE + WORDS + 2 * GAP, y))
        pen.text((x + SIDE + GAP, y), NAMES[pair.task], GREY, ImageFont.load_default(13))
        _write(pen, (x + SIDE + GAP, y + 20), pair.instruction)
    return page


def _shown(picture: Image.Image) -> Image.Image:
    sharp = SIDE % picture.width == 0
    return picture.resize((SIDE, SIDE), Image.Resampling.NEAREST if sharp else Image.Resampling.BICUBIC)


def _write(pen: ImageDraw.ImageDraw, at: tuple[int, int], words: str) -> None:
    """The words in the largest letters that fit the column."""
    tries = [(ImageFont.load_default(p), "\n".join(textwrap.wrap(words, n)))
             for p in range(15, 8, -1) for n in range(34, 12, -1)]  # fmt: skip

    def fits(font: Any, text: str) -> bool:
        left, top, right, bottom = pen.multiline_textbbox(at, text, font, spacing=3)
        return right - left <= WORDS and bottom - top <= SIDE - 24

    font, text = next((pair for pair in tries if fits(*pair)), tries[-1])
    pen.multiline_text(at, text, INK, font, spacing=3)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Draw what a model does on held-out pairs of each task.")
    parser.add_argument("--model", help="tiny, a folder, a file or a hub id")
    parser.add_argument("--out", type=Path, default=Path("tasks.png"))
    parser.add_argument("--rows", type=int, default=2, help="pairs of each task")
    parser.add_argument("--skip", type=int, default=0, help="pairs of each task to pass over first")
    parser.add_argument("--seed", type=int, default=0, help="draw of the bench")
    parser.add_argument("--size", type=int, help="side of the pictures in pixels; the model's own by default")
    parser.add_argument("--steps", type=int)
    parser.add_argument("--true-cfg", type=float)
    parser.add_argument("--columns", type=int, default=2)
    parser.add_argument("--photos", type=Path, help="folder of photographs to draw the world with")
    parser.add_argument("--emoji", type=Path, help="folder of stickers with names.json")
    parser.add_argument("--targets", action="store_true", help="show the right answers instead of a model's")
    args = parser.parse_args(argv)
    outside = Outside(args.photos, args.emoji) if args.photos or args.emoji else None
    pipeline = None if args.targets else Pipeline.from_pretrained(args.model)
    size = args.size or (pipeline.resolution if pipeline else 128)

    def readable(words: str) -> bool:
        return pipeline is None or pipeline.towers.count(words) <= pipeline.text_length

    examples: list[Example] = []
    for pair in held_out(args.seed, size, args.rows, args.skip, outside, readable):
        if pipeline is None:
            examples.append((pair, pair.target))
            continue
        made = pipeline.edit(
            pair.references[0], pair.instruction, seed=pair.seed, steps=args.steps, true_cfg=args.true_cfg
        )
        examples.append((pair, made.images[0]))
    args.out.parent.mkdir(parents=True, exist_ok=True)
    draw(examples, args.columns).save(args.out)
    print(args.out)


if __name__ == "__main__":
    main()
