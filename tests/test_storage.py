"""Files are whole or absent."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from inkontext.errors import StorageError
from inkontext.storage import atomic_path, write_json


def test_a_file_appears_whole(tmp_path: Path) -> None:
    with atomic_path(tmp_path / "deep/er/a.txt") as temporary:
        temporary.write_text("whole")
        assert not (tmp_path / "deep/er/a.txt").exists()
    assert [p.name for p in (tmp_path / "deep/er").iterdir()] == ["a.txt"]
    assert (tmp_path / "deep/er/a.txt").read_text() == "whole"


@pytest.mark.parametrize("failure", [RuntimeError, KeyboardInterrupt])
def test_a_failure_keeps_the_old_and_leaves_nothing(tmp_path: Path, failure: type[BaseException]) -> None:
    (tmp_path / "a.txt").write_text("old")
    with pytest.raises(failure), atomic_path(tmp_path / "a.txt") as temporary:
        temporary.write_text("half")
        raise failure
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]
    assert (tmp_path / "a.txt").read_text() == "old"


def test_disk_errors_are_told_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"cannot write .*a\.txt' \(No space left"), atomic_path(tmp_path / "a.txt"):
        raise OSError(28, "No space left on device")
    assert list(tmp_path.iterdir()) == []


def test_a_file_where_a_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="choose another place"):
        write_json(tmp_path / "file/a.json", {})
    assert (tmp_path / "file").read_text() == ""


def test_permissions_follow_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_json(tmp_path / "a.json", {})
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.json").stat().st_mode) == 0o640


def test_json_is_read_back(tmp_path: Path) -> None:
    body = {"name": "Ωmega", "list": [1, 2.5, None]}
    write_json(tmp_path / "a.json", body)
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == body
