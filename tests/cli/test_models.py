"""`inkontext models`."""

from __future__ import annotations

import json
from pathlib import Path

from inkontext.model.presets import PRESETS
from inkontext.weights.source import SHIPPED
from tests.cli.conftest import Cli


def test_every_preset_has_a_line_of_at_most_eighty_columns(cli: Cli) -> None:
    done = cli("models")
    assert done.code == 0
    lines = done.out.splitlines()
    assert max(map(len, lines)) <= 80 and "…" not in done.out
    starts = [line.split()[0] for line in lines if line.strip()]
    assert all(starts.count(name) == 1 for name in PRESETS)


def test_the_json_says_the_same(cli: Cli, here: Path) -> None:
    cli("models", "--json", "a.json")
    rows = {row["name"]: row for row in json.loads((here / "a.json").read_text())["models"]}
    shipped = {folder.name for folder in SHIPPED.iterdir()}
    assert set(rows) == set(PRESETS) | shipped and shipped == {
        name for name in rows if rows[name]["weights"] == "shipped"
    }
    card = json.loads((SHIPPED / "tiny/inkontext.json").read_text())["sampling"]
    assert (rows["tiny"]["steps"], rows["tiny"]["resolution"]) == (card["steps"], card["resolution"])
    assert rows["kontext-dev"]["parameters"] == "11,901.4 M"
    assert rows["kontext-dev"]["weights"] == "yours"
    assert rows["debug"]["weights"] == "random"
