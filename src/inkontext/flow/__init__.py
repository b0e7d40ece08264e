"""Rectified-flow mathematics; no networks inside."""
