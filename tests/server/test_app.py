"""The application without a browser: health, pictures, headers, and what the page's HTML asks for."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from inkontext import __version__
from inkontext.pipeline import Pipeline
from inkontext.server.app import create_app
from inkontext.session import Session
from tests.server.conftest import KEY, make_study


@pytest.fixture(scope="module")
def sessions(pipeline: Pipeline, photo: Image.Image, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("app") / "sessions"
    with Session.new(folder / "photo", photo.resize((300, 200)), pipeline):
        pass
    return folder


@pytest.fixture(scope="module")
def client(pipeline: Pipeline, sessions: Path) -> Iterator[TestClient]:
    with TestClient(create_app(pipeline, sessions)) as made:
        yield made


def test_health_names_the_model(client: TestClient, pipeline: Pipeline) -> None:
    body = client.get("/health").json()
    assert body == {"status": "ok", "version": __version__, "model": pipeline.model}


def test_a_turns_picture_is_its_file(client: TestClient, sessions: Path) -> None:
    answer = client.get("/pictures/photo/0.png")
    assert answer.content == (sessions / "photo/turns/0000/picture.png").read_bytes()
    assert 'filename="photo-0.png"' in answer.headers["content-disposition"]


def test_small_pictures_are_reduced_and_large_ones_are_exact(client: TestClient, sessions: Path) -> None:
    small = Image.open(io.BytesIO(client.get("/pictures/photo/0.webp?side=64").content))
    assert small.size == (64, 43)
    whole = Image.open(io.BytesIO(client.get("/pictures/photo/0.webp").content)).convert("RGB")
    with Image.open(sessions / "photo/turns/0000/picture.png") as kept:
        assert whole.tobytes() == kept.convert("RGB").tobytes()


@pytest.mark.parametrize(
    "path", ["absent/0.png", "photo/1.png", "photo/-1.png", "..%2Fphoto/0.png", "%2e%2e/0.webp", ".hidden/0.webp"]
)
def test_pictures_that_are_not_there(client: TestClient, path: str) -> None:
    assert client.get(f"/pictures/{path}").status_code == 404


def test_a_story_is_a_zip_file_and_a_refusal_a_sentence(client: TestClient, sessions: Path) -> None:
    answer = client.get("/pictures/photo/0.zip")
    assert 'filename="photo.zip"' in answer.headers["content-disposition"]
    with zipfile.ZipFile(io.BytesIO(answer.content)) as file:
        assert file.namelist() == ["photo/0000.png", "photo/story.json"]
    with Session.open(sessions / "photo"):
        answer = client.get("/pictures/photo/0.zip")
    assert answer.status_code == 409
    assert "open elsewhere" in answer.json()["detail"]
    assert client.get("/pictures/absent/0.zip").status_code == 409


def test_the_size_of_a_small_picture_is_bounded(client: TestClient) -> None:
    assert client.get("/pictures/photo/0.webp?side=100000").status_code == 422


def test_every_answer_carries_the_policy(client: TestClient) -> None:
    for path in ("/", "/health", "/pictures/photo/0.png", "/absent"):
        headers = client.get(path).headers
        assert "default-src 'self'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"


def test_the_pages_html_loads_nothing_from_elsewhere(client: TestClient) -> None:
    html = client.get("/").text
    loaded = re.findall(r"<(?:script|link|img|iframe)[^>]*?(?:src|href)=[\"'](https?:)?//([^\"'/]+)", html)
    assert {host for _, host in loaded} <= {"testserver"}


def test_a_study_is_voted_on_beside_the_page(pipeline: Pipeline, tmp_path: Path) -> None:
    make_study(tmp_path)
    with TestClient(create_app(pipeline, tmp_path / "sessions", study=(tmp_path / "study", KEY))) as client:
        assert "<html" in client.get("/preference/").text
        assert client.get("/preference/next", params={"rater": "ada"}).status_code == 200
        assert client.get("/preference/results", params={"key": "wrong"}).status_code == 403
        assert client.get("/health").json()["status"] == "ok"
