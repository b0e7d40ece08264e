"""`--embedder FILE.py:FUNCTION`: a function of the user's that turns a picture into a vector."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL import Image

    from inkontext.plugins import Plugin


@dataclass(frozen=True)
class OwnEmbedder:
    """For `Session(embedder=...)`."""

    plugin: Plugin

    def __call__(self, image: Image.Image, /) -> Any:
        return self.plugin.function(image)

    @property
    def name(self) -> str:
        """The function, and the digest of its file: cosines of other functions do not compare."""
        identity = self.plugin.identity
        return " ".join(filter(None, (identity["function"], identity["digest"])))


def load_embedder(spec: str | None, first: Callable[[], Image.Image] | None = None) -> OwnEmbedder | None:
    """The function, tried on a session's first picture where there is one; that is not read where no function is.

    Raises:
        OptionError: it is not there, or fails on that picture, so that no turn could be compared.
    """
    if spec is None:
        return None
    from inkontext.errors import OptionError
    from inkontext.plugins import load_function
    from inkontext.session.drift import embed

    own = OwnEmbedder(load_function(spec))
    if first is not None:
        try:
            embed(own, first())
        except OptionError as error:
            raise OptionError(f"--embedder {spec} on the first picture: {error}") from error
    return own
