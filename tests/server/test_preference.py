"""The served study over real HTTP: what voters see, what is kept, who sees the results."""

from __future__ import annotations

import json
import socket
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from inkontext.evaluation.preference.database import Vote, read_votes
from inkontext.evaluation.preference.rate import results
from inkontext.evaluation.preference.study import CHOICES, Study
from tests.cli.conftest import Cli, cli, here
from tests.server.conftest import KEY, Server, make_study

__all__ = ["cli", "here"]  # fixtures


def post(server: Server, study: Study, rater: str, /, *votes: tuple[str, str, str], **more: object) -> httpx.Response:
    rows = [dict(zip(("trial", "dimension", "choice"), vote, strict=True)) for vote in votes]
    return server.client.post("votes", json={"study": study.id, "rater": rater, "votes": rows} | more)


def answer(server: Server, study: Study, rater: str, seed: int, most: int | None = None) -> list[Vote]:
    """Vote as the page does, one question after the other; what the server has confirmed."""
    trials, rng, kept = {t.id: t for t in study.trials}, np.random.default_rng(seed), []
    while most is None or len(kept) < most:
        shown = server.client.get("next", params={"rater": rater}).json()["trial"]
        if shown is None:
            break
        for dimension in shown["dimensions"][: None if most is None else most - len(kept)]:
            choice = trials[shown["id"]].answer or str(rng.choice(CHOICES))
            response = post(server, study, rater, (shown["id"], dimension, choice))
            assert response.status_code == 200 and response.json() == {"kept": 1}
            kept.append(Vote(rater, shown["id"], dimension, choice))
    return kept


def test_the_page_and_its_pictures_give_nothing_away(server: Server, study: Study) -> None:
    page = server.client.get("")
    assert page.status_code == 200 and "default-src 'self'" in page.headers["content-security-policy"]
    shown: dict[str, Any] = server.client.get("next", params={"rater": "ann"}).json()
    assert shown.keys() == {"study", "trial", "done", "total"} and (shown["done"], shown["total"]) == (0, 30)
    assert shown["trial"].keys() == {"id", "instruction", "references", "left", "right", "dimensions"}
    everything = page.text + json.dumps(shown)
    assert not any(word in everything for word in (*study.systems, '"answer"', "0001", KEY))
    picture = server.client.get(shown["trial"]["left"])
    assert picture.headers["content-type"] == "image/png" and picture.content[:4] == b"\x89PNG"
    for path in ("study.json", "pictures/study.json", "pictures/..%2fstudy.json", "votes.sqlite", "openapi.json"):
        assert server.client.get(path).status_code == 404, path


def test_voters_at_once_compare_all_equally_and_each_vote_is_kept_once(
    server: Server, study: Study, tmp_path: Path
) -> None:
    with ThreadPoolExecutor(6) as pool:
        lists = list(pool.map(lambda n: answer(server, study, f"rater {n}", n, 14), range(4)))
    assert sorted(v for votes in lists for v in votes) == read_votes(tmp_path / "study", study)
    trials = {t.id: t for t in study.trials}
    seen = [{v.trial for v in votes} for votes in lists]
    assert all(sum(trials[t].answer is not None for t in mine) in (1, 2) for mine in seen)
    met = Counter(frozenset((trials[t].left, trials[t].right)) for mine in seen for t in mine if not trials[t].answer)
    assert len(met) == 3 and max(met.values()) - min(met.values()) <= 4  # at most one apart a voter at once
    times = Counter(t for mine in seen for t in mine if not trials[t].answer)
    for pair in met:  # here too: all four may be shown one comparison at once while another waits
        of_pair = [times[t.id] for t in study.compared if frozenset((t.left, t.right)) == pair]
        assert len(of_pair) == 4 and max(of_pair) - min(of_pair) <= 4
    for n, votes in enumerate(lists):  # all the rest, and nothing twice
        more = answer(server, study, f"rater {n}", n)
        assert len({(v.trial, v.dimension) for v in (*votes, *more)}) == len(votes) + len(more) == 30
    assert server.client.get("next", params={"rater": "rater 0"}).json() == {
        "study": study.id, "trial": None, "done": 30, "total": 30,
    }  # fmt: skip


def test_a_second_vote_replaces_and_a_begun_trial_goes_on(server: Server, study: Study, tmp_path: Path) -> None:
    first = study.trials[0]
    for choice in ("left", "left", "tie"):
        assert post(server, study, "ann", (first.id, "aesthetics", choice)).json() == {"kept": 1}
    assert read_votes(tmp_path / "study", study) == [Vote("ann", first.id, "aesthetics", "tie")]
    shown = server.client.get("next", params={"rater": "ann"}).json()
    assert (shown["trial"]["id"], shown["trial"]["dimensions"], shown["done"]) == (first.id, ["instruction"], 1)


