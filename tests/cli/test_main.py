"""The command line as a whole: help without PyTorch, exit codes, one sentence for each mistake."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import inkontext
from inkontext.cli.eval import app as evaluation
from inkontext.cli.main import app
from tests.cli.conftest import Cli

VERBS = ("edit", "chat", "generate", "convert", "inspect", "models", "doctor")
BENCHES = sorted(c.name or "" for c in (*evaluation.registered_commands, *evaluation.registered_groups))
HEAVY = {"torch", "transformers", "diffusers", "numpy", "PIL", "safetensors"}


def loaded(code: str) -> set[str]:
    """Top-level modules that a fresh interpreter holds after `code`."""
    after = f"{code}\nimport sys\nprint(*{{n.partition('.')[0] for n in sys.modules}}, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", after], capture_output=True, text=True, check=True)
    return set(done.stderr.split())


HELP = """
import sys
from inkontext.cli.main import main
sys.argv = ["inkontext", *"{words}".split()]
try:
    main()
except SystemExit as left:
    assert not left.code
"""


@pytest.mark.parametrize("words", ["--help", "--version", "edit --help", "eval --help", "eval preference rate --help"])
def test_help_imports_nothing_heavy(words: str) -> None:
    assert not loaded(HELP.format(words=words)) & HEAVY


@pytest.mark.parametrize("bench", BENCHES)
def test_help_of_a_bench_imports_nothing_heavy(bench: str) -> None:
    assert not loaded(HELP.format(words=f"eval {bench} --help")) & HEAVY


def test_importing_the_package_imports_nothing_heavy() -> None:
    modules = loaded("import inkontext; inkontext.__version__")
    assert "inkontext" in modules and not modules & HEAVY


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(verb: str, cli: Cli) -> None:
    done = cli(verb, "--help")
    assert done.code == 0 and verb in done.out and done.err == ""
    assert verb in cli("--help").out


def test_no_verb_is_left_out_of_these_tests() -> None:
    assert {command.callback.__name__ for command in app.registered_commands if command.callback} >= set(VERBS)


def test_the_version(cli: Cli) -> None:
    assert cli("--version").out == f"inkontext {inkontext.__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ("edit",), ("edit", "a.png"), ("frobnicate",), ("edit", "a.png", "x", "--frob"), ("edit", "a.png", "x", "y"),
        ("generate", "x", "--seed", "one"), ("generate", "x", "--steps", "2.5"), ("convert", "tiny"), ("inspect",),
    ],
)  # fmt: skip
def test_usage_errors_exit_with_two(arguments: tuple[str, ...], cli: Cli, here: Path) -> None:
    outcome = cli(*arguments)
    assert outcome.code == 2
    assert "Usage: inkontext" in outcome.err and "Traceback" not in outcome.err
    assert list(here.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(("--help",), 0), (("edit", "no.png", "x"), 2), (("edit", "x"), 2), (("generate", "x", "--out", "a.exe"), 2)],
)
def test_the_exit_code_of_the_script_itself(arguments: tuple[str, ...], code: int, tmp_path: Path) -> None:
    for start in ([Path(sys.executable).with_name("inkontext")], [sys.executable, "-m", "inkontext"]):
        done = subprocess.run([*start, *arguments], capture_output=True, text=True, cwd=tmp_path)
        assert done.returncode == code
        assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


ADDRESS = "https://example.org/a.png"


@pytest.mark.parametrize(
    "words",
    [
        ("edit", ADDRESS, "make it red"),
        ("edit", "a.png", "make it red", "--ref", f"hat={ADDRESS}"),
        ("edit", "a.png", "make it red", "--mask", ADDRESS),
        ("edit", "a.png", "make it red", f"--out={ADDRESS}"),
        ("edit", "a.png", "make it red", "--json", ADDRESS),
        ("chat", ADDRESS),
        ("session", "show", ADDRESS),
        ("convert", "tiny", ADDRESS),
        ("inspect", ADDRESS),
        ("train", "config.toml", f"run_dir={ADDRESS}"),
        ("data", "check", ADDRESS),
        ("eval", "alignment", ADDRESS, "b.png"),
    ],
)
def test_a_web_address_is_told_as_it_was_typed(cli: Cli, here: Path, words: tuple[str, ...]) -> None:
    outcome = cli(*words)
    assert outcome.code == 2
    assert f"'{ADDRESS}' is a web address" in outcome.complaint and "https:/e" not in outcome.complaint
    assert list(here.iterdir()) == []


def test_an_address_in_a_sentence_is_a_prompt(cli: Cli, here: Path) -> None:
    assert "does not exist" in cli("edit", "a.png", f"write {ADDRESS} on the sign").complaint


def test_an_option_that_takes_an_address_gets_it(cli: Cli, here: Path) -> None:
    assert "is a web address" not in cli("eval", "latency", "--url", "http://localhost:1").complaint
    assert "is a web address" not in cli("eval", "latency", "--url=http://localhost:1").complaint
