"""A study of `inkontext eval preference`, served: the page, the next pair, votes into the database, the results.

GET  ./                 the page
GET  ./next?rater=NAME  what this rater sees next, and how far they are
POST ./votes            votes; kept when the answer is 2xx
GET  ./pictures/NAME    the study's pictures, and no other file
GET  ./results?key=KEY  ratings so far as a page; ./results.json as JSON. Only for who knows the key: it names systems

All state is the study's folder, so several processes may serve one study, and a killed one loses no vote that it
has taken. A rater is a name: whoever gives it votes as this rater, and a later vote replaces an earlier one.
"""

from __future__ import annotations

import json
import secrets
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Final

from fastapi import APIRouter, FastAPI, HTTPException, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from inkontext.errors import InKontextError, OptionError
from inkontext.evaluation.preference.database import Vote, read_votes, record, standing
from inkontext.evaluation.preference.folder import page
from inkontext.evaluation.preference.order import next_trial
from inkontext.evaluation.preference.rate import RESAMPLES, results
from inkontext.evaluation.preference.report import preference_report
from inkontext.evaluation.preference.study import Choice, Study, read_study
from inkontext.evaluation.preference.votes import fault, rater_fault

_LARGEST: Final = 1_000_000  # bytes of a request
_FRESH: Final = {"Cache-Control": "no-store"}
_PAGE: Final = _FRESH | {
    "Content-Security-Policy": "default-src 'self'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "img-src 'self' data:; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
}
Rater = Annotated[str, Query(max_length=64)]
Key = Annotated[str, Query(max_length=256)]


class OneVote(BaseModel):
    """A choice in one question of one trial."""

    model_config = ConfigDict(extra="forbid")
    trial: str = Field(max_length=64)
    dimension: str = Field(max_length=64)
    choice: Choice


class Votes(BaseModel):
    """What the page sends."""

    model_config = ConfigDict(extra="forbid")
    study: str = Field(max_length=64)
    rater: str = Field(max_length=64)
    votes: list[OneVote] = Field(max_length=5000)


def router(folder: Path, key: str, resamples: int = RESAMPLES) -> APIRouter:
    """The routes of one study, to be mounted anywhere; the page uses paths relative to its own.

    Args:
        folder: a study that `eval preference plan` has written; votes go into it.
        key: opens the results.
        resamples: draws of the bootstrap behind the results' intervals.

    Raises:
        DataError: no study there, or a damaged one.
    """
    study = read_study(folder)
    pictures = {Path(name).name for trial in study.trials for name in (*trial.pictures, *trial.references)}
    questions = sum(len(trial.dimensions) for trial in study.trials)
    html = page(study, served=True)
    rating = threading.Lock()  # one at a time: ratings take seconds, and plots are drawn by one thread
    routes = APIRouter()

    @routes.get("/", response_class=HTMLResponse)
    def index() -> Response:
        return HTMLResponse(html, headers=_PAGE)

    @routes.get("/next")
    def following(rater: Rater) -> Response:
        _check(rater_fault(study, rater))
        with _told():
            so_far = standing(folder, study, rater)
        trial = next_trial(study, rater, so_far)
        shown = None
        if trial is not None:
            answered = so_far.own.get(trial.id, frozenset())
            shown = trial.shown() | {"dimensions": [name for name in trial.dimensions if name not in answered]}
        done = sum(map(len, so_far.own.values()))
        return JSONResponse({"study": study.id, "trial": shown, "done": done, "total": questions}, headers=_FRESH)

    @routes.post("/votes")
    async def votes(request: Request) -> Response:
        return await run_in_threadpool(_keep, folder, study, await _body(request))

    @routes.get("/pictures/{name}")
    def picture(name: str) -> Response:
        if name not in pictures:
            raise HTTPException(404, "this study has no such picture")
        return FileResponse(folder / "pictures" / name, headers={"Cache-Control": "public, max-age=86400, immutable"})

    def rated(given: str) -> dict[str, Any]:
        if not secrets.compare_digest(given.encode(), key.encode()):
            raise HTTPException(403, "the results need the key that the server printed when it started")
        with _told(), rating:
            return results(study, read_votes(folder, study), resamples)

    @routes.get("/results", response_class=HTMLResponse)
    def shown_results(key: Key = "") -> Response:
        report = preference_report(rated(key))
        with _told(), rating:
            return HTMLResponse(report.html(), headers=_PAGE)

    @routes.get("/results.json")
    def plain_results(key: Key = "") -> Response:
        return JSONResponse(rated(key), headers=_FRESH)

    return routes


def study_app(folder: Path, key: str, resamples: int = RESAMPLES) -> FastAPI:
    """An application of this study alone. Raises DataError as `router` does."""
    app = FastAPI(title="Which picture?", openapi_url=None)
    app.include_router(router(folder, key, resamples))
    return app


def listen(host: str, port: int) -> socket.socket:
    """A socket that waits for voters; port 0 takes a free one. Raises OptionError where it cannot be had."""
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        waiting = socket.socket(family)
        waiting.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        waiting.bind(address)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise OptionError(
            f"cannot listen at {host}, port {port} ({reason}); choose another --port or --host"
        ) from error
    return waiting


def _keep(folder: Path, study: Study, sent: Votes) -> Response:
    """All of the votes, or none and why."""
    votes = [Vote(sent.rater, one.trial, one.dimension, one.choice) for one in sent.votes]
    _check(rater_fault(study, sent.rater))
    for vote in votes:
        _check(fault(study, sent.study, vote))
    with _told():
        record(folder, study, votes)
    return JSONResponse({"kept": len(votes)}, headers=_FRESH)


async def _body(request: Request) -> Votes:
    """The request's votes; no more of it is read than may be sent."""
    data = bytearray()
    async for part in request.stream():
        data += part
        if len(data) > _LARGEST:
            raise HTTPException(413, f"a request may have {_LARGEST} bytes; send fewer votes at once")
    try:
        return Votes.model_validate(json.loads(data))
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        place = ".".join(map(str, first["loc"])) or "the body"
        raise HTTPException(422, f"{place}: {first['msg']}; see docs/evaluation-preference.md") from error
    except (ValueError, RecursionError) as error:
        raise HTTPException(422, "the body is no JSON; send the object of docs/evaluation-preference.md") from error


def _check(reason: str | None) -> None:
    if reason is not None:
        raise HTTPException(422, reason)


@contextmanager
def _told() -> Iterator[None]:
    """Our errors as answers: 409 for what the study lacks, 503 where the disk refuses."""
    try:
        yield
    except InKontextError as error:
        raise HTTPException(503 if error.exit_code == 3 else 409, str(error)) from error
