"""`inkontext data ...`: tables, files, exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.cli.conftest import Cli


def test_make_check_report(cli: Cli, here: Path) -> None:
    made = cli("data", "make", "set", "-n", 6, "--size", 48, "--format", "twin", "--task", "local")
    assert (made.code, made.out) == (0, "6 pairs\n")
    checked = cli("data", "check", "set", "--size", 48, "--json", "check.json")
    assert checked.code == 0 and "6 rows (twins)" in checked.out and "nothing wrong" in checked.out
    assert json.loads((here / "check.json").read_text())["ok"] is True
    report = cli("data", "report", "set", "--json", "report.json")
    assert report.code == 0 and "local" in report.out
    assert json.loads((here / "report.json").read_text())["all"]["rows"] == 6


def test_check_tells_what_stops_training(cli: Cli, here: Path) -> None:
    cli("data", "make", "set", "-n", 3, "--size", 48, "--format", "twin", "--task", "local")
    (here / "set/reference/local/000001.png").unlink()
    (here / "set/target/local/000002.png").write_bytes(b"\x89PNG")
    outcome = cli("data", "check", "set", "--size", 48, "--json", "check.json")
    assert outcome.code == 2 and "2 problems that would stop training" in outcome.complaint
    assert "target/local/000001.png" in outcome.out and "local/000002" in outcome.out
    body = json.loads((here / "check.json").read_text())
    assert {(p["kind"], p["fatal"]) for p in body["problems"]} == {
        ("target without reference", True), ("broken picture", True),
    }  # fmt: skip


def test_precompute(cli: Cli, here: Path, debug_folder: Path) -> None:
    cli("data", "make", "set", "-n", 4, "--size", 48, "--format", "shards")
    arguments = (
        "data",
        "precompute",
        "set",
        "--model",
        debug_folder,
        "--out",
        "cache",
        "--size",
        48,
        "--json",
        "p.json",
    )
    first = cli(*arguments)
    assert first.code == 0 and "4 rows" in first.out
    second = cli(*arguments)
    assert "0 pictures encoded" in second.out and "0 instructions encoded" in second.out
    (outcome,) = json.loads((here / "p.json").read_text())["sets"]
    assert outcome["rows"] == 4 and outcome["made"] == 0 and outcome["kept"] > 4


def test_tokenizer(cli: Cli, here: Path) -> None:
    (here / "more.txt").write_text("put a hat on the cat\n")
    outcome = cli(
        "data", "tokenizer", "t.json", "--size", 400, "--world", 60, "--corpus", "more.txt", "--json", "s.json"
    )
    assert outcome.code == 0 and "99th" in outcome.out and (here / "t.json").exists()
    assert json.loads((here / "s.json").read_text())["extra"] == 1


def test_mistakes_are_one_sentence(cli: Cli, here: Path, debug_folder: Path) -> None:
    (here / "empty").mkdir()
    for arguments in (
        ("check", "nowhere"),
        ("check", "empty"),
        ("report", "empty"),
        ("make", "out", "--task", "paint"),
        ("make", "out", "--format", "zip"),
        ("make", "out", "--photos", "nowhere", "-n", 1),
        ("precompute", "empty"),
        ("precompute", "empty", "--model", debug_folder, "--out", "out"),
        ("precompute", "nowhere.toml"),
        ("precompute", "empty", "--model", "nowhere", "--out", "out"),
        ("tokenizer", "t.json", "--corpus", "nowhere.txt", "--world", 1),
        ("tokenizer", "t.json", "--world", 0),
    ):
        outcome = cli("data", *arguments)
        assert outcome.code == 2 and outcome.complaint, arguments
    assert not (here / "t.json").exists()


def test_help_does_not_load_torch(here: Path) -> None:
    code = (
        "import sys; sys.argv = ['inkontext', 'data', '--help']\n"
        "from inkontext.cli.main import main\n"
        "try: main()\nexcept SystemExit: pass\n"
        "assert 'torch' not in sys.modules and 'numpy' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)
