"""What the page shows, as plain values for its scripts."""

from __future__ import annotations

import html
from pathlib import Path
from typing import Any
from urllib.parse import quote

from PIL import Image

from inkontext.server.ui.desk import Desk
from inkontext.server.ui.examples import Example
from inkontext.server.ui.facts import Facts
from inkontext.server.ui.job import Standing, data_uri
from inkontext.session import Drift, Manifest, Turn
from inkontext.session.store import PICTURE, turn_folder

THUMB, DISPLAY = 192, 1600  # longest sides in pixels


def stage(desk: Desk, name: str | None, examples: list[dict[str, Any]]) -> dict[str, Any]:
    """The picture in the middle: the current turn, the one before, and the first, to compare."""
    if name is None:
        return {"name": "", "examples": examples}
    manifest = desk.manifest(name)
    turn = manifest.turns[manifest.current]
    show = {"now": turn.id, "before": turn.parent, "first": 0 if turn.parent else None}
    pictures = {k: _picture(desk, name, n, DISPLAY) for k, n in show.items() if n is not None}
    size = _size(desk, name, turn.id)
    return {"name": name, "turn": turn.id, "label": label(turn), "size": list(size), "pictures": pictures,
            "busy": None}  # fmt: skip


def busy(shown: dict[str, Any], standing: Standing, said: str) -> dict[str, Any]:
    """The same while an edit is under way."""
    now = {"phase": standing.phase, "step": standing.step, "steps": standing.steps, "preview": standing.preview,
           "said": said}  # fmt: skip
    return shown | {"busy": now}


def tree(desk: Desk, name: str | None) -> dict[str, Any]:
    """The turns, each with its picture and its drift."""
    if name is None:
        return {"name": "", "turns": []}
    manifest = desk.manifest(name)
    return {
        "name": name, "current": manifest.current, "branch": manifest.branch, "branches": manifest.branches,
        "can_undo": manifest.turns[manifest.current].parent is not None, "can_redo": bool(manifest.redo),
        "path": [turn.id for turn in manifest.path()],
        "turns": [_turn(desk, manifest, name, turn) for turn in manifest.turns],
        "file": f"pictures/{quote(name)}/{manifest.current}.png",
        "story": f"pictures/{quote(name)}/{manifest.current}.zip",
    }  # fmt: skip


def label(turn: Turn) -> str:
    """What a turn did, in the user's words."""
    return " ".join((turn.how.said or turn.how.prompt).split()) if turn.how else "First picture"


def drift(turn: Turn) -> tuple[str, str]:
    """A turn's drift in brief and in a sentence; empty where there is none to tell."""
    if turn.drift_missing:
        return "not measured", f"The drift is not measured: {turn.drift_missing}."
    d = turn.drift
    if d is None or d.untouched_psnr is None:
        return ("", "") if d is None else _with_likeness("all changed", "No pixel is left that no turn has changed", d)
    same = d.untouched_psnr >= 99
    brief = f"{d.untouched_share:.0%} " + ("exact" if same else f"{d.untouched_psnr:.1f} dB")
    told = f"{d.untouched_share:.0%} of the picture was left alone in every turn, "
    told += "to the byte" if same else f"and is {d.untouched_psnr:.1f} dB from the first picture"
    if d.made_psnr is not None:
        told += f" (as the model made it: {d.made_psnr:.1f} dB)"
    return _with_likeness(brief, told, d)


def _with_likeness(brief: str, told: str, d: Drift) -> tuple[str, str]:
    """With what an embedder said, or why it said nothing."""
    if d.cosine is not None:
        brief, told = f"{brief} · {d.cosine:.2f}", f"{told}; likeness to the first picture {d.cosine:.2f}"
    elif d.cosine_missing is not None:
        told += f"; likeness to the first picture unknown: {d.cosine_missing}"
    return brief, told + "."


def example_rows(examples: tuple[Example, ...]) -> list[dict[str, Any]]:
    """Examples as buttons show them."""
    return [{"picture": data_uri(e.picture, THUMB), "prompt": e.prompt} for e in examples]


def header(facts: Facts) -> str:
    """The head of the page, HTML."""
    lines = "".join(f"<li>{html.escape(line)}</li>" for line in facts.sentences())
    limits = f"<p><strong>Its own card says:</strong> {html.escape(facts.limits)}</p>" if facts.limits else ""
    return (
        '<header class="ik-head"><h1>InKontext</h1><details class="ik-model"><summary>'
        f'<span class="ik-dot{"" if facts.trained else " noise"}"></span><b>{html.escape(facts.name)}</b> '
        f"<span>{html.escape(facts.line)}</span></summary>"
        f"<div><h2>What this model is and can do</h2><ul>{lines}</ul>{limits}</div></details></header>"
    )


def message(text: str, kind: str = "") -> dict[str, str]:
    """A line under the picture; `kind` is `error` or empty. A sentence begins with a capital here."""
    return {"text": html.escape(text[:1].upper() + text[1:]), "kind": kind}


def _turn(desk: Desk, manifest: Manifest, name: str, turn: Turn) -> dict[str, Any]:
    brief, told = drift(turn)
    marks = [word for word, there in (
        ("mask", turn.mask), ("cues", bool(turn.how and turn.how.cues)),
        ("1 reference" if turn.references == 1 else f"{turn.references} references", turn.references),
    ) if there]  # fmt: skip
    return {
        "id": turn.id, "parent": turn.parent, "label": label(turn), "thumb": _picture(desk, name, turn.id, THUMB),
        "drift": brief, "drift_told": told, "with": ", ".join(marks), "seed": turn.how.seed if turn.how else None,
        "branches": [b for b, at in manifest.branches.items() if at == turn.id], "merged": turn.merged,
        "ink": turn.cues_gone is False,
    }  # fmt: skip


def _file(desk: Desk, name: str, turn: int) -> Path:
    return turn_folder(desk.folder / name, turn) / PICTURE


def _picture(desk: Desk, name: str, turn: int, side: int) -> str:
    """Address of a turn's picture at a size; another where the file is another."""
    try:
        mark = _file(desk, name, turn).stat().st_mtime_ns
    except OSError:  # lost; the address says so when it is asked for
        mark = 0
    return f"pictures/{quote(name)}/{turn}.webp?side={side}&v={mark}"


def _size(desk: Desk, name: str, turn: int) -> tuple[int, int]:
    with Image.open(_file(desk, name, turn)) as image:
        return image.size
