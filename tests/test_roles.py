"""References with names: words of training, order, and every way to get them wrong."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inkontext.data.world.phrases import _parsed
from inkontext.data.world.templates import TRAIN
from inkontext.errors import InKontextError
from inkontext.roles import Cast, Reference, assign, read_reference


def cast(prompt: str, *names: str | None) -> Cast:
    return assign(prompt, [Reference(f"{name or f'file{i}'}.png", name) for i, name in enumerate(names)])


CASES = {
    ("Put @hat on the cat.", "hat"): ("Put the hat of the first picture on the cat in the second picture.", 1),
    ("Put the red star of @toys on the left in @image", "toys"): (
        "Put the red star of the first picture on the left in the second picture", 1),
    ("Redraw @image in the style of @style", "style"): (
        "Redraw the first picture in the style of the second picture", 0),
    ("Redraw @image in @style!", "style"): ("Redraw the first picture in the style of the second picture!", 0),
    ("make it look like the style of @monet", "monet"): ("make it look like the style of the second picture", 0),
    ("Replace the background of @image with @background", "background"): (
        "Replace the background of the first picture with the background of the second picture", 0),
    ("Put @hat on the left and the @red-star on the right in @image", "hat", "red-star"): (
        "Put the hat of the first picture on the left and the red star of the second picture on the right in the "
        "third picture", 2),
    ("Put @hat in front of @dog. Then make it night", "hat", "dog"): (
        "Put the hat of the first picture in front of the dog of the second picture in the third picture. "
        "Then make it night", 2),
    ("@character should wave", "character"): (
        "The character of the first picture should wave in the second picture", 1),
    ("Give the cat @man's coat in @image", "man"): (
        "Give the cat the first picture's man's coat in the second picture", 1),
    ("Write '@home' on @image",): ("Write '@home' on the picture", 0),
    ("mail to a@b.org",): ("mail to a@b.org", 0),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_prompts_in_the_words_of_training(case: tuple[str, ...]) -> None:
    found = cast(*case)
    assert (found.prompt, found.position) == CASES[case]


def said_in_training(kind: str) -> set[str]:
    """Everything that the templates of a kind can say, slots left open."""
    return {"".join(parts) for template in TRAIN[kind] for parts in itertools.product(*_parsed(template))}


@pytest.mark.parametrize(
    ("kind", "prompt", "name"),
    [
        ("put into", "Put @star {where} in @image", "star"),
        ("put beside", "Add @star {where} {other} of @image", "star"),
        ("take style", "Redraw @image in the style of @style", "style"),
        ("take style", "Repaint @image in @style", "style"),
        ("put both", "Put @star {where} and {other} of @toys {place}", "star toys"),
    ],
)
def test_the_words_are_those_of_the_templates(kind: str, prompt: str, name: str) -> None:
    found = cast(prompt, *name.split()).prompt.replace("the star", "{it}")
    assert found in said_in_training(kind)


def test_order_and_names() -> None:
    found = cast("Put @hat on @image in the colours of @art", None, "art", "hat")
    assert found.references == ("hat.png", "art.png", "file0.png")
    assert found.names == {"hat": 1, "image": 2, "art": 3}
    assert cast("as it was", None, None) == Cast("as it was", ("file0.png", "file1.png"), 0, {})


BAD = {
    "unknown": (("Put @hat on it", "dog"), "@hat but no reference"),
    "forgotten": (("Put @hat on it",), "add --ref hat=FILE"),
    "unused": (("Put a hat on it", "hat"), "say @hat there"),
    "quoted only": (("Write '@hat'", "hat"), "say @hat there"),
    "twice": (("Put @hat on it", "hat", "hat"), "two references are named 'hat'"),
    "taken": (("Put @image on it", "image"), "another name"),
}


@pytest.mark.parametrize("case", BAD)
def test_mistakes(case: str) -> None:
    arguments, words = BAD[case]
    with pytest.raises(InKontextError, match=re.escape(words)) as error:
        cast(*arguments)
    assert "\n" not in str(error.value)


def test_references_on_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert read_reference("Hat=a/b.png") == Reference("a/b.png", "hat")
    assert read_reference("hat=a=b.png") == Reference("a=b.png", "hat")
    for path in ("a.png", "dir/x=1.png", "=x.png", "1=x.png"):
        assert read_reference(path) == Reference(path)
    Path("a=b.png").touch()
    assert read_reference("a=b.png") == Reference("a=b.png")  # a file of that very name


@given(st.lists(st.sampled_from(["hat", "dog", "style", "art", "red-star"]), unique=True), st.integers(0, 3), st.data())
def test_every_reference_is_kept_once_and_no_name_is_left(names: list[str], unnamed: int, data: st.DataObject) -> None:
    given_ = data.draw(st.permutations([*names, *[None] * unnamed]))
    prompt = " and ".join(data.draw(st.permutations([f"@{n}" for n in names])) or ["nothing"])
    found = cast(prompt, *given_)
    assert sorted(found.references) == sorted(f"{n or f'file{i}'}.png" for i, n in enumerate(given_))
    assert "@" not in found.prompt
    assert found.position == sum(n not in ("style",) for n in names)
    for name in names:
        picture = found.names[name]
        index = picture - 1 if picture <= found.position else picture - 2
        assert found.references[index] == f"{name}.png"
