"""Systems behind HTTP, in the two dialects that image services speak: BFL's (submit, poll, fetch) and OpenAI's."""

from __future__ import annotations

import base64
import http.client
import json
import os
import time
import urllib.error
import urllib.request
import uuid
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

from inkontext.errors import OptionError, PictureError
from inkontext.evaluation.latency.inputs import EDIT, MAKE, input_png
from inkontext.evaluation.latency.run import Job, JobFailed, Part, Taken
from inkontext.safety.pictures import read_picture

DIALECTS: Final = ("bfl", "openai")
_SIZE: Final = 1024  # where the job names none
_TIMEOUT: Final = 600.0  # seconds for one picture
_MOST: Final = 256 * 2**20  # bytes of an answer
_FAILED: Final = ("error", "request moderated", "content moderated", "task not found")


def http_system(url: str, dialect: str, served: str | None) -> Bfl | OpenAi:
    """A server at `url`. `served`: the model to ask it for. The key comes from BFL_API_KEY or OPENAI_API_KEY.

    Raises:
        OptionError: no web address, or an unknown dialect.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise OptionError(f"'{url}' is no web address; give one such as http://localhost:8000")
    if dialect not in DIALECTS:
        raise OptionError(f"there is no dialect '{dialect}'; choose one of {', '.join(DIALECTS)}")
    return Bfl(url, served) if dialect == "bfl" else OpenAi(url, served)


class _Server:
    """What both have in common: nothing is known of the machine behind."""

    kind = "http"
    dialect = ""

    def __init__(self, url: str, served: str | None) -> None:
        parts = urlsplit(url)
        self.url, self.served = url.rstrip("/") + "/", served
        self.name = f"{parts.hostname}{f':{parts.port}' if parts.port else ''} ({self.dialect})"

    def start(self, job: Job) -> dict[str, float] | None:
        """A server's start cannot be seen from outside."""
        return None

    def identity(self) -> dict[str, Any]:
        return {"dialect": self.dialect, "model": {"name": self.served}}

    def floor(self, job: Job) -> dict[str, Part] | None:
        return None

    def rates(self) -> dict[str, float] | None:
        return None

    def close(self) -> None:
        return None


class Bfl(_Server):
    """POST a task, poll until it is ready, fetch the picture. Stages: `submit`, `wait`, `fetch`.

    The output's size is the server's choice, about a megapixel at BFL; the dialect cannot ask for one.
    """

    dialect = "bfl"

    def run(self, job: Job) -> Taken:
        size = job.size or _SIZE
        body: dict[str, Any] = {"prompt": EDIT if job.references else MAKE, "seed": 0, "output_format": "png"}
        for n in range(job.references):
            picture = base64.b64encode(input_png(size, n)).decode()
            body["input_image" if n == 0 else f"input_image_{n + 1}"] = picture
        if not job.references:
            body["aspect_ratio"] = "1:1"
        key = os.environ.get("BFL_API_KEY")
        headers = {"x-key": key} if key else {}
        started = time.perf_counter()
        data = json.dumps(body).encode()
        endpoint = urljoin(self.url, f"v1/{self.served or 'flux-kontext-pro'}")
        task = _json(_call(endpoint, data, headers | {"Content-Type": "application/json"}))
        poll = _text(task, "polling_url")
        submitted = time.perf_counter()
        sample = self._wait(urljoin(self.url, poll), headers, started)
        ready = time.perf_counter()
        picture = _call(urljoin(self.url, sample))
        done = time.perf_counter()
        stages = {"submit": submitted - started, "wait": ready - submitted, "fetch": done - ready}
        return Taken(done - started, stages, _size(picture))

    def _wait(self, url: str, headers: dict[str, str], started: float) -> str:
        """Poll at twentieths of the time so far, so that waiting for the next poll adds at most about 5 %."""
        while (spent := time.perf_counter() - started) < _TIMEOUT:
            said = _json(_call(url, None, headers))
            status = str(said.get("status", ""))
            if status.lower() == "ready":
                return _text(said.get("result"), "sample")
            if status.lower() in _FAILED:
                raise JobFailed(f"the server said '{status}'{_details(said.get('details'))}")
            time.sleep(min(1.0, max(0.02, spent / 20)))
        raise JobFailed(f"no picture after {_TIMEOUT:.0f} s")


