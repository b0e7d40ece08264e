"""Importing stays light."""

from __future__ import annotations

import subprocess
import sys

import pytest

import inkontext


@pytest.mark.parametrize("module", ["inkontext", "inkontext.cli.main", "inkontext.errors"])
def test_import_does_not_load_torch(module: str) -> None:
    code = f"import sys, {module}; print([m for m in ('torch', 'transformers', 'PIL', 'numpy') if m in sys.modules])"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == "[]"


def test_the_face() -> None:
    assert inkontext.Pipeline.__name__ == "Pipeline"
    with pytest.raises(AttributeError, match="Nonsense"):
        _ = inkontext.Nonsense
