"""Write the model card of the shipped `tiny`, or `tiny-fast`, from the figures that were measured.

    inkontext eval world --json out/world.json
    inkontext eval world --photos ../shared/data/photos --emoji ../shared/data/emoji --json out/photos.json
    inkontext eval world --baseline autoencoder --json out/ceiling.json
    python -m benchmarks.card [--model tiny-fast] --runs runs/tiny --world out/world.json --photos out/photos.json \\
        --ceiling out/ceiling.json

Nothing in the tables is typed by hand. Runs are described by their own `config.json` and `metrics.jsonl`, and kept in
the model's `history.json`, so that a later sitting adds to the earlier ones.
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from inkontext.data.world.bench import CATEGORIES
from inkontext.storage import atomic_path, write_json
from inkontext.weights.embedded import SHIPPED

STAGES = {"tiny": ("autoencoder", "t2i", "kontext", "guidance"), "tiny-fast": ("context-cache", "ladd")}
ABOUT = {
    "tiny": """The small model that comes with InKontext: FLUX.1 Kontext's architecture at {parameters} million
parameters, trained from nothing by the recipe of this repository on two CPU cores, at {size} px. It knows the
procedural world (shapes, creatures, words, landscapes, picture styles) and a little of photographs. It is there to try,
test and teach with, not to make art. Its guidance is an input, distilled: one pass a step.""",
    "tiny-fast": """`tiny` with a context that is computed once (`docs/context-cache.md`): {parameters} million
parameters, which are the transformer's; autoencoder, text towers and tokenizers are those of `tiny`, and so is what it
knows and lacks. It was distilled from `tiny` by the recipe of this repository on two CPU cores, at {size} px.""",
}
LOADS = {
    "tiny": """The folder loads unchanged in diffusers'
`FluxKontextPipeline` and gives the same picture at the same `guidance_scale`.""",
    "tiny-fast": """diffusers has no such
transformer and refuses the folder.""",
}
HEAD = """---
license: apache-2.0
library_name: inkontext
pipeline_tag: image-to-image
---
# {model}

{about}

## Data

* the procedural world of `inkontext.data.world`, train split, drawn on the fly;
* as backgrounds, as whole pictures and for the autoencoder, 1,437 photographs: CID22 (CC-BY-SA-4.0), CLIC 2025
  (Unsplash), labelled clothing photographs (CC0), labelled grocery photographs (MIT);
* as named objects: Fluent emoji (MIT).

