"""`inkontext eval world`."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from inkontext.evaluation.world import run as world
from tests.cli.conftest import Cli, names


def test_a_model_is_measured_and_goes_on(cli: Cli, here: Path, debug_folder: Path) -> None:
    arguments = ("eval", "world", "-m", debug_folder, "--limit", 5, "--steps", 1, "--out", "run", "--json", "a.json")
    done = cli(*arguments)
    assert done.code == 0 and "untouched" in done.out and "t2i attribute accuracy" in done.out
    assert "…" not in done.out.partition("failed on")[0]  # the table fits 80 columns
    body = json.loads((here / "a.json").read_text())
    assert {"success", "untouched_psnr", "by_task", "t2i", "rows", "seed", "limit", "versions"} <= set(body)
    assert body["size"] == 64 and sorted(body["by_task"]) == ["character", "global", "local", "style", "text"]
    assert (here / "run/results.json").read_bytes() == (here / "a.json").read_bytes()
    page = (here / "run/report.html").read_bytes()
    assert b"Success by task" in page and all(
        (here / "run" / p).exists() for p in re.findall(r'img src="([^"]+)"', page.decode())
    )
    again = cli(*arguments)
    assert (here / "run/report.html").read_bytes() == page
    assert (again.code, again.out) == (0, done.out)
    refused = cli("eval", "world", "-m", debug_folder, "--limit", 5, "--steps", 2, "--out", "run")
    assert refused.code == 2 and "system.steps 1 there, 2 now" in refused.complaint


@pytest.mark.parametrize(("name", "success"), [("copy", 0.0), ("target", 1.0)])
def test_baselines(name: str, success: float, cli: Cli, here: Path, debug_folder: Path) -> None:
    done = cli("eval", "world", "-m", debug_folder, "--baseline", name, "--limit", 20, "--json", "a.json", "--seed", 3)
    assert done.code == 0 and f"baseline {name}: world, seed 3, 64 px" in done.out
    assert json.loads((here / "a.json").read_text())["success"] == success


def test_a_level_is_named_in_the_report_and_in_the_rows(cli: Cli, here: Path, debug_folder: Path) -> None:
    common = ("eval", "world", "-m", debug_folder, "--baseline", "target", "--limit", 5, "--json", "a.json")
    done = cli(*common, "--level", 1, "--out", "run")
    assert done.code == 0 and "baseline target: world of level 1, seed 0, 64 px" in done.out
    body = json.loads((here / "a.json").read_text())
    assert body["level"] == 1 and {row["level"] for row in body["rows"]} == {1} and body["success"] == 1.0
    refused = cli(*common, "--level", 7)
    assert refused.code == 2 and "no level 7; choose 1, 2 or 3" in refused.complaint


def test_an_autoencoder_and_then_its_pictures(cli: Cli, here: Path, debug_folder: Path) -> None:
    common = ("eval", "world", "-m", debug_folder, "--limit", 5, "--tasks", "local,text")
    assert cli(*common, "--baseline", "autoencoder", "--out", "run", "--json", "a.json").code == 0
    (here / "run/outputs").joinpath(names(here / "run/outputs")[0]).unlink()
    done = cli(*common, "--outputs", "run/outputs", "--json", "b.json")
    assert done.code == 0 and "missing, counted nowhere: 1:" in done.out
    a, b = (json.loads((here / f"{name}.json").read_text()) for name in "ab")
    assert a["rows"][1:] == b["rows"][1:] and b["rows"][0]["success"] is None and b["missing"] == 1


def test_an_interruption_says_what_is_kept(
    cli: Cli, here: Path, debug_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(world, "row_of", interrupt)
    done = cli("eval", "world", "-m", debug_folder, "--baseline", "target", "--limit", 5, "--out", "run")
    assert done.code == 130 and "kept in 'run'" in done.complaint


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--tasks", "local,dance"), "no task 'dance'"), (("--tasks", ","), "each task once"),
        (("--limit", 0), "limit is 0"), (("--seed", -1), "seed is -1"), (("--size", 8), "size is 8"),
        (("--baseline", "magic"), "unknown baseline"), (("--outputs", "none"), "no folder 'none'"),
        (("--outputs", "."), "holds no picture"), (("--baseline", "copy", "--outputs", "."), "give one"),
        (("--baseline", "copy", "--steps", 3), "belong to a model"), (("--photos", "none"), "No photographs"),
        (("--emoji", "none"), "names.json"), (("--json", "."), "name a file"), (("--steps", 0), "steps must be"),
        (("--true-cfg", 0), "true_cfg must be"), (("--model", "nowhere"), "no model 'nowhere'"),
    ],
)  # fmt: skip
def test_bad_input(arguments: tuple[str, ...], words: str, cli: Cli, here: Path, debug_folder: Path) -> None:
    outcome = cli("eval", "world", "-m", debug_folder, "--limit", 5, *arguments)
    assert outcome.code == 2 and outcome.out == "" and names(here) == []
    assert words in outcome.complaint
