"""Cosines against numpy, what is missing, series over turns, and the page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from inkontext.errors import DataError, OptionError
from inkontext.evaluation.faces import AuraFace, Face
from inkontext.evaluation.identity.data import Collection, read_pairs, read_series
from inkontext.evaluation.identity.report import plots_of, report_of, write_report
from inkontext.evaluation.identity.run import FaceView, FunctionView, WholeView, evaluate
from inkontext.evaluation.report import Curves, Table
from inkontext.plugins import Plugin
from tests.evaluation.faces_fixture import smooth


class Colours:
    """The mean colour as a face; a green picture has none."""

    def __init__(self) -> None:
        self.identity: dict[str, Any] = {"model": "colours"}

    def available(self) -> str | None:
        return None

    def embed(self, picture: Image.Image) -> Face | None:
        mean = np.asarray(picture, dtype=float).mean(axis=(0, 1))
        return None if mean[1] > 250 else Face(mean / np.linalg.norm(mean), 1)


class Blunt:
    """The same colours without a bar, as a network of whole pictures."""

    identity: dict[str, Any] = {}  # noqa: RUF012

    def embed(self, picture: Image.Image) -> np.ndarray:
        mean = np.asarray(picture, dtype=float).mean(axis=(0, 1))
        return mean / np.linalg.norm(mean)


VIEWS = [FaceView(Colours()), WholeView("dino", Blunt())]


def plain(path: Path, *colour: int, size: tuple[int, int] = (20, 16)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)
    return path


def cosine(a: tuple[int, ...], b: tuple[int, ...]) -> float:
    return float(np.dot(a, b) / np.linalg.norm(a) / np.linalg.norm(b))


RED, PURPLE, BLUE, GREEN = (200, 0, 10), (150, 0, 150), (0, 10, 200), (0, 255, 0)


@pytest.fixture
def systems(tmp_path: Path) -> Path:
    """Two systems, three items, three edits in turn; one keeps the colour longer."""
    for name, late in (("slow", PURPLE), ("fast", BLUE)):
        for item in range(3):
            place = tmp_path / name / f"item-{item}"
            plain(place / "turn-0.png", *RED)
            plain(place / "turn-1.png", *RED)
            plain(place / "turn-2.png", 190, 5 * item, 20)
            plain(place / "turn-10.png", *late)
    return tmp_path


def test_pictures_against_numpy(tmp_path: Path) -> None:
    before, one, two = (plain(tmp_path / f"{n}.png", *c) for n, c in (("a", RED), ("b", PURPLE), ("c", GREEN)))
    body = evaluate(read_pairs([str(before), str(one), str(two)]), VIEWS)
    first, second = body["rows"]
    assert first["scores"]["face"] == pytest.approx(cosine(RED, PURPLE), abs=1e-6) == first["scores"]["dino"]
    assert second["scores"]["face"] is None and second["reasons"] == {"face": "no face in the edit"}
    assert second["scores"]["dino"] == pytest.approx(cosine(RED, GREEN), abs=1e-6)
    cell = body["systems"]["pictures"]["turns"]["1"]["scores"]["face"]
    assert (cell["n"], cell["missing"], cell["mean"]) == (1, 1, first["scores"]["face"])
    assert cell["reasons"] == {"no face in the edit": 1} and cell["interval"] is None
    assert second["evidence"]["face"] == {"before": {"faces": 1}, "after": {"faces": 0}}
    none = evaluate(read_pairs([str(two), str(one)]), VIEWS)["rows"][0]
    assert none["scores"]["face"] is None and none["reasons"] == dict.fromkeys(
        ("face", "face_or_0"), "no face in the first picture"
    )
    assert first["scores"]["face_or_0"] == first["scores"]["face"] and second["scores"]["face_or_0"] == 0.0
    assert cell["judged"] == 0.5 and first["judged"] == {"face": 1.0} and second["judged"] == {"face": 0.0}
    strict = body["systems"]["pictures"]["turns"]["1"]["scores"]["face_or_0"]
    assert strict["n"] == 2 and strict["mean"] == pytest.approx(cosine(RED, PURPLE) / 2, abs=1e-6)
    assert str(tmp_path) not in json.dumps(body)


def test_faces_go_through_the_networks(pack: Path, tmp_path: Path) -> None:
    pixels = smooth(300, 320)
    other = pixels.copy()
    other[20:, :, 0] //= 3
    for name, values in (("a", pixels), ("b", other)):
        Image.fromarray(values).save(tmp_path / f"{name}.png")
    plain(tmp_path / "c.png", 1, 2, 3)
    embedder = AuraFace(pack)
    sources = [str(tmp_path / f"{n}.png") for n in "abac"]
    row, same, none = evaluate(read_pairs(sources), [FaceView(embedder)])["rows"]
    a, b = embedder.embed(Image.fromarray(pixels)), embedder.embed(Image.fromarray(other))
    assert a is not None and b is not None
    assert row["scores"]["face"] == pytest.approx(float(np.dot(a.vector, b.vector)), abs=1e-6) and a.among == 3
    assert abs(row["scores"]["face"]) < 0.99 and same["scores"]["face"] == 1.0
    assert none["reasons"] == {"face": "no face in the edit"}


def test_series_give_a_curve_a_system_with_intervals_over_items(systems: Path) -> None:
    found = read_series([f"b={systems / 'slow'}", f"a={systems / 'fast'}"])
    assert [p.name for p in found.series[0].pictures] == [f"turn-{n}.png" for n in (0, 1, 2, 10)]
    body = evaluate(found, VIEWS)
    turns = body["systems"]["b"]["turns"]
    assert list(turns) == ["1", "2", "3"] and body["systems"]["a"]["items"] == 3
    assert turns["1"]["scores"]["face"]["mean"] == 1.0
    values = [cosine(RED, (190, 5 * item, 20)) for item in range(3)]
    second = turns["2"]["scores"]["face"]
    assert second["mean"] == pytest.approx(np.mean(values), abs=1e-6) and second["n"] == 3
    assert min(values) - 1e-6 <= second["interval"][0] < second["mean"] < second["interval"][1] <= max(values) + 1e-6
    assert turns["3"]["scores"]["face"]["mean"] > body["systems"]["a"]["turns"]["3"]["scores"]["face"]["mean"] + 0.3


def test_the_page(systems: Path) -> None:
    found = read_series([str(systems / "slow"), str(systems / "fast")])
    body = evaluate(found, VIEWS)
    pages = [write_report(body, found.series, systems / name) for name in ("one", "two")]
    page = pages[0].read_text()
    assert pages[1].read_text() == page and str(systems) not in page
    assert page.count("<svg") == 2 and page.count("<img") == 2 * 3 * 4
    assert (systems / "one/pictures/01-0002-03.png").is_file() and "item-2: face 1.000, " in page
    table = report_of(body).sections[0]
    assert isinstance(table, Table) and len(table.rows) == 2 * 3 * 3
    assert not any("different items" in note for note in table.notes)
    plain(systems / "slow/item-1/turn-10.png", *GREEN)
    (systems / "fast/item-0/turn-1.png").write_bytes(b"no picture")
    body = evaluate(found, VIEWS)
    page = write_report(body, found.series, systems / "three").read_text()
    assert "different items" in page and "missing 1: face: no face in the edit" in page
    assert "fast/item-0, turn 1" in page and page.count("<img") == 2 * 3 * 4 - 1
    cell = body["systems"]["fast"]["turns"]["1"]
    assert cell["no_picture"] == 1 and cell["scores"]["dino"]["reasons"] == {"no picture": 1}
    lines = next(s for s in plots_of(body) if isinstance(s, Curves)).lines
    assert [p.x for p in lines["slow"]] == [1, 2, 3] and lines["slow"][2].low is not None


def test_twin_folders(tmp_path: Path) -> None:
    for name, colour in (("a", RED), ("b", BLUE), ("c", RED)):
        plain(tmp_path / f"before/{name}.png", *colour)
    plain(tmp_path / "after/a.jpg", *RED, size=(40, 16))
    plain(tmp_path / "after/b.png", *BLUE)
    plain(tmp_path / "after/b.webp", *RED)
    plain(tmp_path / "after/z.png", *BLUE)
    body = evaluate(read_pairs([str(tmp_path / "before"), f"mine={tmp_path / 'after'}"]), VIEWS)
    rows = {row["key"]: row for row in body["rows"]}
    assert rows["b"]["scores"]["face"] == 1.0 and rows["a"]["scores"]["face"] == pytest.approx(1, abs=1e-3)
    assert rows["c"]["scores"]["face"] is None and "does not exist" in rows["c"]["missing"]
    assert rows["a"]["size"] == [40, 16] and rows["a"]["other_size_than"] == [20, 16]
    named = {(p["kind"], p["name"]) for p in body["problems"]}
    assert named == {
        ("duplicate key", "b.webp"), ("no twin", "z.png"), ("no picture", "mine/c, turn 1"),
        ("another size than the first picture", "mine/a, turn 1"),
    }  # fmt: skip
    assert body["systems"]["mine"]["turns"]["1"]["items"] == 3 and str(tmp_path) not in json.dumps(body)


def test_lines(tmp_path: Path) -> None:
    plain(tmp_path / "a.png", *RED), plain(tmp_path / "b.png", *PURPLE)
    lines = [
        {"before": "a.png", "after": "b.png", "key": "x", "system": "s", "mood": 3},
        {"before": "a.png", "after": "a.png", "key": "x", "system": "s"},
        {"before": "a.png", "after": "a.png", "key": "x", "system": "other"},
        {"pictures": ["a.png", "b.png", "gone.png"]},
        {"before": "a.png"}, {"pictures": ["a.png"]}, 3,
    ]  # fmt: skip
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)) + "\n{broken\n")
    found = read_pairs([str(path)])
    assert [(s.system, s.key, len(s.pictures)) for s in found.series] == [
        ("s", "x", 2), ("other", "x", 2), ("rows", "0004", 3)
    ]  # fmt: skip
    assert [(p.kind, p.name) for p in found.problems] == [
        ("duplicate key", "x"), ("bad line", "line 5"), ("bad line", "line 6"), ("bad line", "line 7"),
        ("bad line", "line 8"), ("unknown field", "mood"),
    ]  # fmt: skip
    body = evaluate(found, VIEWS)
    assert body["rows"][0]["scores"]["face"] == pytest.approx(cosine(RED, PURPLE), abs=1e-6)
    assert body["rows"][-1]["missing"] == "picture 'gone.png' does not exist; check the path"


def test_a_function_of_ones_own(tmp_path: Path) -> None:
    paths = [str(plain(tmp_path / f"{n}.png", *c)) for n, c in enumerate((RED, PURPLE, GREEN, BLUE, (0, 0, 0)))]

    def own(picture: Image.Image) -> list[float] | None:
        colour = np.asarray(picture)[0, 0].tolist()
        if tuple(colour) == BLUE:
            raise ZeroDivisionError("blue")
        return None if tuple(colour) == GREEN else colour

    body = evaluate(read_pairs(paths), [FunctionView(Plugin(own, {"function": "own"}))])
    assert body["rows"][0]["scores"]["own"] == pytest.approx(cosine(RED, PURPLE), abs=1e-6)
    assert [row["reasons"].get("own") for row in body["rows"][1:]] == [
        "the function saw nothing in the edit", "the function failed (ZeroDivisionError) in the edit",
        "the function's vector is zero or not finite in the edit",
    ]  # fmt: skip
    assert body["rows"][2]["evidence"]["own"]["after"] == {"error": "ZeroDivisionError: blue"}
    uneven = FunctionView(Plugin(lambda p: [1.0] * (1 + p.getpixel((0, 0))[0] // 100), {}))
    reasons = evaluate(read_pairs(paths[:2]), [uneven])["rows"][0]["reasons"]
    assert reasons == dict.fromkeys(("own", "own_or_0"), "the vectors differ in length")
    # An edit that shows nothing counts as 0; a function that fails is not the edit's doing.
    assert [row["scores"]["own_or_0"] for row in body["rows"][1:]] == [0.0, None, None]


def test_bad_input(tmp_path: Path) -> None:
    a = str(plain(tmp_path / "a/a.png", *RED))
    plain(tmp_path / "b/b.png", *RED)
    (tmp_path / "empty").mkdir()
    cases: list[tuple[Any, list[str], type[Exception], str]] = [
        (read_pairs, [a], OptionError, "needs two pictures"),
        (read_pairs, [a, str(tmp_path / "b")], OptionError, "is a folder"),
        (read_pairs, [a, str(tmp_path / "none.png")], OptionError, "does not exist"),
        (read_pairs, [str(tmp_path / "a"), str(tmp_path / "b")], DataError, "same names"),
        (read_pairs, [str(tmp_path / "empty"), str(tmp_path / "b")], DataError, "holds no picture"),
        (read_pairs, [str(tmp_path / "none.jsonl")], DataError, "cannot be read"),
        (read_series, [a], OptionError, "alone is no series"),
        (read_series, [str(tmp_path / "b")], DataError, "holds no series"),
        (read_series, [str(tmp_path / "none")], OptionError, "no folder"),
        (read_series, [f"x={tmp_path / 'a'}", f"x={tmp_path / 'b'}"], OptionError, "two systems are called 'x'"),
    ]
    for function, sources, error, words in cases:
        with pytest.raises(error, match=words):
            function(sources)

    class Absent(Colours):
        def available(self) -> str | None:
            return "insightface not installed"

    with pytest.raises(OptionError, match="insightface not installed"):
        evaluate(Collection(), [FaceView(Absent())])
    body = evaluate(read_pairs([a, a]), [FaceView(Absent()), VIEWS[1]])
    assert body["embedders"]["face"]["unavailable"] and list(body["rows"][0]["scores"]) == ["dino"]
