"""What `edit` looks at after an edit: is the cues' ink gone, are the words readable; both go into the record."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from inkontext.errors import OptionError

if TYPE_CHECKING:
    from PIL import Image

    from inkontext.cues import Cue
    from inkontext.reading import Reader
    from inkontext.result import Result


def words_to_read(prompt: str, check_text: bool, retries: int) -> tuple[str, ...]:
    """The words to look for; none without --check-text. Raises OptionError where it cannot be done."""
    from inkontext.reading import asked_words

    if not 0 <= retries <= 100:
        raise OptionError(f"--retries must be from 0 to 100, not {retries}")
    if not check_text:
        if retries:
            raise OptionError("--retries tries other seeds where the text is wrong; give --check-text as well")
        return ()
    need_reader()
    words = tuple(asked_words(prompt))
    if not words:
        raise OptionError("--check-text found no words to look for; put them in quotation marks in the prompt")
    return words


def need_reader() -> None:
    """Raises OptionError where --check-text cannot be done."""
    from inkontext.reading import Reader

    if missing := Reader.available():
        raise OptionError(f"--check-text needs text recognition; {missing}")


@dataclass
class Checks:
    """The checks of one call.

    Attributes:
        picture: what is edited, mode RGB.
        cues: as they are drawn on it.
        words: to be read in the result; none checks nothing.
        retries: further seeds for a picture whose text is wrong.
        extra: further entries for every record.
        stride: seeds that `make` uses for one picture, consecutive ones.
    """

    picture: Image.Image
    cues: Sequence[Cue]
    words: tuple[str, ...]
    retries: int
    extra: dict[str, Any]
    stride: int = 1
    lines: list[str] = field(default_factory=list)

    def run(self, make: Callable[[int, int], Result], seed: int, count: int) -> Result:
        """Make `count` pictures from `seed` on, each with its findings in its record.

        Args:
            make: (seed, count) -> result.
        """
        if not self.words or count < 1:
            result = make(seed, count)
        else:
            from inkontext.reading import Reader

            reader = Reader()
            step = count * self.stride
            singles = [self._readable(make, reader, seed + i * self.stride, step) for i in range(count)]
            result = type(singles[0])([s.images[0] for s in singles], [s.records[0] for s in singles])
        for number, (image, record) in enumerate(zip(result.images, result.records, strict=True), 1):
            record |= self.extra
            if self.cues:
                self._look_for_ink(image, record, f"picture {number}: " if count > 1 else "")
        return result

    def _readable(self, make: Callable[[int, int], Result], reader: Reader, seed: int, step: int) -> Result:
        """One picture; further seeds are `step` apart, so that no two pictures of a call share one."""
        from inkontext.reading import check, until_right

        seeds = range(seed, seed + step * (self.retries + 1), step)
        tried = until_right(
            lambda s: make(s, 1), lambda r: check(r.images[0].convert("RGB"), self.words, reader), seeds
        )
        tried.result.records[0]["text_check"] = tried.as_dict()
        self.lines.append(f"text: {tried.sentence()}")
        return tried.result

    def _look_for_ink(self, image: Image.Image, record: dict[str, Any], where: str) -> None:
        from inkontext.cues import draw, gone

        report = gone(self.picture, draw(self.picture, self.cues), image.convert("RGB"), self.cues)
        record["cue_check"] = report.as_dict()
        self.lines += [f"cue: {where}{finding.sentence()}" for finding in report.findings]

    def tell(self) -> None:
        """Print the findings, on stderr: stdout is for the names of files."""
        for line in self.lines:
            print(line, file=sys.stderr)
