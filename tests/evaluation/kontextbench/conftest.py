"""The small bench that the tests of a file share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.evaluation.kontextbench.fixture import small_bench


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_bench(tmp_path_factory.mktemp("data") / "bench")
