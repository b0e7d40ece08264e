"""Write the model card of the shipped `tiny`, or `tiny-fast`, from what was recorded and measured.

    inkontext eval world --json out/world.json
    inkontext eval world --photos ../shared/data/photos --emoji ../shared/data/emoji --json out/photos.json
    inkontext eval world --baseline autoencoder --json out/ceiling.json
    python -m benchmarks.card [--model tiny-fast] --runs runs/tiny --world out/world.json --photos out/photos.json \\
        --ceiling out/ceiling.json

Nothing in the tables is typed by hand. Runs are described by their own commands, configurations and metrics, and kept
in the model's `history.json`, so that a later sitting adds to the earlier ones. Without `--runs` no run is added;
without `--world` the numbers stay what they were.
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from inkontext.data.world.bench import CATEGORIES
from inkontext.storage import atomic_path, write_json
from inkontext.training.history import HISTORY, Run, merged, run_of, runs_of
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

Two shared CPU cores, no accelerator.

"""
NUMBERS, LIMITS = "\n## Numbers\n\n", "\n## Limits\n"
UNKNOWN = "the command was not recorded; the configuration was"
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


def ends(interval: list[float] | None) -> str:
    """A share's interval, of `inkontext eval world`, over the base pictures."""
    return "—" if interval is None else f"{100 * interval[0]:.1f}–{100 * interval[1]:.1f}"


def decibel(value: float | None) -> str:
    return "—" if value is None else f"{value:.1f}"


def history(folder: Path, runs: Path | None, stages: Iterable[str]) -> list[Run]:
    """All runs so far; those in `runs` are added or brought up to date."""
    there = [runs / stage for stage in stages if (runs / stage / "metrics.jsonl").exists()] if runs else []
    found = merged(runs_of(folder), map(run_of, there))
    write_json(folder / HISTORY, {"runs": found})
    return found


def table(runs: Sequence[Run]) -> str:
    """A line a run."""
    columns = [column for column in runs[0] if column not in ("began", "commands")]
    return lines([["run", *columns], *([number, *(run[c] for c in columns)] for number, run in enumerate(runs, 1))])


def commands(runs: Sequence[Run]) -> str:
    """What made every run: its commands and what each set, or that neither was recorded."""
    old = [number for number, run in enumerate(runs, 1) if not run.get("commands")]
    body = f"\nRuns {ranges(old)}: {UNKNOWN} what the table says of it, and no more of it was kept.\n" if old else ""
    for number, run in enumerate(runs, 1):
        for what, parts in itertools.groupby(run.get("commands", []), command_of):
            body += f"\nRun {number}, from step {', '.join(str(part['from_step']) for part in parts)}:{what}"
    return body


def command_of(part: dict[str, Any]) -> str:
    """A command and what it set; the same in words for one command that was given several times."""
    command = part["command"]
    told = f" {UNKNOWN}" if command is None else f"\n\n```bash\n{command}\n```\n\nThe configuration was"
    settings = json.dumps(part["configuration"], ensure_ascii=False)
    return f"{told}, beside the defaults of {part['version']}:\n\n```json\n{settings}\n```\n"


def ranges(numbers: Sequence[int]) -> str:
    """Rising numbers in words: 1 to 3, 5."""
    groups = itertools.groupby(enumerate(numbers), lambda pair: pair[1] - pair[0])
    ends = [[n for _, n in group] for _, group in groups]
    return ", ".join(f"{g[0]} to {g[-1]}" if len(g) > 1 else str(g[0]) for g in ends)


def kept_numbers(card: Path) -> str:
    """The numbers that a card has already."""
    return card.read_text(encoding="utf-8").partition(NUMBERS)[2].partition(LIMITS)[0]


def numbers(world: dict, photos: dict | None, ceiling: dict | None) -> str:
    def success(body: dict | None, task: str) -> str:
        return percent(body["by_task"].get(task, {}).get("success")) if body else "—"

    head = ["task", "pairs", "success %", "95 %", "untouched dB", "photo world %", "autoencoder alone %"]
    rows: list[list[Any]] = [head]
    for task in CATEGORIES:
        own = world["by_task"][task]
        mine = percent(own["success"]), ends(own["success_interval"]), decibel(own["untouched_psnr"])
        rows.append([task, own["pairs"], *mine, success(photos, task), success(ceiling, task)])
    others = (percent(body["success"]) if body else "—" for body in (photos, ceiling))
    mine = percent(world["success"]), ends(world["success_interval"]), decibel(world["untouched_psnr"])
    rows.append(["all", world["pairs"], *mine, *others])
    system = world["system"]
    told = f"Seed {world['seed']}, {world['size']} px, {system['steps']} steps"
    told += f", guidance {system['guidance']:g}" if system.get("guidance") else ""
    told += f", true CFG {system['true_cfg']:g}" if system.get("true_cfg") else ""
    t2i = f"Text-to-image attribute accuracy: {percent(world['t2i']['attribute_accuracy'])} %." if world["t2i"] else ""
    return f"{told}, `inkontext eval world`; aims: 95 % and 30 dB, photo world 80 %. {t2i}\n\n" + lines(rows)


def card(folder: Path, runs: Sequence[Run], measured: str) -> str:
    """The card of the model in a folder, its numbers given."""
    sampling = json.loads((folder / "inkontext.json").read_text(encoding="utf-8"))["sampling"]
    size = sum(f.stat().st_size for f in folder.rglob("*.safetensors"))
    facts = {"parameters": f"{size / 2e6:.1f}", "size": sampling["resolution"], "text": sampling["text_length"]}
    facts |= {"model": folder.name, "loads": LOADS[folder.name]}
    facts["about"] = ABOUT[folder.name].format(**facts)
    body = HEAD.format(**facts) + table(runs) + commands(runs) + NUMBERS + measured
    return body + TAIL.format(**facts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("world", "photos", "ceiling", "runs"):
        parser.add_argument(f"--{name}", type=Path)
    parser.add_argument("--model", choices=tuple(STAGES), default="tiny")
    arguments = parser.parse_args()
    read = {n: json.loads(p.read_text()) for n in ("world", "photos", "ceiling") if (p := getattr(arguments, n))}
    if read and "world" not in read:
        parser.error("--photos and --ceiling stand beside --world; give that too")
    folder = SHIPPED / arguments.model
    if "world" in read:
        measured = numbers(read["world"], read.get("photos"), read.get("ceiling"))
    else:
        measured = kept_numbers(folder / "README.md")
    body = card(folder, history(folder, arguments.runs, STAGES[arguments.model]), measured)
    with atomic_path(folder / "README.md") as path:
        path.write_text(body, encoding="utf-8")
    print(body)


if __name__ == "__main__":
    main()
