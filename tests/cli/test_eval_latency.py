"""`inkontext eval latency` on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Cli, names


def test_a_model_in_a_fresh_process_beside_one_that_is_not_there(cli: Cli, here: Path, debug_folder: Path) -> None:
    done = cli(
        "eval", "latency", "-m", debug_folder, "-m", "nowhere", "--no-diffusers", "--steps", 2, "--repeats", 2,
        "--sizes", "48", "--references", "0,1", "--device", "cpu", "--json", "a.json", "--out", "out",
    )  # fmt: skip
    assert done.code == 0 and "ours debug" in done.out and "ours nowhere" in done.out
    assert "…" not in done.out
    body = json.loads((here / "a.json").read_text())
    good, bad = body["systems"]["ours debug"], body["systems"]["ours nowhere"]
    assert set(good["jobs"]) == {"text-to-image, 48 px", "edit, 48 px"} and good["failed"] is None
    job = good["jobs"]["edit, 48 px"]
    assert job["size"] == [48, 48] and job["steps"] == 2 and len(job["runs"]) == 2
    for run in job["runs"]:
        assert sum(run["stages"].values()) == pytest.approx(run["seconds"], abs=1e-7)
    assert set(job["stages"]) == {"text", "encode", "denoise", "decode", "else"}
    assert job["floor"]["flops"] == sum(job["floor"]["flops_by_stage"].values()) and job["floor"]["share"] > 0
    cold = good["cold"]
    assert cold["total"] >= cold["start"] + cold["load"] + cold["first"] and body["rates"]["float32"] > 0
    assert "nowhere" in bad["failed"] and bad["jobs"]["edit, 48 px"]["seconds"] is None
    assert (here / "out/results.json").read_bytes() == (here / "a.json").read_bytes()
    assert "<svg" in (here / "out/report.html").read_text() and str(debug_folder) not in (here / "a.json").read_text()


def test_mistakes_are_one_sentence(cli: Cli, here: Path) -> None:
    before = names(here)
    for arguments, words in (
        (("--sizes", "60"), "multiple of 16"),
        (("--sizes", "64,64"), "each once"),
        (("--references", "a"), "whole numbers"),
        (("--references", "20"), "not possible"),
        (("--steps", 0), "steps must be"),
        (("--url", "http://localhost:1"), "give one --dialect"),
        (("--dialect", "bfl"), "give one --dialect"),
        (("--url", "http://localhost:1", "--dialect", "soap"), "no dialect 'soap'"),
        (("--served", "x"), "--served is asked of servers"),
        (("--repeats", 0, "--url", "http://localhost:1", "--dialect", "bfl"), "--repeats is 0"),
        (("--json", "."), "cannot write"),
        (("--url", "http://127.0.0.1:9", "--dialect", "bfl"), "no system made a picture"),
    ):
        outcome = cli("eval", "latency", *arguments)
        assert outcome.code == 2 and words in outcome.complaint, arguments
    assert names(here) == before