class OpenAi(_Server):
    """One request, JSON for a new picture and a form for an edit. Stages: `request`, `fetch` (where it sends a URL)."""

    dialect = "openai"

    def run(self, job: Job) -> Taken:
        size = job.size or _SIZE
        fields = {"prompt": EDIT if job.references else MAKE, "size": f"{size}x{size}", "n": 1}
        fields |= {"model": self.served} if self.served else {}
        key = os.environ.get("OPENAI_API_KEY")
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        if job.references:
            pictures = [input_png(size, n) for n in range(job.references)]
            name = "image" if len(pictures) == 1 else "image[]"
            data, kind = form({k: str(v) for k, v in fields.items()}, name, pictures)
        else:
            data, kind = json.dumps(fields).encode(), "application/json"
        endpoint = urljoin(self.url, "v1/images/edits" if job.references else "v1/images/generations")
        started = time.perf_counter()
        said = _json(_call(endpoint, data, headers | {"Content-Type": kind}))
        answered = time.perf_counter()
        entries = said.get("data")
        entry = entries[0] if isinstance(entries, list) and entries and isinstance(entries[0], dict) else {}
        if isinstance(entry.get("b64_json"), str):
            picture = _decoded(entry["b64_json"])
        else:
            picture = _call(urljoin(self.url, _text(entry, "url")))
        done = time.perf_counter()
        stages = {"request": answered - started, "fetch": done - answered}
        return Taken(done - started, stages, _size(picture))


def form(fields: dict[str, str], name: str, pictures: list[bytes]) -> tuple[bytes, str]:
    """multipart/form-data of text fields and PNG pictures, and its content type."""
    mark = uuid.uuid4().hex
    parts = [f'Content-Disposition: form-data; name="{k}"\r\n\r\n{v}'.encode() for k, v in fields.items()]
    for n, picture in enumerate(pictures):
        head = f'Content-Disposition: form-data; name="{name}"; filename="{n}.png"\r\nContent-Type: image/png\r\n\r\n'
        parts.append(head.encode() + picture)
    body = b"".join(b"--" + mark.encode() + b"\r\n" + part + b"\r\n" for part in parts)
    return body + b"--" + mark.encode() + b"--\r\n", f"multipart/form-data; boundary={mark}"


def _call(url: str, data: bytes | None = None, headers: dict[str, str] | None = None) -> bytes:
    """The body of an answer. Raises JobFailed with what the server says, or why there is no answer."""
    if urlsplit(url).scheme not in ("http", "https"):
        raise JobFailed(f"the server names an address that is none of the web: '{url[:80]}'")
    request = urllib.request.Request(url, data, headers or {}, method="GET" if data is None else "POST")
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT) as answer:
            body = answer.read(_MOST + 1)
    except urllib.error.HTTPError as error:
        raise JobFailed(f"HTTP {error.code}{_details(_said(error.read(_MOST)))}") from error
    except (
        OSError,
        ValueError,
        http.client.HTTPException,
    ) as error:  # refused, timed out, broken off
        raise JobFailed(f"no answer from {urlsplit(url).netloc} ({getattr(error, 'reason', error)})") from error
    if len(body) > _MOST:
        raise JobFailed(f"the answer has more than {_MOST // 2**20} MiB")
    return body


def _said(body: bytes) -> Any:
    """The words of an error in either dialect."""
    try:
        said = json.loads(body)
    except ValueError:
        return None
    if not isinstance(said, dict):
        return None
    error = said.get("error")
    return error.get("message") if isinstance(error, dict) else said.get("detail") or said.get("message") or error


def _details(said: Any) -> str:
    text = said if isinstance(said, str) else json.dumps(said) if said else ""
    return f": {text[:200]}" if text else ""


def _json(body: bytes) -> dict[str, Any]:
    try:
        said = json.loads(body)
    except ValueError as error:
        raise JobFailed("the answer is no JSON; is this the right --url and --dialect?") from error
    if not isinstance(said, dict):
        raise JobFailed("the answer is no JSON object; is this the right --url and --dialect?")
    return said


def _text(said: Any, name: str) -> str:
    value = said.get(name) if isinstance(said, dict) else None
    if not isinstance(value, str):
        raise JobFailed(f"the answer has no '{name}'; is this the right --dialect?")
    return value


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError as error:
        raise JobFailed("the picture in the answer is not base64") from error


def _size(data: bytes) -> tuple[int, int]:
    try:
        return read_picture(data).size
    except PictureError as error:
        raise JobFailed(f"the answer is no picture ({error})") from error
