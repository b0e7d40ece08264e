"""Whatever is done in whatever order, no turn is lost, and the disk says what memory says."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from inkontext.errors import SessionError
from inkontext.session import Session
from tests.session.painter import painter, start


class SessionMachine(RuleBasedStateMachine):
    """A session beside the simplest model of it: a list of pictures, a parent each, a stack of undone turns."""

    @initialize()
    def begin(self) -> None:
        self.root = Path(tempfile.mkdtemp())
        self.pipeline = painter()
        self.session = Session.new(self.root / "s", start(), self.pipeline)
        self.pictures = [self.session.picture().tobytes()]
        self.parents: list[int | None] = [None]
        self.at = 0
        self.undone: list[int] = []
        self.branches = {"main": 0}
        self.on = "main"

    @rule(seed=st.integers(0, 5))
    def edit(self, seed: int) -> None:
        turn = self.session.edit("paint", seed=seed)
        self._added(turn.id)

    @rule(seed=st.integers(0, 5), best=st.integers(0, 1))
    def two_tries(self, seed: int, best: int) -> None:
        parent, count = self.at, len(self.pictures)
        for number in range(2):
            self.session.edit("paint", seed=seed + number, parent=parent)
            self._added(count + number, parent)
        self.session.settle_on(count + best)
        self.at = self.branches[self.on] = count + best

    def _added(self, number: int, parent: int | None = None) -> None:
        assert number == len(self.pictures)
        self.pictures.append(self.session.picture().tobytes())
        self.parents.append(self.at if parent is None else parent)
        self.at, self.undone = number, []
        self.branches[self.on] = number

    @rule()
    def undo(self) -> None:
        parent = self.parents[self.at]
        if parent is None:
            with pytest.raises(SessionError, match="nothing to undo"):
                self.session.undo()
            return
        self.session.undo()
        self.undone.append(self.at)
        self.at = parent

    @rule()
    def redo(self) -> None:
        if not self.undone:
            with pytest.raises(SessionError, match="nothing to redo"):
                self.session.redo()
            return
        self.session.redo()
        self.at = self.undone.pop()

    @rule(place=st.integers(0, 12))
    def goto(self, place: int) -> None:
        if place >= len(self.pictures):
            with pytest.raises(SessionError, match="there is no turn"):
                self.session.goto(place)
            return
        self.session.goto(place)
        if place != self.at:
            self.undone = []
        self.at = place

    @rule(name=st.sampled_from(["a", "b", "main"]))
    def branch(self, name: str) -> None:
        if name in self.branches:
            with pytest.raises(SessionError, match="already"):
                self.session.branch(name)
            return
        self.session.branch(name)
        self.branches[name] = self.at
        self.on, self.undone = name, []

    @rule(name=st.sampled_from(["a", "b", "main"]))
    def goto_branch(self, name: str) -> None:
        if name not in self.branches:
            with pytest.raises(SessionError, match="no branch"):
                self.session.goto(name)
            return
        self.session.goto(name)
        self.at, self.on, self.undone = self.branches[name], name, []

    @precondition(lambda self: self.depth() >= 2)
    @rule()
    def merge(self) -> None:
        parent = self.parents[self.parents[self.at] or 0]
        turn = self.session.merge(2)
        self._added(turn.id, parent)

    def depth(self) -> int:
        depth, at = 0, self.at
        while (parent := self.parents[at]) is not None:
            depth, at = depth + 1, parent
        return depth

    @rule()
    def reopen(self) -> None:
        before = self.session.manifest
        self.session.close()
        self.session = Session.open(self.root / "s", self.pipeline)
        assert self.session.manifest == before

    @invariant()
    def nothing_is_lost(self) -> None:
        manifest = self.session.manifest
        assert [turn.parent for turn in manifest.turns] == self.parents
        assert (manifest.current, manifest.redo) == (self.at, self.undone)
        assert (manifest.branch, manifest.branches) == (self.on, self.branches)
        assert self.session.picture().tobytes() == self.pictures[self.at]

    def teardown(self) -> None:
        if hasattr(self, "session"):
            for number, picture in enumerate(self.pictures):
                assert self.session.picture(number).tobytes() == picture
            self.session.close()
            shutil.rmtree(self.root)


SessionMachine.TestCase.settings = settings(max_examples=25, stateful_step_count=20, deadline=None)
TestSessions = SessionMachine.TestCase
