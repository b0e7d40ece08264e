"""Votes from files: what is taken, what is refused by its line, and that nothing counts twice."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from inkontext.errors import DataError
from inkontext.evaluation.preference.database import Vote, read_votes
from inkontext.evaluation.preference.study import Study, Trial
from inkontext.evaluation.preference.votes import import_votes

HEAD = "study,rater,trial,dimension,choice\n"


def trial(number: int, left: str = "a", right: str = "b", answer: str | None = None, category: str = "") -> Trial:
    return Trial(
        f"t{number}", f"{number:04d}", left, right, answer, 0, ("instruction", "aesthetics"), ("x.png", "y.png"), (),
        "do it", category,
    )  # type: ignore[arg-type]  # fmt: skip


STUDY = Study(
    "s1", 0, ("a", "b"), {"instruction": "?", "aesthetics": "?"}, (trial(1), trial(2), trial(3)), None, {}
)  # fmt: skip


@pytest.fixture
def votes(tmp_path: Path) -> Path:
    return tmp_path / "votes.csv"


def test_votes_are_taken_once(tmp_path: Path, votes: Path) -> None:
    votes.write_text(HEAD + "s1,ann,t1,instruction,left\ns1,ann,t1,aesthetics,TIE\n\ns1,bob,t1,instruction,right\n")
    (first,) = import_votes(tmp_path, STUDY, [votes])
    assert (first.taken, first.known, first.refused) == (3, 0, [])
    expected = [
        Vote("ann", "t1", "aesthetics", "tie"), Vote("ann", "t1", "instruction", "left"),
        Vote("bob", "t1", "instruction", "right"),
    ]  # fmt: skip
    assert read_votes(tmp_path, STUDY) == expected
    again, also = import_votes(tmp_path, STUDY, [votes, votes])
    assert (again.taken, again.known, also.known) == (0, 3, 3)
    assert read_votes(tmp_path, STUDY) == expected


def test_bad_rows_are_named_by_line_and_the_rest_is_taken(tmp_path: Path, votes: Path) -> None:
    votes.write_text(
        HEAD
        + "s1,ann,t1,instruction,left\n"  # 2, taken
        + "s1,ann,t9,instruction,left\n"  # 3
        + "s1,ann,t1\n"  # 4
        + "s1,zoe,t1,instruction,left\n"  # 5
        + "s1,ann,t2,charm,left\n"  # 6
        + "s1,ann,t2,instruction,both\n"  # 7
        + "s1,ann,t1,instruction,left\n"  # 8
        + "s9,ann,t2,instruction,left\n"  # 9
        + 's1,"ann,t2,instruction,left\n'  # 10
        + "s1,,t2,instruction,left\n"  # 11
        + "s1,ann,t2,instruction,right\n"  # 12, taken
    )
    (done,) = import_votes(tmp_path, replace(STUDY, raters=("ann",)), [votes])
    reasons = dict(done.refused)
    assert done.taken == 2 and [line for line, _ in done.refused] == list(range(3, 12))
    for line, words in {
        3: "unknown trial 't9'", 4: "malformed", 5: "unknown rater 'zoe'", 6: "does not ask 'charm'",
        7: "one of left, right, tie", 8: "the same question as line 2", 9: "another study", 10: "malformed",
        11: "name must have",
    }.items():  # fmt: skip
        assert words in reasons[line]


def test_an_earlier_vote_stands(tmp_path: Path, votes: Path) -> None:
    votes.write_text(HEAD + "s1,ann,t1,instruction,left\n")
    import_votes(tmp_path, STUDY, [votes])
    votes.write_text(HEAD + "s1,ann,t1,instruction,right\n")
    (done,) = import_votes(tmp_path, STUDY, [votes])
    assert done.refused == [(2, "contradicts an earlier import, where the choice was 'left'")]
    assert [v.choice for v in read_votes(tmp_path, STUDY)] == ["left"]


def test_what_spreadsheets_write(tmp_path: Path, votes: Path) -> None:
    votes.write_bytes(
        b"\xef\xbb\xbfchoice;rater;study;trial;dimension;note\r\nleft;J\xc3\xbcrgen;s1;t1;instruction;hm\r\n"
    )
    (done,) = import_votes(tmp_path, STUDY, [votes])
    assert done.taken == 1 and read_votes(tmp_path, STUDY) == [Vote("Jürgen", "t1", "instruction", "left")]


def test_a_file_that_is_no_table_takes_nothing_of_any(tmp_path: Path, votes: Path) -> None:
    votes.write_text(HEAD + "s1,ann,t1,instruction,left\n")
    for content, words in ((b"", "no column study"), (b"study,rater\n", "no column trial"), (b"\xff\xfe", "as UTF-8")):
        bad = tmp_path / "bad.csv"
        bad.write_bytes(content)
        with pytest.raises(DataError, match=words):
            import_votes(tmp_path, STUDY, [votes, bad])
    with pytest.raises(DataError, match="cannot be read"):
        import_votes(tmp_path, STUDY, [votes, tmp_path / "nowhere.csv"])
    with pytest.raises(DataError, match="holds no votes"):
        read_votes(tmp_path, STUDY)


def test_databases_of_others_and_damaged_ones(tmp_path: Path, votes: Path) -> None:
    votes.write_text(HEAD + "s1,ann,t1,instruction,left\n")
    import_votes(tmp_path, STUDY, [votes])
    with pytest.raises(DataError, match="another study"):
        read_votes(tmp_path, replace(STUDY, id="s2"))
    assert len(read_votes(tmp_path, STUDY)) == 1
    (tmp_path / "votes.sqlite").write_bytes(b"not a database, but long enough to be looked at" * 30)
    with pytest.raises(DataError, match="is damaged"):
        import_votes(tmp_path, STUDY, [votes])
