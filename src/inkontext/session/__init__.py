"""Editing in many turns: a tree of pictures and latents on disk."""

from inkontext.session.drift import Embedder
from inkontext.session.manifest import Drift, How, Manifest, Turn
from inkontext.session.session import Session
from inkontext.session.store import read_manifest

__all__ = ["Drift", "Embedder", "How", "Manifest", "Session", "Turn", "read_manifest"]
