"""Model and data folders from the hub, kept in its cache; nothing else in the package downloads."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from inkontext.errors import InKontextError

_ID = re.compile(r"[\w.-]+/[\w.-]+")


def is_hub_id(name: str) -> bool:
    """Whether a name that is no local path may be meant as OWNER/NAME of the hub."""
    return _ID.fullmatch(name) is not None and not Path(name).expanduser().parent.exists()


def download(
    repo: str, patterns: Sequence[str], told: type[InKontextError], sentence: str,
    kind: Literal["model", "dataset"] = "model",
) -> Path:  # fmt: skip
    """The folder of a repository's files that fit the patterns.

    Args:
        told, sentence: the error to raise where it cannot be had, and its words, with `{reason}` in them.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError

    try:
        return Path(snapshot_download(repo, repo_type=kind, allow_patterns=list(patterns)))
    except (HfHubHTTPError, OSError, ValueError) as error:  # not there, no network or disk, no such name possible
        raise told(sentence.replace("{reason}", str(error).partition("\n")[0].strip())) from error
