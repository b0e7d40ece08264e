"""What an edit is asked to do, in options that `edit` and `session edit` share, read before a model is loaded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image

    from inkontext.cues import Cue
    from inkontext.roles import Cast


@dataclass(frozen=True)
class Asked:
    """The prompt and the references in the order of the model, these in RGB, the cues, the words to be read back."""

    cast: Cast
    references: tuple[Image.Image, ...]
    cues: tuple[Cue, ...]
    words: tuple[str, ...]


def read_asked(
    size: tuple[int, int], prompt: str, ref: Sequence[str] | None, mask: str | None, mask_edits: str, strength: float,
    cue: Sequence[str] | None, check_text: bool, retries: int,
) -> Asked:  # fmt: skip
    """Read the options for a picture of a size (width, height).

    Raises:
        InKontextError: a subclass for each mistake.
    """
    from inkontext.cli.checks import words_to_read
    from inkontext.cues import read_cues
    from inkontext.geometry import read_mask
    from inkontext.request import read_prompts, read_strength
    from inkontext.roles import assign, read_reference
    from inkontext.safety.pictures import read_picture

    read_prompts(prompt)
    cast = assign(prompt, [read_reference(text) for text in ref or ()])
    references = tuple(read_picture(file).rgb for file in cast.references)
    if mask is not None:
        read_mask(mask, size, mask_edits)
    read_strength(strength, mask is not None)
    return Asked(cast, references, read_cues(cue or (), size), words_to_read(prompt, check_text, retries))