Held out: identities, phrasings, 41 photographs (CID22's validation split), emoji names.

## Training

One command a stage: `inkontext train configs/tiny/STAGE.toml`. Two shared CPU cores, no accelerator.

"""
TAIL = """
## Limits

Square pictures of {size} px; others are brought to that size and back, and lose detail. English instructions of at
most {text} pieces. Words are hard for it, and so is what it has never seen. It was trained for hours where such models
train for months: look at the numbers above before you trust it. {loads}
"""


def lines(rows: Iterable[Iterable[Any]]) -> str:
    """A Markdown table; the first row is its head."""
    head, *rest = [[str(c) for c in row] for row in rows]
    return "\n".join("| " + " | ".join(r) + " |" for r in (head, ["---"] * len(head), *rest)) + "\n"


def percent(share: float | None) -> str:
    return "—" if share is None else f"{100 * share:.1f}"


def decibel(value: float | None) -> str:
    return "—" if value is None else f"{value:.1f}"


def run_row(folder: Path) -> dict[str, Any]:
    """A run in one line."""
    config = json.loads((folder / "config.json").read_text())
    seen = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    gaps = [b["time"] - a["time"] for a, b in itertools.pairwise(seen)]
    hours = sum(gap for gap in gaps if gap < 600) / 3600  # a longer gap is a pause between two sittings
    steps = max(line["step"] for line in seen)
    last = next(line for line in reversed(seen) if "validation/loss" in line or "validation/psnr" in line)
    start = config["model"]["start"] or "nothing"
    sizes = sorted({source["size"] or config["data"]["size"] for source in config["data"]["sources"]})
    psnr, loss = last.get("validation/psnr"), last.get("validation/loss")
    return {
        "stage": config["stage"],
        "from": Path(start).name if Path(start).is_absolute() else start,
        "px": ", ".join(str(side) for side in sizes),
        "steps": f"{steps:,}",
        "rows a step": config["batch"],
        "rows": f"{steps * config['batch']:,}",
        "seed": config["seed"],
        "hours": f"{hours:.1f}",
        "optimiser": config["optimiser"]["kind"],
        "held out": f"{psnr:.1f} dB" if psnr is not None else f"loss {loss:.3f}",
        "began": seen[0]["time"],
    }


def history(folder: Path, runs: Path, stages: Iterable[str]) -> list[list[Any]]:
    """Rows of all runs so far; those in `runs` are added or brought up to date."""
    path = folder / "history.json"
    known = json.loads(path.read_text())["runs"] if path.exists() else []
    now = [run_row(runs / stage) for stage in stages if (runs / stage / "metrics.jsonl").exists()]
    merged = {(row["stage"], row["began"]): row for row in [*known, *now]}
    ordered = sorted(merged.values(), key=lambda row: row["began"])
    write_json(path, {"runs": ordered})
    columns = [column for column in ordered[0] if column != "began"]
    return [columns, *([row[c] for c in columns] for row in ordered)]


def numbers(world: dict, photos: dict | None, ceiling: dict | None) -> str:
    def success(body: dict | None, task: str) -> str:
        return percent(body["by_task"].get(task, {}).get("success")) if body else "—"

    rows: list[list[Any]] = [["task", "pairs", "success %", "untouched dB", "photo world %", "autoencoder alone %"]]
    for task in CATEGORIES:
        own = world["by_task"][task]
        mine = percent(own["success"]), decibel(own["untouched_psnr"])
        rows.append([task, own["pairs"], *mine, success(photos, task), success(ceiling, task)])
    others = (percent(body["success"]) if body else "—" for body in (photos, ceiling))
    rows.append(["all", world["pairs"], percent(world["success"]), decibel(world["untouched_psnr"]), *others])
    system = world["system"]
    told = f"Seed {world['seed']}, {world['size']} px, {system['steps']} steps"
    told += f", guidance {system['guidance']:g}" if system.get("guidance") else ""
    told += f", true CFG {system['true_cfg']:g}" if system.get("true_cfg") else ""
    t2i = f"Text-to-image attribute accuracy: {percent(world['t2i']['attribute_accuracy'])} %." if world["t2i"] else ""
    return f"{told}, `inkontext eval world`; aims: 95 % and 30 dB, photo world 80 %. {t2i}\n\n" + lines(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("world", "photos", "ceiling"):
        parser.add_argument(f"--{name}", type=Path, required=name == "world")
    parser.add_argument("--model", choices=tuple(STAGES), default="tiny")
    parser.add_argument("--runs", type=Path, required=True)
    arguments = parser.parse_args()
    read = {n: json.loads(p.read_text()) for n in ("world", "photos", "ceiling") if (p := getattr(arguments, n))}
    folder = SHIPPED / arguments.model
    card = json.loads((folder / "inkontext.json").read_text())
    size = sum(f.stat().st_size for f in folder.rglob("*.safetensors"))
    facts = {"parameters": f"{size / 2e6:.1f}", "size": read["world"]["size"], "text": card["sampling"]["text_length"]}
    facts |= {"model": arguments.model, "loads": LOADS[arguments.model]}
    facts["about"] = ABOUT[arguments.model].format(**facts)
    runs = history(folder, arguments.runs, STAGES[arguments.model])
    body = HEAD.format(**facts) + lines(runs) + "\n## Numbers\n\n"
    body += numbers(read["world"], read.get("photos"), read.get("ceiling")) + TAIL.format(**facts)
    with atomic_path(folder / "README.md") as path:
        path.write_text(body, encoding="utf-8")
    print(body)


if __name__ == "__main__":
    main()
