"""A report's page, plots and cells."""

from __future__ import annotations

import io
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path

import pytest
from rich.console import Console

from inkontext.evaluation.report import Bars, Curves, Pictures, Point, Report, Table, plot, shown

CURVES = Curves("Drift", "turn", "dB", {"ours": [Point(1, 30.0, 29.0, 31.0), Point(2, None), Point(3, 28.0)]})
BARS = Bars("Scores", "%", {"a": Point(0, 50.0, 40.0, 60.0), "b <x>": Point(0, None)})


def report() -> Report:
    table = Table("All", ("task", "n", "share"), [("local", 3, 0.123456), ("<b>", None, 12345.6)], ["one is missing"])
    return Report("A & B", {"model": "tiny"}, [table, CURVES, BARS, Pictures("Seen", [("it's", ["outputs/1.png"])])])


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text.append(data.strip())


def test_the_page_holds_everything_and_escapes(tmp_path: Path) -> None:
    page = report().write(tmp_path)
    parsed = Tags()
    parsed.feed(page.read_text())
    assert parsed.tags.count("svg") == 2
    assert parsed.tags.count("table") == 1
    assert "b" not in parsed.tags
    assert {"A & B", "<b>", "—", "0.1235", "12,346", "one is missing", "it's"} <= set(parsed.text)
    assert sorted(p.name for p in (tmp_path / "plots").iterdir()) == ["01-drift.svg", "02-scores.svg"]


def test_same_figures_same_bytes(tmp_path: Path) -> None:
    first, second = (report().write(tmp_path / name).read_bytes() for name in "ab")
    assert first == second


@pytest.mark.parametrize("section", [CURVES, BARS])
def test_plots_are_well_formed_and_name_their_axes(section: Curves | Bars) -> None:
    text = "".join(ET.fromstring(plot(section)).itertext())
    assert ("dB" in text) if isinstance(section, Curves) else ("missing" in text and "b <x>" in text)


def test_a_missing_cell_is_not_zero() -> None:
    assert shown(None) == "—"
    assert shown(0.0) == "0"
    assert shown(0) == "0"


def test_the_terminal_shows_tables_and_notes() -> None:
    console = Console(width=100, record=True, file=io.StringIO())
    report().show(console)
    text = console.export_text()
    assert "local" in text
    assert "one is missing" in text
