"""InKontext: in-context image generation and editing with rectified-flow transformers.

Importing the package stays light: PyTorch is loaded when `Pipeline` or `Session` is first touched.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

__version__ = "0.1.0"
__all__ = ["Pipeline", "Session", "__version__"]

if TYPE_CHECKING:
    from inkontext.pipeline import Pipeline
    from inkontext.session import Session


def __getattr__(name: str) -> object:
    if name == "Pipeline":
        from inkontext.pipeline import Pipeline

        return Pipeline
    if name == "Session":
        from inkontext.session import Session

        return Session
    raise AttributeError(f"module 'inkontext' has no attribute {name!r}")
