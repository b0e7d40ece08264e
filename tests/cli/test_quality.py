"""`--quality`, `--candidates` and `--scorer` of edit, generate and `eval world`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from inkontext.cli.checks import Checks
from inkontext.pipeline import Pipeline
from inkontext.result import Result
from inkontext.safety.provenance import read_metadata
from tests.cli.conftest import Cli, names

LAST = "def last(candidates):\n    return [i for i, _ in enumerate(candidates.pictures)]\n"


def test_an_edit_of_quality_max(cli: Cli, here: Path, picture: Path, debug_folder: Path, pipeline: Pipeline) -> None:
    common = ("edit", picture, "redder", "-m", debug_folder, "--steps", 2, "--seed", 3, "--quality", "max")
    done = cli(*common, "-n", 2, "-o", "a.png", "--json", "a.json")
    assert done.code == 0 and done.out.split() == ["a-1.png", "a-2.png"]
    for name, first in (("a-1.png", 3), ("a-2.png", 7)):
        record = read_metadata(here / name)
        assert record is not None and record["solver"] == "heun"
        told = record["best_of"]
        assert (told["quality"], told["scorer"], told["seeds"]) == ("max", "agreement", list(range(first, first + 4)))
        assert told["chosen"] == record["seed"] and len(told["scores"]) == 4
        alone = pipeline.edit(picture, "redder", steps=2, seed=record["seed"], solver="heun").images[0]
        assert Image.open(here / name).tobytes() == alone.tobytes()
    assert json.loads((here / "a.json").read_text())["best_of"]["candidates"] == 4


def test_candidates_alone_keep_the_models_solver_and_a_scorer_of_the_users_chooses(
    cli: Cli, here: Path, picture: Path, debug_folder: Path
) -> None:
    (here / "mine.py").write_text(LAST)
    choice = ("--candidates", 2, "--scorer", "mine.py:last", "-m", debug_folder, "--steps", 1, "-o", "a.png")
    for arguments in (("edit", picture, "redder", "--ref", picture), ("generate", "a cat")):
        assert cli(*arguments, *choice).code == 0
        record = read_metadata(here / "a.png")
        assert record is not None and (record["solver"], record["seed"]) == ("euler", 1)
        assert record["best_of"]["function"] == "mine.py:last" and record["best_of"]["quality"] is None


def test_pictures_and_their_retries_never_share_a_candidate(monkeypatch: pytest.MonkeyPatch) -> None:
    class Found:
        result: Result

        def as_dict(self) -> dict[str, Any]:
            return {}

        def sentence(self) -> str:
            return ""

    tried: list[list[int]] = []

    def until_right(make: Any, check: Any, seeds: range) -> Found:
        tried.append(list(seeds))
        found = Found()
        found.result = make(seeds[0])
        return found

    monkeypatch.setattr("inkontext.reading.until_right", until_right)
    monkeypatch.setattr("inkontext.reading.Reader", lambda: None)
    image = Image.new("RGB", (8, 8))
    checks = Checks(image, (), ("A",), 2, {}, stride=4)
    checks.run(lambda seed, count: Result([image], [{"seed": seed}]), 10, 2)
    assert tried == [[10, 18, 26], [14, 22, 30]]  # four seeds from each of them on


def test_the_world_with_and_without_the_truth(cli: Cli, here: Path, debug_folder: Path) -> None:
    common = ("eval", "world", "-m", debug_folder, "--limit", 5, "--tasks", "local,global", "--steps", 1)
    done = cli(*common, "--quality", "max", "--candidates", 3, "--json", "a.json")
    assert done.code == 0 and "which does not see the truth" in " ".join(done.out.split())
    body = json.loads((here / "a.json").read_text())
    assert body["system"]["solver"] == "heun"
    assert (body["system"]["best_of"]["candidates"], body["system"]["best_of"]["scorer"]) == (3, "agreement")
    done = cli(*common, "--candidates", 2, "--scorer", "world", "--out", "run", "--json", "b.json")
    assert done.code == 0 and "WHICH SEES THE TRUTH" in " ".join(done.out.split())
    assert "WHICH SEES THE TRUTH" in (here / "run/report.html").read_text()
    body = json.loads((here / "b.json").read_text())
    assert body["system"]["best_of"]["scorer"] == "world" and body["system"]["solver"] == "euler"
    refused = cli(*common, "--candidates", 3, "--scorer", "world", "--out", "run")
    assert refused.code == 2 and "best_of.candidates 2 there, 3 now" in refused.complaint


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--quality", "best"), "unknown quality 'best'"),
        (("--quality", "max", "--candidates", 2), "needs at least 3 candidates"),
        (("--candidates", 100), "from 2 to 64"),
        (("--scorer", "agreement"), "give their number (--candidates)"),
        (("--quality", "max", "--scorer", "world"), "unknown scorer 'world'"),
        (("--quality", "max", "--scorer", "mine.py:f"), "cannot be imported"),
    ],
)
@pytest.mark.parametrize("verb", ["edit", "generate"])
def test_bad_input(
    verb: str, arguments: tuple[Any, ...], words: str, cli: Cli, here: Path, picture: Path, debug_folder: Path
) -> None:
    subject = (picture, "redder") if verb == "edit" else ("a cat",)
    outcome = cli(verb, *subject, "-m", debug_folder, *arguments)
    assert outcome.code == 2 and words in outcome.complaint and names(here) == ["photo.png"]


def test_a_baseline_has_no_candidates(cli: Cli, here: Path) -> None:
    outcome = cli("eval", "world", "--baseline", "copy", "--candidates", 3)
    assert outcome.code == 2 and "belong to a model" in outcome.complaint
