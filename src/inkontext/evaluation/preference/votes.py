"""Votes from files into a database, each counted once, whatever is imported and how often."""

from __future__ import annotations

import csv
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from inkontext.data.tables import read_text, text_lines
from inkontext.errors import DataError
from inkontext.evaluation.preference.database import Vote, open_votes
from inkontext.evaluation.preference.study import CHOICES, Study

COLUMNS: Final = ("study", "rater", "trial", "dimension", "choice")
_LONGEST_NAME: Final = 64


@dataclass
class Imported:
    """What became of a file's rows. `refused`: (line, reason), in order."""

    name: str
    taken: int = 0
    known: int = 0
    refused: list[tuple[int, str]] = field(default_factory=list)


def import_votes(folder: Path, study: Study, files: Iterable[Path]) -> list[Imported]:
    """Put the votes of CSV files into the study's database.

    A row that was imported before counts as known; one that is malformed, names an unknown trial, question or rater,
    stands twice in its file, or contradicts an earlier vote is refused, and the others are taken.

    Raises:
        DataError: a file that is no table of votes, or a database of another study. Nothing of any file is taken then.
        StorageError: the disk refuses.
    """
    read = [(path.name, list(_rows(path))) for path in files]
    outcomes = []
    with open_votes(folder, study) as database:
        for name, rows in read:
            outcomes.append(_add(database, study, Imported(name), rows))
    return outcomes


def _add(database: sqlite3.Connection, study: Study, outcome: Imported, rows: list[tuple[int, Row]]) -> Imported:
    seen: dict[tuple[str, str, str], int] = {}
    for line, row in rows:
        if isinstance(row, str):
            outcome.refused.append((line, row))
            continue
        vote = Vote(row["rater"], row["trial"], row["dimension"], row["choice"].lower())
        reason = fault(study, row["study"], vote)
        key = (vote.rater, vote.trial, vote.dimension)
        if reason is None and key in seen:
            reason = f"the same question as line {seen[key]}"
        if reason is not None:
            outcome.refused.append((line, reason))
            continue
        seen[key] = line
        _insert(database, vote, outcome, line)
    return outcome


def _insert(database: sqlite3.Connection, vote: Vote, outcome: Imported, line: int) -> None:
    where = (vote.rater, vote.trial, vote.dimension)
    there = database.execute("SELECT choice FROM votes WHERE (rater, trial, dimension) = (?, ?, ?)", where).fetchone()
    if there is None:
        database.execute("INSERT INTO votes VALUES (?, ?, ?, ?)", (*where, vote.choice))
        outcome.taken += 1
    elif there[0] == vote.choice:
        outcome.known += 1
    else:
        outcome.refused.append((line, f"contradicts an earlier import, where the choice was '{there[0]}'"))


def fault(study: Study, of: str, vote: Vote) -> str | None:
    """Why a vote that says it is `of` this study cannot be taken; None where it can."""
    trial = study.trial(vote.trial)
    if of != study.id:
        return f"belongs to another study, '{of}'"
    if (who := rater_fault(study, vote.rater)) is not None:
        return who
    if trial is None:
        return f"unknown trial '{vote.trial}'"
    if vote.dimension not in trial.dimensions:
        return f"trial {trial.id} does not ask '{vote.dimension}'"
    if vote.choice not in CHOICES:
        return f"the choice is '{vote.choice}'; it must be one of {', '.join(CHOICES)}"
    return None


def rater_fault(study: Study, rater: str) -> str | None:
    """Why nobody of this name may vote; None where they may."""
    if not rater or len(rater) > _LONGEST_NAME or not rater.isprintable() or rater != rater.strip():
        return f"the rater's name must have 1 to {_LONGEST_NAME} printable letters"
    if study.raters is not None and rater not in study.raters:
        return f"unknown rater '{rater}'"
    return None


Row = dict[str, str] | str  # the cells by column, or what is wrong with the line


def _rows(path: Path) -> Iterator[tuple[int, Row]]:
    """(line number, row) of a table. Line by line, so that a stray quotation mark spoils its own line only."""
    lines = text_lines(read_text(path))
    delimiter = ";" if lines and ";" in lines[0] and "," not in lines[0] else ","  # what some spreadsheets write
    header = [name.strip() for name in _cells(lines[0], delimiter) or ()] if lines else []
    if missing := [name for name in COLUMNS if name not in header]:
        raise DataError(f"'{path}' has no column {', '.join(missing)}; its first line must name {', '.join(COLUMNS)}")
    for number, line in enumerate(lines[1:], 2):
        if not line.strip():
            continue
        cells = _cells(line, delimiter)
        if cells is None or len(cells) != len(header):
            yield number, f"malformed, {len(header)} cells are needed"
        else:
            yield number, {name: cell.strip() for name, cell in zip(header, cells, strict=True)}


def _cells(line: str, delimiter: str) -> list[str] | None:
    try:
        return next(csv.reader([line], delimiter=delimiter, strict=True), None)
    except csv.Error:
        return None
