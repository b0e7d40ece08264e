"""Tensors in and out of files: one file a format, one table a mapping."""
