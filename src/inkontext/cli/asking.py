"""What an edit is asked to do, in options that `edit` and `session edit` share, read before a model is loaded."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from inkontext.cues import Cue
    from inkontext.masking import MaskFinding
    from inkontext.roles import Cast
    from inkontext.safety.pictures import Picture


@dataclass(frozen=True)
class Asked:
    """The prompt, the references in the order of the model, cues, words to be read back, and the mask; all pictures are
    decoded here, once."""

    cast: Cast
    references: tuple[Picture, ...]
    cues: tuple[Cue, ...]
    words: tuple[str, ...]
    mask: MaskFinding | None


def read_asked(
    size: tuple[int, int], prompt: str, ref: Sequence[str] | None, mask: str | None, mask_edits: str, strength: float,
    cue: Sequence[str] | None, check_text: bool, retries: int, reference: bool = False,
) -> Asked:  # fmt: skip
    """Read the options for a picture of a size (width, height); what was found in the mask is said on stderr.

    Args:
        reference: convert the references as the reference implementations do (`read_picture`).

    Raises:
        InKontextError: a subclass for each mistake.
    """
    from inkontext.cli.checks import words_to_read
    from inkontext.cues import read_cues
    from inkontext.masking import find_mask
    from inkontext.request import read_prompts, read_strength
    from inkontext.roles import assign, read_reference
    from inkontext.safety.pictures import read_picture

    read_prompts(prompt)
    cast = assign(prompt, [read_reference(text) for text in ref or ()])
    references = tuple(read_picture(file, reference=reference) for file in cast.references)
    found = None if mask is None else find_mask(mask, size, mask_edits)
    read_strength(strength, mask is not None)
    asked = Asked(cast, references, read_cues(cue or (), size), words_to_read(prompt, check_text, retries), found)
    if found is not None:
        print(f"note: by the mask, {found.sentence()}", file=sys.stderr)
    return asked
