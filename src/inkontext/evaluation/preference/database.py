"""A study's votes in SQLite, beside the study: each question of each rater once, safe from a crash once taken.

Several processes and threads may use a database at once: each call is one transaction, and waits for its turn.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from inkontext.errors import DataError, StorageError
from inkontext.evaluation.preference.study import Study

DATABASE: Final = "votes.sqlite"
_PATIENCE: Final = 30.0  # seconds that a call waits for the others
_SCHEMA: Final = (
    "CREATE TABLE IF NOT EXISTS study (id TEXT PRIMARY KEY)",
    """CREATE TABLE IF NOT EXISTS votes (
         rater TEXT NOT NULL, trial TEXT NOT NULL, dimension TEXT NOT NULL,
         choice TEXT NOT NULL CHECK (choice IN ('left', 'right', 'tie')),
         PRIMARY KEY (rater, trial, dimension)
       )""",
)


@dataclass(frozen=True, order=True)
class Vote:
    """What somebody said to one question of one trial."""

    rater: str
    trial: str
    dimension: str
    choice: str


@dataclass(frozen=True)
class Standing:
    """How far a study is.

    Attributes:
        own: the questions that one rater has answered, by trial.
        raters: how many people have answered something of a trial, by trial.
    """

    own: dict[str, frozenset[str]]
    raters: dict[str, int]


@contextmanager
def open_votes(folder: Path, study: Study) -> Iterator[sqlite3.Connection]:
    """The study's database in one transaction, made where it is not there.

    Raises:
        DataError: a database of another study, or a damaged one.
        StorageError: the disk refuses, or another process keeps the database for itself.
    """
    path = folder / DATABASE
    try:
        with closing(sqlite3.connect(path, timeout=_PATIENCE)) as database:
            database.execute("BEGIN IMMEDIATE")  # waits for the others here, and nowhere later
            with database:
                for statement in _SCHEMA:
                    database.execute(statement)
                database.execute("INSERT OR IGNORE INTO study VALUES (?)", (study.id,))
                if database.execute("SELECT count(*) FROM study").fetchone() != (1,):
                    raise DataError(f"'{path}' holds votes of another study; move it away")
                yield database
    except sqlite3.OperationalError as error:
        raise StorageError(f"cannot write '{path}' ({error}); free some space or wait for another import") from error
    except sqlite3.DatabaseError as error:
        raise DataError(f"'{path}' is damaged ({error}); move it away and import the votes again") from error


def record(folder: Path, study: Study, votes: Iterable[Vote]) -> None:
    """Keep all of these votes, or none; a vote on the same question replaces the rater's earlier one."""
    with open_votes(folder, study) as database:
        rows = [(vote.rater, vote.trial, vote.dimension, vote.choice) for vote in votes]
        database.executemany("INSERT OR REPLACE INTO votes VALUES (?, ?, ?, ?)", rows)


def standing(folder: Path, study: Study, rater: str) -> Standing:
    """How far this rater and all are."""
    with open_votes(folder, study) as database:
        mine = database.execute("SELECT trial, dimension FROM votes WHERE rater = ?", (rater,)).fetchall()
        raters = dict(database.execute("SELECT trial, count(DISTINCT rater) FROM votes GROUP BY trial"))
    own: dict[str, set[str]] = {}
    for trial, dimension in mine:
        own.setdefault(trial, set()).add(dimension)
    return Standing({trial: frozenset(names) for trial, names in own.items()}, raters)


def read_votes(folder: Path, study: Study) -> list[Vote]:
    """All votes, in order of rater, trial and question. Raises DataError where there never was one."""
    if not (folder / DATABASE).is_file():
        raise DataError(f"'{folder}' holds no votes; bring them in with `inkontext eval preference import`")
    with open_votes(folder, study) as database:
        rows = database.execute("SELECT rater, trial, dimension, choice FROM votes ORDER BY rater, trial, dimension")
        return [Vote(*row) for row in rows]
