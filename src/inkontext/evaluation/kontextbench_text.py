"""Are the words that the instruction asks for readable in the picture? Read by optical character recognition."""

from __future__ import annotations

from typing import Final

from PIL import Image

from inkontext import reading
from inkontext.evaluation.kontextbench_data import Item
from inkontext.evaluation.kontextbench_metrics import Last, Score
from inkontext.reading import asked_words, is_hit, similarity


class Reader(reading.Reader):
    """A reader that keeps its last picture's lines, for both scores of it."""

    def __init__(self) -> None:
        super().__init__()
        self.lines = Last(self.read)


class _Text:
    """What both scores of the text share."""

    categories: tuple[str, ...] = ("text",)
    higher_is_better = True

    def __init__(self, reader: Reader) -> None:
        self.reader, self.identity = reader, reader.identity()

    def available(self) -> str | None:
        return self.reader.available()

    def read(self, item: Item, output: Image.Image) -> tuple[list[str], list[str]]:
        """The words wanted and the lines read."""
        wanted = asked_words(item.instruction)
        return wanted, self.reader.lines(output) if wanted else []


_NOTHING: Final = Score(None, "the instruction quotes no word to show")


class TextSimilarity(_Text):
    """Mean of `similarity` over the words wanted."""

    name, unit, is_share = "text_similarity", "0–1", False

    def score(self, item: Item, reference: Image.Image, output: Image.Image) -> Score:
        wanted, read = self.read(item, output)
        if not wanted:
            return _NOTHING
        each = [similarity(word, read) for word in wanted]
        return Score(
            sum(each) / len(each), evidence={"wanted": wanted, "read": read, "each": [round(e, 6) for e in each]}
        )


class TextExact(_Text):
    """1 where every word wanted was read exactly, else 0."""

    name, unit, is_share = "text_exact", "share", True

    def score(self, item: Item, reference: Image.Image, output: Image.Image) -> Score:
        wanted, read = self.read(item, output)
        if not wanted:
            return _NOTHING
        hits = [is_hit(word, read) for word in wanted]
        return Score(float(all(hits)), evidence={"hits": hits})
