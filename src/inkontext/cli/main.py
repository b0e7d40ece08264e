"""The command line: `inkontext VERB`. Nothing here imports PyTorch until a verb runs."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from itertools import pairwise
from typing import NoReturn

import typer

from inkontext import __version__
from inkontext.cli import chat, convert, data, doctor, edit, generate, inspect, models, session, train, ui
from inkontext.cli import eval as evaluation
from inkontext.errors import InKontextError, is_out_of_memory, printable, refuse_address

_TAKE_ADDRESSES = {"--url"}
_NAMED = re.compile(r"[\w.-]+=")
_INTERRUPTED = "interrupted; nothing was written"
app = typer.Typer(
    name="inkontext",
    help="Edit and generate pictures with FLUX.1 Kontext and models of its kind.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for verb in (edit, chat, ui, generate, train, convert, inspect, models, doctor):
    app.command()(getattr(verb, verb.__name__.rpartition(".")[2]))
app.add_typer(data.app, name="data")
app.add_typer(evaluation.app)
app.add_typer(session.app)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"inkontext {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
) -> None:
    """Options before the verb."""


def main() -> NoReturn:
    """Run the command line; every known error is one sentence on stderr and an exit code that has a meaning."""
    try:
        _check_words(sys.argv[1:])
        app(prog_name="inkontext")
    except InKontextError as error:
        _fail(str(error), error.exit_code)
    except KeyboardInterrupt:
        _fail(_INTERRUPTED, 130)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        _fail("out of memory; use a smaller --size, --dtype bfloat16, or fewer references", 3)
    except SystemExit as leaving:
        if leaving.code == 130:  # typer's answer to Ctrl-C
            _fail(_INTERRUPTED, 130)
        raise
    sys.exit(0)


def _check_words(words: Sequence[str]) -> None:
    """Raises OptionError for a web address, alone or as `NAME=ADDRESS`, but where an option takes one."""
    for before, word in pairwise(["", *words]):
        name, _, value = word.partition("=") if _NAMED.match(word) else ("", "", word)
        if not {before, name} & _TAKE_ADDRESSES:
            refuse_address(value)


def _fail(message: str, code: int) -> NoReturn:
    print("inkontext:", printable(" ".join(message.split())), file=sys.stderr)
    sys.exit(code)
