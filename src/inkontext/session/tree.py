"""The tree of turns as text."""

from __future__ import annotations

from inkontext.session.manifest import Manifest, Turn


def tree_text(manifest: Manifest) -> str:
    """A turn a line, children below their parent; an only child stands in its parent's column.

    `*` marks the current turn, `[name]` where a branch stands.
    """
    names: dict[int, list[str]] = {}
    for name, place in manifest.branches.items():
        names.setdefault(place, []).append(f"[{name}]")
    children: dict[int, list[int]] = {}
    for turn in manifest.turns[1:]:
        assert turn.parent is not None
        children.setdefault(turn.parent, []).append(turn.id)
    lines: list[str] = []
    waiting = [(0, "", "")]  # turn, what stands before it, what stands before those below it
    while waiting:
        number, before, below = waiting.pop()
        marks = ["*"] * (number == manifest.current) + names.get(number, [])
        lines.append(" ".join([before + _told(manifest.turns[number]), *marks]))
        those = children.get(number, [])
        if len(those) == 1:
            waiting.append((those[0], below, below))
            continue
        waiting += [(n, below + "+-- ", below + ("    " if n == those[-1] else "|   ")) for n in reversed(those)]
    return "\n".join(lines)


def _told(turn: Turn) -> str:
    """A turn's number, its instruction on one line, and its drift where there is one."""
    what = " ".join(turn.how.prompt.split()) if turn.how else "first picture"
    drift = drift_text(turn)
    return f"{turn.id} {what}" + (f"  ({drift})" if drift else "")


def drift_text(turn: Turn) -> str:
    """A turn's drift in brief, or why it has none; empty for the first picture."""
    drift = turn.drift
    if drift is None:
        return f"drift not measured: {turn.drift_missing}" if turn.drift_missing else ""
    psnr = drift.untouched_psnr
    parts = [f"untouched {drift.untouched_share:.0%}", *([] if psnr is None else [f"{psnr:.1f} dB"])]
    parts += [] if drift.cosine is None else [f"cosine {drift.cosine:.3f}"]
    return ", ".join(parts + ["cosine unknown"] * (drift.cosine_missing is not None))


def told_drift(turn: Turn) -> str | None:
    """A turn's drift on a line, with the reason where it or an embedder's cosine is missing; None for the first."""
    if turn.drift is None:
        return drift_text(turn) or None
    missing = turn.drift.cosine_missing
    return f"drift: {drift_text(turn)}" + (f"; turn {turn.id} is kept, but {missing}" if missing else "")


def told_text(turn: Turn) -> str | None:
    """What was read of the words asked for, on a line; None where nobody asked."""
    return None if turn.text is None else f"text: {turn.text.sentence()}{kept_unread(turn)}"


def kept_unread(turn: Turn) -> str:
    """What to add where the words could not be looked for; else empty."""
    return f"; turn {turn.id} is kept" if turn.text is not None and turn.text.unread else ""
