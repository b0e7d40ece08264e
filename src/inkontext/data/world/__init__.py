"""The procedural world: a seed becomes a scene, an edit, an instruction and pictures, truth included."""

from inkontext.data.world.outside import Outside
from inkontext.data.world.pair import TASKS, Base, Pair, sample_pair
from inkontext.data.world.stock import Edit

__all__ = ["TASKS", "Base", "Edit", "Outside", "Pair", "sample_pair"]
