"""Parts of the suite that need more than one call of `inkontext`, or what another part has left.

    python -m benchmarks.suite_parts {identity,alignment,preference} BENCH EDITED OUT

BENCH is a folder in KontextBench's layout with `targets/`, EDITED what `eval kontextbench --out` has written of it.
Broken off, each gives the same bytes when it is called again: identity and alignment start anew, a study is kept.
"""

from __future__ import annotations

import csv
import io
import json
import random
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from inkontext.cli.main import app
from inkontext.errors import InKontextError
from inkontext.evaluation.preference.study import STUDY, Study, Trial, read_study
from inkontext.evaluation.report import Report, Table
from inkontext.storage import atomic_path

ALIGNED: Final = 8  # pictures, at most
RATERS: Final = 3
TIES: Final = 0.1
# How often the drawn votes prefer i to j: w_i / (w_i + w_j). These are ours; nobody has looked at the pictures.
WORTH: Final = {"target": 4.0, "model": 2.0, "input": 1.0}


def thumbnail(picture: Image.Image) -> np.ndarray:
    """8 x 8 average colours less their mean, `[192]`: stands in for a network, and knows nothing of faces or things."""
    small = np.asarray(picture.convert("RGB").resize((8, 8), Image.Resampling.BOX), dtype=np.float64)
    return (small - small.mean()).ravel()


def identity(bench: Path, edited: Path, out: Path) -> None:
    """Input against edit, by `thumbnail`: AuraFace, DINO and CLIP need weights that must be downloaded."""
    shutil.rmtree(out, ignore_errors=True)
    before, after = str(bench / "test/images"), f"model={edited / 'outputs'}"
    _call("identity", "--pairs", before, after, "--embedder", f"{__file__}:thumbnail", "--out", str(out))


def alignment(bench: Path, edited: Path, out: Path) -> None:
    """Input against edit, picture by picture: KEY.json of each, and a page of all."""
    shutil.rmtree(out, ignore_errors=True)
    rows = []
    for after in sorted((edited / "outputs").glob("*.png"))[:ALIGNED]:
        file = out / f"{after.stem}.json"
        _call("alignment", str(bench / "test/images" / after.name), str(after), "--json", str(file))
        found = json.loads(file.read_text())
        rows.append((after.stem, *(found[name] for name in ("shift_x", "shift_y", "scale", "rotation", "reason"))))
    columns = ("key", "right, px", "down, px", "scale", "rotation, degrees", "why not")
    Report("Alignment", {}, [Table("From the input to the edit", columns, rows)]).write(out)


def preference(bench: Path, edited: Path, out: Path, seed: int = 0) -> None:
    """A study of input, edit and target; votes drawn by `WORTH` as a file of voters; import and ratings."""
    study = out / "study"
    for left in (*out.glob(".*"), *study.glob(".*")):  # what a killed process was writing
        shutil.rmtree(left) if left.is_dir() else left.unlink()
    if not (study / STUDY).exists():
        folders = {"input": bench / "test/images", "model": edited / "outputs", "target": bench / "targets"}
        systems = [word for name, folder in folders.items() for word in ("--systems", f"{name}={folder}")]
        _call("preference", "plan", str(study), *systems, "--data", str(bench), "--seed", str(seed))
    votes = out / "votes.csv"
    with atomic_path(votes) as temporary:
        temporary.write_text(drawn_votes(read_study(study), seed), encoding="utf-8")
    _call("preference", "import", str(study), str(votes))
    rating = ("--resamples", "100", "--seed", str(seed))
    _call("preference", "rate", str(study), *rating, "--out", str(out))


def drawn_votes(study: Study, seed: int) -> str:
    """CSV of made-up votes of `RATERS` raters on every question; attention checks are answered rightly."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(("study", "rater", "trial", "dimension", "choice"))
    rng = random.Random(seed)
    for rater in range(RATERS):
        for trial in study.trials:
            for dimension in trial.dimensions:
                writer.writerow((study.id, f"drawn-{rater}", trial.id, dimension, _choice(trial, rng)))
    return file.getvalue()


def _choice(trial: Trial, rng: random.Random) -> str:
    if trial.answer is not None:
        return trial.answer
    if rng.random() < TIES:
        return "tie"
    left, right = WORTH[trial.left], WORTH[trial.right]
    return "left" if rng.random() < left / (left + right) else "right"


def _call(*words: str) -> None:
    """`inkontext eval WORDS`. Raises InKontextError."""
    app(["eval", *words], prog_name="inkontext", standalone_mode=False)


PARTS: Final[dict[str, Callable[[Path, Path, Path], None]]] = {
    "identity": identity,
    "alignment": alignment,
    "preference": preference,
}


def main() -> None:
    name, *places = sys.argv[1:]
    try:
        PARTS[name](*map(Path, places))
    except InKontextError as error:
        sys.exit(f"{name}: {error}")


if __name__ == "__main__":
    main()
