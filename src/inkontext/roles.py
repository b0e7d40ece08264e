"""References with names: prompts that say `@hat` become the words that the model was trained on.

In training, pictures are spoken of by number ("the hat of the first picture"). What lends a thing comes before the
picture that is changed, what lends a style, a colour or a setting comes after it; `data/world/templates.py` holds the
sentences. `@image` is the picture that is changed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from inkontext.errors import OptionError, PromptError
from inkontext.reading import quotations

IMAGE: Final = "image"
_NAME: Final = r"[A-Za-z]\w*(?:-\w+)*"
_MENTION: Final = re.compile(
    rf"(?<![\w@])(?:(?:the|a|an|my|this)\s+)?@(?P<name>{_NAME})(?P<own>['’]s\b)?", re.IGNORECASE
)
_NAMED_FILE: Final = re.compile(rf"({_NAME})=(.+)", re.DOTALL)
_QUALITIES: Final = (
    "style|look|mood|colou?rs?|palette|background|backdrop|setting|scenery|light|lighting|weather|font|pattern|texture"
)
_IS_QUALITY: Final = re.compile(rf"(?:\w+[ _-])*(?:{_QUALITIES})(?:[_ -]?\d+)?", re.IGNORECASE)
_QUALITY_OF: Final = re.compile(rf"\b(?:{_QUALITIES})\s+(?:of|from|in|as)\s*$", re.IGNORECASE)
_OF_PICTURE: Final = re.compile(r"\b(?:of|from)\s*$", re.IGNORECASE)
_IN_PICTURE: Final = re.compile(r"\b(?:in|into|inside)\s*$", re.IGNORECASE)
_OF_NONE: Final = re.compile(r"\b(?:front|instead|top|out|ahead|side|place|because|kind)\s+of\s*$", re.IGNORECASE)
_PICTURE: Final = re.compile(r"\b(?:pictures?|images?|photos?|scene)\b", re.IGNORECASE)
_ORDINALS: Final = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth")


@dataclass(frozen=True)
class Reference:
    """A reference picture as the user gave it; `name` is None for one that is only numbered."""

    path: str
    name: str | None = None


@dataclass(frozen=True)
class Cast:
    """A prompt in the model's words, and the pictures in the order it speaks of them.

    Attributes:
        prompt: for the model.
        references: paths, for `Pipeline.edit(references=...)`.
        position: for `Pipeline.edit(position=...)`: how many of them come before the picture that is changed.
        names: which picture each name became, counted from 1, the changed one included under `image`.
    """

    prompt: str
    references: tuple[str, ...]
    position: int
    names: dict[str, int]

    def as_dict(self, said: str) -> dict[str, Any]:
        """For the record; `said` is the prompt that the user wrote."""
        return {"said": said, "names": self.names}


def read_reference(text: str) -> Reference:
    """`hat=hat.png` is named hat; anything else, and any file of that very name, is a path."""
    match = _NAMED_FILE.fullmatch(text)
    return Reference(text) if match is None or Path(text).is_file() else Reference(match[2], match[1].lower())


def assign(prompt: str, references: Sequence[Reference]) -> Cast:
    """Order the references and put the prompt into the words of training. Text in quotation marks stays as it is.

    Named references that lend a thing come first, then the picture that is changed, then those that lend a style,
    colour or setting, then the unnamed ones in their order. Without a mention nothing changes.

    Raises:
        OptionError: two references of one name, a name that is taken, or one that the prompt does not mention.
        PromptError: the prompt mentions a name that no reference has.
    """
    names = [r.name for r in references if r.name is not None]
    for name in names:
        if name == IMAGE:
            raise OptionError(f"'{IMAGE}' is the picture that is edited; give the reference another name")
        if names.count(name) > 1:
            raise OptionError(f"two references are named '{name}'; give each a name of its own")
    quoted = quotations(prompt)
    mentions = [m for m in _MENTION.finditer(prompt) if not any(a <= m.start() < b for a, b in quoted)]
    said = {m["name"].lower() for m in mentions}
    if unknown := sorted(said - {*names, IMAGE}):
        raise PromptError(
            f"the prompt says @{unknown[0]} but no reference has that name; add --ref {unknown[0]}=FILE, or put it in "
            "quotation marks if it is text"
        )
    if unused := [name for name in names if name not in said]:
        raise OptionError(f"the reference '{unused[0]}' is not in the prompt; say @{unused[0]} there")
    lending = _lending(prompt, mentions)
    things = [r for r in references if r.name and r.name not in lending]
    rest = [r for r in references if r.name in lending] + [r for r in references if r.name is None]
    order = [*(r.name for r in things), IMAGE, *(r.name for r in rest)]
    places = {name: number for number, name in enumerate(order, 1) if name is not None}
    words = _rewritten(prompt, mentions, places, lending, len(order))
    if things and IMAGE not in said and not _PICTURE.search(_unquoted(prompt, quoted)):
        words = _with_base(words, places[IMAGE])
    return Cast(words, tuple(r.path for r in (*things, *rest)), len(things), places if mentions else {})


def _lending(prompt: str, mentions: Sequence[re.Match[str]]) -> set[str]:
    """Names of references that lend a quality and not a thing: by their name, or by every mention of them."""
    by_use: dict[str, list[bool]] = {}
    for mention in mentions:
        use = _QUALITY_OF.search(prompt[: mention.start()]) is not None
        by_use.setdefault(mention["name"].lower(), []).append(use)
    return {name for name, uses in by_use.items() if name != IMAGE and (_IS_QUALITY.fullmatch(name) or all(uses))}


def _rewritten(
    prompt: str, mentions: Sequence[re.Match[str]], places: dict[str, int], lending: set[str], total: int
) -> str:
    """The prompt with every mention put into words."""
    parts, end = [], 0
    for mention in mentions:
        before, name = prompt[: mention.start()], mention["name"].lower()
        parts.append(prompt[end : mention.start()])
        end = mention.end()
        picture = _picture(places[name], total)
        words = f"the {re.sub('[_-]', ' ', name)}"
        of = _OF_PICTURE.search(before) and not _OF_NONE.search(before)
        if name == IMAGE or of or (name not in lending and _IN_PICTURE.search(before)):
            words = picture + ("'s" if mention["own"] else "")
        elif mention["own"]:
            words = f"{picture}'s {words.removeprefix('the ')}'s"
        else:
            words = f"{words} of {picture}"
        parts.append(words[0].upper() + words[1:] if not before.strip() else words)
    return "".join(parts) + prompt[end:]


def _picture(number: int, total: int) -> str:
    if total == 1:
        return "the picture"
    return f"the {_ORDINALS[number - 1]} picture" if number <= len(_ORDINALS) else f"picture {number}"


def _unquoted(prompt: str, quoted: Sequence[tuple[int, int]]) -> str:
    for start, end in reversed(quoted):
        prompt = prompt[:start] + prompt[end:]
    return _MENTION.sub("", prompt)


def _with_base(words: str, place: int) -> str:
    """Say at the end of the sentence which picture is changed: '... in the second picture'."""
    last = max(m.end() for m in re.finditer(r"\bpicture\b(?:'s)?", words))
    quoted = quotations(words)
    stops = [m.start() for m in re.finditer(r"[.!?;](?=\s|$)", words) if m.start() >= last]
    stop = next((s for s in stops if not any(a <= s < b for a, b in quoted)), len(words.rstrip()))
    return f"{words[:stop]} in {_picture(place, place)}{words[stop:]}"
