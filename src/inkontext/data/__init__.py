"""Data for training and measuring: pair formats, shards, and the procedural world."""
