"""What a page of a report shows: its words, and where its pictures are."""

from __future__ import annotations

from html.parser import HTMLParser


class Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.sources: list[str] = []
        self.words = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.sources += [value for name, value in attrs if tag == "img" and name == "src" and value]

    def handle_data(self, data: str) -> None:
        self.words += data
