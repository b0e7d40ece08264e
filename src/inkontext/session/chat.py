"""A conversation with a picture: lines in, messages out. Needs no terminal; every turn is on disk when it is told."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from PIL import Image

from inkontext.errors import (
    Cancelled,
    InKontextError,
    OptionError,
    SessionError,
    is_out_of_memory,
    one_line,
    refuse_address,
)
from inkontext.geometry import read_resolution
from inkontext.numbers import as_whole
from inkontext.reading import Reader, asked_words
from inkontext.result import Callback
from inkontext.safety.provenance import check_suffix, save_picture
from inkontext.session.session import Session
from inkontext.session.store import read_manifest
from inkontext.session.tree import told_drift, told_text, tree_text

HELP: Final = """\
Type what to change, in a sentence. Or:
/undo               back to the turn before
/redo               forward again after an undo
/goto PLACE         to a turn by number, or to a branch
/branch NAME [N]    a new branch, here or at turn N; later turns go along it
/tree               all turns
/seed [N|random]    of the noise of the turns that follow; alone: what it is
/steps [N]          of the turns that follow; alone: what they are
/compare [N]        write the turn before, or turn N, and this one side by side
/save FILE          write the picture: .png, .jpg or .webp
/help               this
/quit               end; everything is kept"""
_ELSEWHERE: Final = ("merge", "replay")  # steps of a session that a conversation does not take
_OWN_STEPS: Final = "the model's own"
_SEEDS: Final = 2**63  # every seed is below


@dataclass(frozen=True)
class Message:
    """What is said back.

    Attributes:
        picture: a file to show, where there is a new one to look at.
        error: the line could not be followed; the session is as it was.
    """

    text: str
    picture: Path | None = None
    error: bool = False


class Chat:
    """Takes a line at a time.

    Attributes:
        seed: of the noise; None for the turn's number, "random" for a new one each turn.
        steps: of sampling; the model's own where None.
        resolution, context_resolution: as in `Session.edit`, of every turn.
        ended: whether /quit was said.
    """

    def __init__(
        self, session: Session, *, seed: int | None = None, steps: int | None = None, anchor: bool = False,
        keep: bool = True, reader: Reader | None = None, callback: Callback | None = None,
        resolution: int | None = None, context_resolution: int | None = None,
    ) -> None:  # fmt: skip
        """
        Args:
            anchor, keep: as in `Session.edit`, of every turn.
            reader: looks in every turn for the words in quotation marks that were asked for; None looks for none.
            callback: of every edit, as in `Pipeline.edit`.

        Raises:
            OptionError: a seed or a number of steps that cannot be.
        """
        self.session, self.anchor, self.keep, self.reader, self.callback = session, anchor, keep, reader, callback
        self.seed: int | str | None
        self.seed, self.steps = check_numbers(seed, steps)
        self.resolution = read_resolution(resolution)
        self.context_resolution = read_resolution(context_resolution, "context_resolution")
        self.ended = False
        self._commands: dict[str, Callable[[str], Message]] = {
            "undo": lambda rest: self._step(session.undo, "undo", rest),
            "redo": lambda rest: self._step(session.redo, "redo", rest),
            "goto": self._goto, "branch": self._branch, "tree": self._tree, "seed": self._set_seed,
            "steps": self._set_steps, "compare": self._compare, "save": self._save, "help": self._help,
            "quit": self._quit,
        }  # fmt: skip

    def say(self, line: str) -> Message | None:
        """Follow a line: an instruction, or a command that begins with a slash. None where it is empty.

        Whatever goes wrong is told, not raised, and the session stands where it stood. An interrupt is no exception.
        """
        words = line.strip()
        if not words:
            return None
        try:
            _check_text(words)
            return self._command(words) if words.startswith("/") else self._edit(words)
        except KeyboardInterrupt:
            self.session.manifest = read_manifest(self.session.folder)  # it may have come after the turn was kept
            return Message("stopped; every finished turn is kept", error=True)
        except Cancelled:
            return Message("the edit was cancelled; nothing else changed", error=True)
        except InKontextError as error:
            return Message(one_line(error), error=True)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            return Message("out of memory; begin with a smaller picture, or with --dtype bfloat16", error=True)

    def here(self) -> Message:
        """Where the session stands, with its picture."""
        path = self.session.picture_file()
        return Message(f"turn {self.session.current.id} on {self.session.manifest.branch}: {path}", path)

    def _edit(self, prompt: str) -> Message:
        seed = secrets.randbelow(2**31) if self.seed == "random" else self.seed
        assert not isinstance(seed, str)
        turn = self.session.edit(
            prompt, seed=seed, steps=self.steps, resolution=self.resolution,
            context_resolution=self.context_resolution, anchor=self.anchor, keep=self.keep,
            words=asked_words(prompt) if self.reader else (), reader=self.reader, callback=self.callback,
        )  # fmt: skip
        here = self.here()
        return Message("\n".join(filter(None, (here.text, told_drift(turn), told_text(turn)))), here.picture)

    def _command(self, words: str) -> Message:
        name, _, rest = words[1:].partition(" ")
        if name in _ELSEWHERE:
            raise OptionError(f"'/{name}' is no command here; after /quit there is `inkontext session {name}`")
        if name not in self._commands:
            raise OptionError(f"there is no command '/{name}'; /help lists them")
        return self._commands[name](rest.strip())

    def _step(self, step: Callable[[], object], name: str, rest: str) -> Message:
        _nothing(name, rest)
        step()
        return self.here()

    def _goto(self, rest: str) -> Message:
        (place,) = _words("goto", rest, "a turn's number or a branch", 1, 1)
        self.session.goto(place)
        return self.here()

    def _branch(self, rest: str) -> Message:
        name, *at = _words("branch", rest, "a new name, and perhaps the turn it begins at", 1, 2)
        self.session.branch(name, at[0] if at else None)
        return self.here()

    def _tree(self, rest: str) -> Message:
        _nothing("tree", rest)
        return Message(tree_text(self.session.manifest))

    def _set_seed(self, rest: str) -> Message:
        if rest:
            self.seed = rest if rest == "random" else _seed(rest, " or 'random'")
        told = {None: "the turn's number", "random": "a new one every turn, recorded with it"}
        return Message(f"seed: {told.get(self.seed, self.seed)}")

    def _set_steps(self, rest: str) -> Message:
        if rest:
            self.steps = _steps(rest)
        return Message(f"steps: {self.steps or _OWN_STEPS}")

    def _compare(self, rest: str) -> Message:
        session = self.session
        given = _words("compare", rest, "nothing, or a turn's number or a branch", 0, 1)
        before = session.manifest.number(given[0]) if given else session.current.parent
        if before is None:
            raise SessionError("there is nothing before the first picture; edit it, or name a turn: /compare 1")
        path = session.folder / f"compare-{before}-{session.current.id}.png"
        story = {"before": before, "after": session.current.id}
        save_picture(side_by_side(session.picture(before), session.picture()), path, {"compare": story})
        return Message(f"turn {before} and turn {session.current.id}: {path}", path)

    def _save(self, rest: str) -> Message:
        if not rest:
            raise OptionError("/save takes a file's name; give one that ends in .png, .jpg or .webp")
        quoted = len(rest) > 1 and rest[0] == rest[-1] and rest[0] in "'\""
        name = rest[1:-1] if quoted else rest
        refuse_address(name)
        target = Path(name)
        check_suffix(target)
        try:
            target = target.expanduser()
            if target.is_dir():
                raise OptionError(f"'{target}' is a folder; name a file")
            return Message(f"saved turn {self.session.current.id}: {self.session.export(target)}")
        except (OSError, ValueError, RuntimeError) as error:  # too long, a null byte, a home that is not there
            raise OptionError(f"cannot write '{target}' ({error}); give another name") from error

    def _help(self, rest: str) -> Message:
        _nothing("help", rest)
        return Message(HELP)

    def _quit(self, rest: str) -> Message:
        _nothing("quit", rest)
        self.ended = True
        return Message(f"kept in {self.session.folder}")


def check_numbers(seed: int | None, steps: int | None) -> tuple[int | None, int | None]:
    """A seed and a number of steps as Python's numbers. Raises OptionError for one that cannot be."""
    return None if seed is None else _seed(_digits(seed)), None if steps is None else _steps(_digits(steps))


