"""Votes from files into a database, each counted once, whatever is imported and how often."""

from __future__ import annotations

import csv
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from inkontext.errors import DataError, StorageError
from inkontext.evaluation.preference.study import CHOICES, Study

DATABASE: Final = "votes.sqlite"
COLUMNS: Final = ("study", "rater", "trial", "dimension", "choice")
_LONGEST_NAME: Final = 64
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS study (id TEXT PRIMARY KEY);
CREATE TABLE IF NOT EXISTS votes (
  rater TEXT NOT NULL, trial TEXT NOT NULL, dimension TEXT NOT NULL,
  choice TEXT NOT NULL CHECK (choice IN ('left', 'right', 'tie')),
  PRIMARY KEY (rater, trial, dimension)
);
"""


@dataclass(frozen=True, order=True)
class Vote:
    """What somebody said to one question of one trial."""

    rater: str
    trial: str
    dimension: str
    choice: str


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
    with _database(folder, study) as database:
        for name, rows in read:
            outcomes.append(_add(database, study, Imported(name), rows))
    return outcomes


def read_votes(folder: Path, study: Study) -> list[Vote]:
    """All votes, in order of rater, trial and question. Raises DataError where nothing was imported."""
    if not (folder / DATABASE).is_file():
        raise DataError(f"'{folder}' holds no votes; bring them in with `inkontext eval preference import`")
    with _database(folder, study) as database:
        rows = database.execute("SELECT rater, trial, dimension, choice FROM votes ORDER BY rater, trial, dimension")
        return [Vote(*row) for row in rows]


@contextmanager
def _database(folder: Path, study: Study) -> Iterator[sqlite3.Connection]:
    """The study's database in one transaction, made where it is not there."""
    path = folder / DATABASE
    try:
        with closing(sqlite3.connect(path)) as database:
            database.executescript(_SCHEMA)
            with database:
                database.execute("INSERT OR IGNORE INTO study VALUES (?)", (study.id,))
                if database.execute("SELECT count(*) FROM study").fetchone() != (1,):
                    raise DataError(f"'{path}' holds votes of another study; move it away")
                yield database
    except sqlite3.OperationalError as error:
        raise StorageError(f"cannot write '{path}' ({error}); free some space or wait for another import") from error
    except sqlite3.DatabaseError as error:
        raise DataError(f"'{path}' is damaged ({error}); move it away and import the votes again") from error


def _add(database: sqlite3.Connection, study: Study, outcome: Imported, rows: list[tuple[int, Row]]) -> Imported:
    seen: dict[tuple[str, str, str], int] = {}
    for line, row in rows:
        if isinstance(row, str):
            outcome.refused.append((line, row))
            continue
        vote, reason = _vote(study, row)
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


def _vote(study: Study, row: dict[str, str]) -> tuple[Vote, str | None]:
    """The vote of a row, and why it cannot be taken."""
    vote = Vote(row["rater"], row["trial"], row["dimension"], row["choice"].lower())
    trial = study.trial(vote.trial)
    if row["study"] != study.id:
        return vote, f"belongs to another study, '{row['study']}'"
    if not vote.rater or len(vote.rater) > _LONGEST_NAME or not vote.rater.isprintable():
        return vote, f"the rater's name must have 1 to {_LONGEST_NAME} printable letters"
    if study.raters is not None and vote.rater not in study.raters:
        return vote, f"unknown rater '{vote.rater}'"
    if trial is None:
        return vote, f"unknown trial '{vote.trial}'"
    if vote.dimension not in trial.dimensions:
        return vote, f"trial {trial.id} does not ask '{vote.dimension}'"
    if vote.choice not in CHOICES:
        return vote, f"the choice is '{row['choice']}'; it must be one of {', '.join(CHOICES)}"
    return vote, None


Row = dict[str, str] | str  # the cells by column, or what is wrong with the line


def _rows(path: Path) -> Iterator[tuple[int, Row]]:
    """(line number, row) of a table. Line by line, so that a stray quotation mark spoils its own line only."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise DataError(f"'{path}' cannot be read ({error.strerror}); check the path") from error
    except UnicodeDecodeError as error:
        raise DataError(f"'{path}' is not UTF-8 text; save it as CSV in UTF-8") from error
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
