"""Masks as they come, read as what may change; what cannot be meant is refused, and what was found is said.

Two rules keep the promise that everything outside a mask keeps its bytes: a mask out of a lossy file is cut at half
grey, since its noise cannot be told from soft edges; in any other, what is nearly black or white is black or white.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from PIL import Image

from inkontext.errors import MaskError, OptionError
from inkontext.safety.pictures import PictureLike, brightest_and_white, is_deep, is_lossy, open_image, to_picture

MASK_EDITS: Final = ("white", "black", "transparent")
BLACK: Final = 16  # of 255, and below: video's black, and the traces of soft brushes and of JPEG
WHITE: Final = 235  # and above: video's white
_HALF: Final = 128
_COLOURED: Final = 48  # a pixel whose channels differ more has a colour
_COLOURED_SHARE: Final = 0.001  # of the pixels


@dataclass(frozen=True)
class MaskFinding:
    """What may change, and what was found in the mask.

    Attributes:
        image: mode L, 255 = may change, 0 = must stay; greys in between blend.
        share: of the picture, what may change at all.
        partly: of the picture, what is grey.
        kind: such as `8-bit grey PNG`.
        cut: it came from a lossy file and was cut at half grey.
    """

    image: Image.Image
    share: float
    partly: float
    kind: str
    cut: bool

    def sentence(self) -> str:
        """For people."""
        whole = self.share == 1
        said = "all of the picture may change" if whole else f"{_percent(self.share)} of the picture may change"
        if self.partly:
            said += f", {_percent(self.partly)} only in part"
        return f"{said} ({self.kind}{', cut at half grey because it is lossy' if self.cut else ''})"

    def as_dict(self) -> dict[str, Any]:
        """Plain values for the record."""
        return {"share": round(self.share, 6), "partly": round(self.partly, 6), "kind": self.kind, "cut": self.cut}


def _percent(share: float) -> str:
    return "less than 0.1 %" if share < 0.001 else f"{100 * share:.1f} %"


def read_mask(mask: PictureLike | MaskFinding, size: tuple[int, int], edits: str = "white") -> Image.Image:
    """A mask as mode L, 255 = may change, 0 = must stay, whatever its own convention. Arguments as for `find_mask`."""
    return find_mask(mask, size, edits).image


def find_mask(mask: PictureLike | MaskFinding, size: tuple[int, int], edits: str = "white") -> MaskFinding:
    """Read a mask, and tell what was found in it.

    Args:
        mask: the mask picture; a finding of before is given back.
        size: (width, height) of the picture it belongs to.
        edits: which part of the mask is to be edited: `white` (diffusers), `black`, or `transparent` (OpenAI).

    Raises:
        MaskError: another size than the picture, no alpha where `transparent` needs it, colours, values such as 0
            and 1 that are all as good as black, or nothing to edit.
        PictureError: no picture, or one whose depth is not understood.
    """
    if isinstance(mask, MaskFinding):
        _check_size(mask.image.size, size)
        return mask
    if edits not in MASK_EDITS:
        raise OptionError(f"unknown mask convention {edits!r}; choose one of {', '.join(MASK_EDITS)}")
    opened = open_image(mask)
    picture, cut = to_picture(opened), is_lossy(opened)
    _check_size(picture.size, size)
    if edits == "transparent":
        if picture.alpha is None and not opened.has_transparency_data:
            raise MaskError("the mask has no transparency; save it as RGBA, or say that white or black is edited")
        values = np.asarray(picture.alpha or Image.new("L", size, 255))
    else:
        values = _grey(picture.stored or picture.rgb, picture.alpha)
    brightest, white = brightest_and_white(opened) if is_deep(opened) else (int(values.max()), 255)
    if 0 < 255 * brightest / white <= BLACK + 0.5:
        raise MaskError(
            f"the mask's brightest value is {brightest:g} of {white:g}, as good as black; "
            f"save it with {white:g} for white"
        )
    values = _clean(values, cut)
    free = values if edits == "white" else 255 - values
    if picture.alpha is not None and edits != "transparent":  # what is not drawn on a clear ground must not be edited
        free = np.minimum(free, _clean(np.asarray(picture.alpha), cut))
    if not free.any():
        raise MaskError(f"the mask leaves nothing to edit; its {edits} part is empty")
    share, partly = float((free > 0).mean()), float(((free > 0) & (free < 255)).mean())
    return MaskFinding(Image.fromarray(free), share, partly, _kind(opened), cut)


def _check_size(found: tuple[int, int], size: tuple[int, int]) -> None:
    if found != size:
        raise MaskError(
            f"the mask is {found[0]}x{found[1]} but the picture is {size[0]}x{size[1]}; make them the same size"
        )


def _grey(rgb: Image.Image, alpha: Image.Image | None) -> np.ndarray:
    """`[H, W]` uint8. Raises MaskError for a mask in colours."""
    colours = np.asarray(rgb, np.int16)
    coloured = colours.max(axis=-1) - colours.min(axis=-1) > _COLOURED
    if alpha is not None:
        coloured &= np.asarray(alpha) > BLACK
    if coloured.mean() > _COLOURED_SHARE:
        raise MaskError(
            f"the mask is in colours ({_percent(float(coloured.mean()))} of it); "
            "paint what may change white, and the rest black"
        )
    return np.asarray(rgb.convert("L"))


def _clean(values: np.ndarray, cut: bool) -> np.ndarray:
    """`[H, W]` uint8 without the noise of its file."""
    if cut:
        return np.where(values >= _HALF, 255, 0).astype(np.uint8)
    values = values.copy()
    values[values <= BLACK] = 0
    values[values >= WHITE] = 255
    return values


_DEPTHS: Final = {"1": "1-bit", "P": "palette", "I": "32-bit grey", "F": "float grey", "L": "8-bit grey"}


def _kind(image: Image.Image) -> str:
    depth = "16-bit grey" if image.mode.startswith("I;16") else _DEPTHS.get(image.mode, f"8-bit {image.mode}")
    return f"{depth} {image.format}" if image.format else depth
