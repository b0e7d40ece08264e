"""Both dialects against a small server that speaks them, and every way in which one can fail."""

from __future__ import annotations

import base64
import email.policy
import io
import json
import threading
from collections.abc import Callable, Iterator
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pytest
from PIL import Image

from inkontext.errors import OptionError
from inkontext.evaluation.latency.http import form, http_system
from inkontext.evaluation.latency.inputs import input_picture, input_png
from inkontext.evaluation.latency.run import Job, JobFailed, measure

Answer = tuple[int, Any]


class Server:
    """Answers by path; `replies[path]` is (status, body) or a function of the request's body."""

    def __init__(self) -> None:
        self.replies: dict[str, Answer | Callable[[bytes], Answer]] = {}
        self.requests: list[tuple[str, str, dict[str, str], bytes]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.reply(b"")

            def do_POST(self) -> None:
                self.reply(self.rfile.read(int(self.headers["Content-Length"])))

            def reply(self, body: bytes) -> None:
                headers = {k.lower(): v for k, v in self.headers.items()}
                outer.requests.append((self.command, self.path, headers, body))
                known = outer.replies.get(self.path, (404, {"detail": "Not Found"}))
                status, said = known(body) if callable(known) else known
                data = said if isinstance(said, bytes) else json.dumps(said).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    for name in ("BFL_API_KEY", "OPENAI_API_KEY", "http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    made = Server()
    yield made
    made.server.shutdown()
    made.server.server_close()


def speak_bfl(server: Server, pending: int = 2) -> None:
    left = [pending]

    def poll(_: bytes) -> Answer:
        left[0] -= 1
        if left[0] >= 0:
            return 200, {"id": "7", "status": "Pending" if left[0] else "Reasoning", "result": None}
        return 200, {"id": "7", "status": "Ready", "result": {"sample": f"{server.url}/sample.png", "seed": 0}}

    server.replies["/v1/flux-kontext-pro"] = (200, {"id": "7", "polling_url": f"{server.url}/v1/get_result?id=7"})
    server.replies["/v1/get_result?id=7"] = poll
    server.replies["/sample.png"] = (200, input_png(48, 5))


def speak_openai(server: Server) -> None:
    entry = {"b64_json": base64.b64encode(input_png(64, 3)).decode()}
    server.replies["/v1/images/generations"] = (200, {"created": 1, "data": [entry]})
    server.replies["/v1/images/edits"] = (200, {"created": 1, "data": [{"url": "/made.png"}]})
    server.replies["/made.png"] = (200, input_png(32, 4))


def test_bfl(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BFL_API_KEY", "open sesame")
    speak_bfl(server)
    taken = http_system(server.url, "bfl", None).run(Job(64, 2))
    assert taken.size == (48, 48) and taken.steps is None
    assert set(taken.stages) == {"submit", "wait", "fetch"}
    assert sum(taken.stages.values()) == pytest.approx(taken.seconds, abs=1e-9)
    assert [(method, path) for method, path, _, _ in server.requests] == [
        ("POST", "/v1/flux-kontext-pro"), *[("GET", "/v1/get_result?id=7")] * 3, ("GET", "/sample.png"),
    ]  # fmt: skip
    keys = [headers.get("x-key") for _, _, headers, _ in server.requests]
    assert keys == ["open sesame"] * 4 + [None]
    body = json.loads(server.requests[0][3])
    assert body["prompt"] and {"input_image", "input_image_2"} <= set(body) and "aspect_ratio" not in body
    sent = Image.open(io.BytesIO(base64.b64decode(body["input_image_2"])))
    assert np.array_equal(sent, input_picture(64, 1))
    speak_bfl(server, pending=0)
    server.replies["/v1/flux-kontext-max"] = server.replies["/v1/flux-kontext-pro"]
    http_system(server.url + "/", "bfl", "flux-kontext-max").run(Job(None, 0))
    path, body = server.requests[-3][1], json.loads(server.requests[-3][3])
    assert path == "/v1/flux-kontext-max" and body["aspect_ratio"] == "1:1" and "input_image" not in body


def parts(headers: dict[str, str], body: bytes) -> list[tuple[str, bytes]]:
    """Names and contents of a form, read by the standard library's own parser."""
    head = f"Content-Type: {headers['content-type']}\r\n\r\n".encode()
    message = BytesParser(policy=email.policy.HTTP).parsebytes(head + body)
    found = []
    for part in message.iter_parts():
        content = part.get_payload(decode=True)
        assert isinstance(content, bytes)
        found.append((str(part.get_param("name", header="content-disposition")), content))
    return found


def test_openai(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sesame")
    speak_openai(server)
    system = http_system(server.url, "openai", "kontext")
    assert system.run(Job(64, 0)).size == (64, 64)
    sent = json.loads(server.requests[0][3])
    assert sent["size"] == "64x64" and sent["model"] == "kontext" and sent["n"] == 1
    assert server.requests[0][2]["authorization"] == "Bearer sesame"
    taken = system.run(Job(32, 2))
    assert taken.size == (32, 32) and set(taken.stages) == {"request", "fetch"}
    _, path, headers, body = server.requests[1]
    told = parts(headers, body)
    assert path == "/v1/images/edits" and [name for name, _ in told].count("image[]") == 2
    assert dict(told)["size"] == b"32x32" and told[-1][1] == input_png(32, 1)
    system.run(Job(32, 1))
    assert "image" in dict(parts(*server.requests[-2][2:]))
    assert "authorization" not in server.requests[-1][2]


def test_a_form_holds_any_bytes() -> None:
    body, kind = form({"prompt": "hé"}, "image", [b"\r\n--x\r\n\x00", b""])
    told = parts({"content-type": kind}, body)
    assert told == [("prompt", "hé".encode()), ("image", b"\r\n--x\r\n\x00"), ("image", b"")]


@pytest.mark.parametrize(
    ("dialect", "path", "said", "words"),
    [
        ("bfl", "/v1/flux-kontext-pro", (402, {"detail": "no credits"}), "HTTP 402: no credits"),
        ("bfl", "/v1/flux-kontext-pro", (422, {"detail": [{"msg": "bad"}]}), 'HTTP 422: .*"msg": "bad"'),
        ("bfl", "/v1/flux-kontext-pro", (200, {"id": "7"}), "no 'polling_url'"),
        ("bfl", "/v1/flux-kontext-pro", (200, {"polling_url": "file:///etc/passwd"}), "none of the web"),
        ("bfl", "/v1/flux-kontext-pro", (200, b"<html>"), "no JSON"),
        ("bfl", "/v1/flux-kontext-pro", (200, []), "no JSON object"),
        ("bfl", "/v1/get_result?id=7", (200, {"status": "Error", "details": {"why": "x"}}), "'Error': .*why"),
        ("bfl", "/v1/get_result?id=7", (200, {"status": "Ready", "result": None}), "no 'sample'"),
        ("bfl", "/sample.png", (200, b"no picture"), "is no picture"),
        ("bfl", "/sample.png", (403, b"gone"), "HTTP 403"),
        ("openai", "/v1/images/generations", (400, {"error": {"message": "bad size"}}), "HTTP 400: bad size"),
        ("openai", "/v1/images/generations", (200, {"data": []}), "no 'url'"),
        ("openai", "/v1/images/generations", (200, {"data": [{"b64_json": "?"}]}), "not base64"),
        ("openai", "/v1/images/generations", (200, {"data": [{"url": "ftp://x/y"}]}), "none of the web"),
    ],
)  # fmt: skip
def test_failures_say_why(dialect: str, path: str, said: Answer, words: str, server: Server) -> None:
    speak_bfl(server, pending=0)
    speak_openai(server)
    server.replies[path] = said
    with pytest.raises(JobFailed, match=words):
        http_system(server.url, dialect, None).run(Job(64, 0))


def test_one_server_fails_and_the_other_is_measured(server: Server) -> None:
    speak_bfl(server, pending=1)
    good, bad = http_system(server.url, "bfl", None), http_system("http://127.0.0.1:9", "openai", None)
    server.replies["/v1/get_result?id=7"] = (
        200, {"status": "Ready", "result": {"sample": f"{server.url}/sample.png"}},
    )  # fmt: skip
    body = measure([bad, good], [Job(64, 1)], 2, {})
    figures = body["systems"][good.name]["jobs"]["edit, 64 px"]
    assert len(figures["runs"]) == 2 and figures["size"] == [48, 48] and figures["floor"] is None
    assert body["systems"][good.name]["cold"] is None and body["rates"] is None
    assert "no answer from 127.0.0.1:9" in body["systems"][bad.name]["jobs"]["edit, 64 px"]["failed"]


@pytest.mark.parametrize(("url", "dialect"), [("file:///etc", "bfl"), ("localhost", "bfl"), ("http://x", "soap")])
def test_addresses_and_dialects_that_are_none(url: str, dialect: str) -> None:
    with pytest.raises(OptionError):
        http_system(url, dialect, None)
