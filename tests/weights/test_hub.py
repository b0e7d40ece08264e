"""What is fetched from the hub, and what is said where it cannot be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
from huggingface_hub.errors import LocalEntryNotFoundError

from inkontext.errors import DataError, InKontextError, ModelNotFoundError
from inkontext.evaluation.kontextbench.data import open_bench
from inkontext.weights.hub import download, is_hub_id
from inkontext.weights.source import resolve


def test_a_hub_id_is_two_names_that_are_no_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert is_hub_id("owner/name") and is_hub_id("black-forest-labs/FLUX.1-Kontext-dev")
    assert not any(map(is_hub_id, ("name", "a/b/c", "owner/", "own er/name", "/name", "", "~/name")))
    (tmp_path / "owner").mkdir()
    assert not is_hub_id("owner/name")  # a mistyped path


@pytest.mark.parametrize("kind", ["model", "dataset"])
def test_the_files_that_fit_are_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: Any) -> None:
    asked: dict[str, Any] = {}

    def fetch(repo: str, **options: Any) -> str:
        asked.update(options, repo=repo)
        return str(tmp_path)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fetch)
    assert download("owner/name", ("*.json",), DataError, "no", kind) == tmp_path
    assert asked == {"repo": "owner/name", "repo_type": kind, "allow_patterns": ["*.json"]}


@pytest.mark.parametrize(
    ("ask", "error", "sentence"),
    [
        (
            resolve,
            ModelNotFoundError,
            r"model 'owner/name' is no local path and cannot be downloaded \(no {x}\); check",
        ),
        (
            open_bench,
            DataError,
            r"'owner/name' is no local folder and cannot be downloaded \(no {x}\); check the network",
        ),
    ],
)
def test_a_failure_is_one_sentence_of_who_asked(
    monkeypatch: pytest.MonkeyPatch, ask: Any, error: type[InKontextError], sentence: str
) -> None:
    def fail(*_: object, **__: object) -> str:
        raise LocalEntryNotFoundError("no {x}\nlong story")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fail)
    with pytest.raises(error, match=sentence) as told:
        ask("owner/name")
    assert "long story" not in str(told.value)


def test_nothing_else_downloads() -> None:
    source = Path(__file__).parents[2] / "src/inkontext"
    fetching = ("snapshot_download", "hf_hub_download", "urlretrieve")
    found = {p.name for p in source.rglob("*.py") if any(word in p.read_text("utf-8") for word in fetching)}
    assert found == {"hub.py"}
