"""InKontext: in-context image generation and editing with rectified-flow transformers.

Importing the package stays light: PyTorch is loaded when `Pipeline` is first touched.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

__version__ = "0.1.0"
__all__ = ["Pipeline", "__version__"]

if TYPE_CHECKING:
    from inkontext.pipeline import Pipeline


def __getattr__(name: str) -> object:
    if name == "Pipeline":
        from inkontext.pipeline import Pipeline

        return Pipeline
    raise AttributeError(f"module 'inkontext' has no attribute {name!r}")
