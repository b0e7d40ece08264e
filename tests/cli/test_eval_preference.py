"""`inkontext eval preference`: from pictures to ratings on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from inkontext.evaluation.preference.study import read_study
from tests.cli.conftest import Cli, names


@pytest.fixture
def systems(here: Path) -> list[str]:
    for s, name in enumerate("abc"):
        (here / name).mkdir()
        for n in range(4):
            colour = np.random.default_rng(10 * s + n).integers(0, 256, (8, 8, 3), dtype=np.uint8)
            Image.fromarray(colour).resize((32, 32)).save(here / name / f"{n:04d}.png")
    return ["a=a", "b=b", "c=c"]


def test_from_pictures_to_ratings(cli: Cli, here: Path, systems: list[str]) -> None:
    (here / "p.jsonl").write_text("\n".join(json.dumps({"prompt": f"cat {n}", "key": f"{n:04d}"}) for n in range(4)))
    arguments = ("--data", "p.jsonl", "--dimensions", "instruction,aesthetics,consistency", "--checks", 0.2)
    done = cli("eval", "preference", "plan", "study", "--systems", *systems, *arguments)
    assert done.code == 0 and "12 trials and 2 attention checks of 3 systems" in done.out
    assert "consistency: never asked" in done.out and "keep study.json" in done.out
    study = read_study(here / "study")
    assert study.systems == ("a", "b", "c") and list(study.questions) == ["instruction", "aesthetics"]

    def line(rater: str, trial: str, dimension: str, choice: str) -> str:
        return f"{study.id},{rater},{trial},{dimension},{choice}\n"

    rng = np.random.default_rng(0)
    text = "study,rater,trial,dimension,choice\n"
    for rater in ("ann", "bob"):
        for t in study.trials:
            for d in t.dimensions:
                text += line(rater, t.id, d, t.answer or str(rng.choice(["left", "right", "tie"])))
    (here / "v.csv").write_text(text + line("ann", "t9999", "aesthetics", "left"))
    done = cli("eval", "preference", "import", "study", "v.csv")
    assert (done.code, done.out) == (0, "v.csv: 56 votes taken, 0 known already, 1 refused\n")
    assert done.err.strip() == "v.csv, line 58: unknown trial 't9999'"
    assert "0 votes taken, 56 known" in cli("eval", "preference", "import", "study", "v.csv").out

    done = cli("eval", "preference", "rate", "study", "--resamples", 100, "--json", "a.json", "--out", "out")
    assert done.code == 0 and "Krippendorff" in done.out and "…" not in done.out
    body = json.loads((here / "a.json").read_text())
    assert body["overall"]["votes"] == 48 and [r["rater"] for r in body["raters"]] == ["ann", "bob"]
    assert (here / "out/results.json").read_bytes() == (here / "a.json").read_bytes()
    assert "<svg" in (here / "out/report.html").read_text()


def test_mistakes_are_one_sentence_and_leave_nothing(cli: Cli, here: Path, systems: list[str]) -> None:
    before = names(here)
    for arguments, words in (
        (("plan", "study", "--systems", "a=a"), "two systems or more"),
        (("plan", "study", "--systems", *systems, "--per-pair", 9), "at most 4"),
        (("plan", "study", "--systems", *systems, "--data", "nowhere"), "no requests at 'nowhere'"),
        (("plan", "study", "--systems", *systems, "--dimensions", "charm"), "no dimension 'charm'"),
        (("plan", "study", "--systems", *systems, "--raters", "x,x"), "each once"),
        (("plan", "a", "--systems", *systems), "holds something"),
        (("import", "study", "v.csv"), "cannot be read"),
        (("rate", "study"), "cannot be read"),
        (("rate", "study", "--json", "a"), "cannot write 'a'"),
    ):
        outcome = cli("eval", "preference", *arguments)
        assert outcome.code == 2 and words in outcome.complaint, arguments
        assert names(here) == before
