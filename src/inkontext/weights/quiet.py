"""Keep transformers' own progress bars out of our output."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def no_bars() -> Iterator[None]:
    """Within it transformers shows no bars; afterwards as before."""
    from transformers.utils import logging

    showed = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if showed:
            logging.enable_progress_bar()