def side_by_side(before: Image.Image, after: Image.Image) -> Image.Image:
    """Two pictures in one with a white gap, tops level, in the colour profile of the second."""
    mode = "RGBA" if "RGBA" in (before.mode, after.mode) else "RGB"
    gap = max(4, after.width // 64)
    out = Image.new(mode, (before.width + gap + after.width, max(before.height, after.height)), "white")
    out.paste(before.convert(mode), (0, 0))
    out.paste(after.convert(mode), (before.width + gap, 0))
    if "icc_profile" in after.info:
        out.info["icc_profile"] = after.info["icc_profile"]
    return out


def _seed(text: str, other: str = "") -> int:
    if not _is_whole(text) or int(text) >= _SEEDS:
        raise OptionError(f"the seed must be a whole number from 0 to 2^63 - 1{other}, not '{text}'")
    return int(text)


def _steps(text: str) -> int:
    if not _is_whole(text) or not 1 <= int(text) <= 1000:
        raise OptionError(f"steps must be a whole number from 1 to 1000, not '{text}'")
    return int(text)


def _digits(value: object) -> str:
    """A whole number of any kind as it would be typed."""
    number = as_whole(value)
    return str(value if number is None else number)


def _is_whole(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 20


def _check_text(line: str) -> None:
    """Bytes that are no UTF-8 come in as halves of surrogate pairs. Raises OptionError."""
    zeros = "\0" in line and not line.startswith("/")  # of UTF-16; a command looks at its words itself
    if zeros or any("\ud800" <= c <= "\udfff" for c in line):
        raise OptionError("the line is not UTF-8 text and was left out; save the text as UTF-8")


def _words(name: str, rest: str, wanted: str, least: int, most: int) -> list[str]:
    words = rest.split()
    if not least <= len(words) <= most:
        raise OptionError(f"/{name} takes {wanted}, not '{rest}'")
    return words


def _nothing(name: str, rest: str) -> None:
    if rest:
        raise OptionError(f"/{name} takes nothing after it, not '{rest}'")
