"""Cues drawn on a picture for the model to see: a layer of their own, and a check that none of it is left."""

from inkontext.cues.check import CueFinding, CueReport, gone
from inkontext.cues.cue import INKS, KINDS, Cue, from_json, parse_cue, read_cues, to_json
from inkontext.cues.drawing import draw, settle

__all__ = [
    "INKS", "KINDS", "Cue", "CueFinding", "CueReport", "draw", "from_json", "gone", "parse_cue", "read_cues",
    "settle", "to_json",
]  # fmt: skip
