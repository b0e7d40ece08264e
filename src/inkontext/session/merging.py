"""What several turns ask for, as one."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image, ImageChops

from inkontext.errors import SessionError
from inkontext.session.manifest import How, Turn


def merged_how(turns: Sequence[Turn], prompt: str | None, masked: bool) -> How:
    """The instructions joined, unless `prompt` says it in one; cues of all; the rest as in the last of the turns.

    Args:
        masked: whether they have a mask together, without which there is no strength.

    Raises:
        SessionError: their pictures would be numbered otherwise than their prompts say.
    """
    hows = [turn.how for turn in turns if turn.how is not None]
    if any(h.position for h in hows) and sum(turn.references > 0 for turn in turns) > 1:
        raise SessionError("turns that speak of numbered references cannot be merged; make the edit anew, in one")
    return hows[-1].model_copy(
        update={
            "prompt": " ".join(_sentence(h.prompt) for h in hows) if prompt is None else prompt,
            "said": None,
            "size": next((h.size for h in reversed(hows) if h.size), None),
            "strength": hows[-1].strength if masked else 1.0,
            "cues": [row for h in hows for row in h.cues],
            "position": max(h.position for h in hows),
            "anchor": any(h.anchor for h in hows),
            "keep": all(h.keep for h in hows),
        }
    )


def merged_mask(masks: Sequence[Image.Image | None]) -> Image.Image | None:
    """All masks together, mode L; None where one is missing."""
    whole: Image.Image | None = None
    for mask in masks:
        if mask is None:
            return None
        whole = mask if whole is None else ImageChops.lighter(whole, mask)
    return whole


def _sentence(prompt: str) -> str:
    text = prompt.strip()
    return text if text.endswith((".", "?", "!")) else text + "."