def test_a_killed_server_has_every_vote_that_it_has_confirmed(study: Study, tmp_path: Path) -> None:
    server, kept = Server(tmp_path / "study"), []
    for n in range(3):
        kept += answer(server, study, "ann", n, 5)
        server.kill()
        server.client.close()
        server = Server(tmp_path / "study", server.port)  # the same address again, at once
    try:
        assert read_votes(tmp_path / "study", study) == sorted(kept) and len(kept) == 15
        assert server.client.get("next", params={"rater": "ann"}).json()["done"] == 15
    finally:
        server.close()


def test_the_results_are_those_of_the_command_and_need_the_key(server: Server, study: Study, tmp_path: Path) -> None:
    before = server.client.get("results.json", params={"key": KEY})
    assert before.status_code == 409 and "holds no votes" in before.json()["detail"]
    answer(server, study, "ann", 1)
    for wrong in ("", "open", "é"):
        for path in ("results", "results.json"):
            refused = server.client.get(path, params={"key": wrong})
            assert refused.status_code == 403 and not any(name in refused.text for name in study.systems)
    body = server.client.get("results.json", params={"key": KEY}).json()
    assert body == json.loads(json.dumps(results(study, read_votes(tmp_path / "study", study), 100)))
    assert body["raters"] == [{"rater": "ann", "votes": 24, "checks": 6, "right": 6, "dropped": False}]
    assert body["agreement"]["missing"] == "there is one rater" and body["agreement"]["alpha"] is None
    page = server.client.get("results", params={"key": KEY}).text
    assert "<svg" in page and "gamma" in page and "there is one rater" in page


def test_what_is_no_vote_is_refused_whole_with_a_sentence(server: Server, study: Study, tmp_path: Path) -> None:
    good = (study.trials[0].id, "aesthetics", "left")
    for votes, more, words in (
        ([good, ("t9999", "aesthetics", "left")], {}, "unknown trial 't9999'"),
        ([good, (good[0], "charm", "left")], {}, "does not ask 'charm'"),
        ([(good[0], "aesthetics", "both")], {}, "votes.0.choice: Input should be 'left', 'right' or 'tie'"),
        ([good], {"study": "other"}, "another study"),
        ([good], {"rater": " "}, "1 to 64 printable letters"),
        ([good], {"note": "hello"}, "note: Extra inputs"),
    ):
        refused = post(server, study, "ann", *votes, **more)
        assert refused.status_code == 422 and words in refused.json()["detail"], refused.text
    for content, status, words in (
        (b"{", 422, "no JSON"), (b"\xff", 422, "no JSON"), (b"[" * 100_000, 422, "no JSON"),
        (b'"' + b"x" * 1_100_000, 413, "send fewer votes"),
    ):  # fmt: skip
        refused = server.client.post("votes", content=content)
        assert refused.status_code == status and words in refused.json()["detail"]
    assert server.client.get("next", params={"rater": "a\nb"}).status_code == 422
    assert not (tmp_path / "study/votes.sqlite").exists()


def test_only_those_who_are_listed_vote(tmp_path: Path) -> None:
    study = make_study(tmp_path / "listed", ("ann", "bob"), keys=2)
    server = Server(tmp_path / "listed/study")
    try:
        assert server.client.get("next", params={"rater": "bob"}).status_code == 200
        assert "unknown rater 'zoe'" in server.client.get("next", params={"rater": "zoe"}).json()["detail"]
        refused = post(server, study, "zoe", (study.trials[0].id, "aesthetics", "left"))
        assert refused.status_code == 422 and "unknown rater 'zoe'" in refused.text
    finally:
        server.close()


def test_a_study_that_cannot_be_served_is_one_sentence(study: Study, tmp_path: Path, cli: Cli) -> None:
    assert "name a folder that `eval preference plan`" in cli("eval", "preference", "serve", "nowhere").complaint
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = cli("eval", "preference", "serve", tmp_path / "study", "--port", taken.getsockname()[1])
    assert done.code == 2 and "choose another --port" in done.complaint
    assert (
        "choose another --port or --host"
        in cli("eval", "preference", "serve", tmp_path / "study", "--host", "no.such.host.invalid").complaint
    )


@pytest.mark.parametrize("spoilt", [b"not a database, but long enough to be looked at" * 30])
def test_a_damaged_database_is_said_and_nothing_is_lost_silently(
    server: Server, study: Study, tmp_path: Path, spoilt: bytes
) -> None:
    (tmp_path / "study/votes.sqlite").write_bytes(spoilt)
    refused = post(server, study, "ann", (study.trials[0].id, "aesthetics", "left"))
    assert refused.status_code == 409 and "is damaged" in refused.json()["detail"]
    assert (tmp_path / "study/votes.sqlite").read_bytes() == spoilt
