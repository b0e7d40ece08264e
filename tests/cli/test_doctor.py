"""`inkontext doctor`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from inkontext.model.presets import PRESETS
from tests.cli.conftest import Cli


def test_one_row_a_model_and_one_column_a_dtype(cli: Cli, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INKONTEXT_MEMORY", "1")
    done = cli("doctor", "--device", "cpu", "--json", "a.json")
    assert done.code == 0
    lines = done.out.splitlines()
    assert max(map(len, lines)) <= 80 and "…" not in done.out
    rows = {line.split()[0]: line.split()[1:] for line in lines if line.split()[:1] and line.split()[0] in PRESETS}
    assert set(rows) == set(PRESETS)
    assert rows["tiny"][1::2] == ["fits", "fits"] and rows["kontext-dev"][1::2] == ["no", "no"]
    body = json.loads((here / "a.json").read_text())
    assert body["memory_gib"] <= 1
    assert {(row["name"], row["dtype"]) for row in body["models"]} == {
        (name, kind) for name in PRESETS for kind in ("float32", "bfloat16")
    }
    assert all(rate > 0 for rate in body["matmul_gflops"].values())


def test_a_device_that_is_not_there(cli: Cli) -> None:
    outcome = cli("doctor", "--device", "abacus")
    assert outcome.code == 2 and "choose one of" in outcome.complaint
