"""The procedural world, whose truth is known."""
