"""What successive edits cost."""
