"""No verb decodes a file twice: what was checked before the model loads is what the model is given."""

from __future__ import annotations

from collections import Counter
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from inkontext import loading
from inkontext.evaluation.world import systems
from inkontext.pipeline import Pipeline
from inkontext.safety import pictures
from inkontext.server.ui.desk import Desk, Wish
from inkontext.weights import source
from tests.cli.conftest import Cli
from tests.session.painter import Painter, painter, start


@pytest.fixture
def decoded(here: Path, monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each file was decoded, by its name; of a session's pictures, by their turn's."""
    seen: Counter[str] = Counter()
    plain = pictures._load

    def load(image: Image.Image, name: str, most: int | None) -> Image.Image:
        if name.startswith("picture '"):
            path = Path(name.removeprefix("picture '").removesuffix("'"))
            seen[path.parent.name if path.name == "picture.png" else path.name] += 1
        return plain(image, name, most)

    monkeypatch.setattr(pictures, "_load", load)
    return seen


@pytest.fixture
def files(here: Path) -> None:
    """A reference, and masks of both sizes that the tests edit."""
    Image.new("RGB", (40, 40), "blue").save(here / "ref.png")
    for name, size in (("mask.png", (96, 64)), ("small-mask.png", start().size)):
        mask = Image.new("L", size, 0)
        mask.paste(255, (8, 8, 24, 24))
        mask.save(here / name)


@pytest.mark.parametrize("fit", ["pad", "stretch"])
@pytest.mark.usefixtures("files")
def test_an_edit(cli: Cli, picture: Path, debug_folder: Path, decoded: Counter[str], fit: str) -> None:
    common = ("edit", picture, "redder", "-m", debug_folder, "--steps", 1, "--fit", fit)
    assert cli(*common, "--ref", "ref.png", "--mask", "mask.png", "-n", 2).code == 0
    assert decoded == {"photo.png": 1, "ref.png": 1, "mask.png": 1}


@pytest.mark.usefixtures("files")
def test_an_edit_with_candidates_as_the_reference_does_it(
    cli: Cli, picture: Path, debug_folder: Path, decoded: Counter[str], pipeline: Pipeline
) -> None:
    common = ("edit", picture, "redder", "-m", debug_folder, "--steps", 1, "--fit", "reference")
    assert cli(*common, "--ref", "ref.png", "--candidates", 3, "-o", "a.png").code == 0
    assert decoded == {"photo.png": 1, "ref.png": 1}
    made = [pipeline.edit(picture, "redder", references=["ref.png"], steps=1, fit="reference", seed=seed).images[0]
            for seed in range(3)]  # fmt: skip
    assert Image.open("a.png").tobytes() in [image.tobytes() for image in made]


@pytest.mark.usefixtures("files", "painted")
def test_a_session(cli: Cli, here: Path, decoded: Counter[str]) -> None:
    assert cli("session", "new", "t", "first.png").code == 0
    assert decoded == {"first.png": 1}
    decoded.clear()
    done = cli("session", "edit", "t", "redder", "--ref", "ref.png", "--mask", "small-mask.png", "--json", "a.json")
    assert done.code == 0
    assert decoded == {"ref.png": 1, "small-mask.png": 1, "0000": 1, "0001": 1}  # the new one for its record
    decoded.clear()
    assert cli("session", "replay", "t", "u", "--picture", "first.png").code == 0
    assert decoded["first.png"] == 1


@pytest.mark.usefixtures("painted")
def test_a_session_is_held_while_the_model_loads(
    cli: Cli, here: Path, painted: Painter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was checked of the session is still so when the edit begins."""

    def load(*model: Any) -> Painter:
        told.append(cli("session", "undo", "s").complaint)
        return painted

    told: list[str] = []
    monkeypatch.setattr("inkontext.cli.options.load", load)
    assert cli("session", "edit", "s", "redder").code == 0
    assert "is open elsewhere" in told[0]


@pytest.mark.usefixtures("painted")
def test_a_chat(cli: Cli, decoded: Counter[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin.readline", lambda: "")
    assert cli("chat", "first.png", "--session", "t").code == 0
    assert decoded == {"first.png": 1}


@pytest.mark.usefixtures("files")
def test_the_page(here: Path, decoded: Counter[str], pipeline: Pipeline, photo: Image.Image) -> None:
    from inkontext.roles import Reference

    photo.save(here / "photo.png")
    desk = Desk(pipeline, here / "sessions")
    name = desk.begin(here / "photo.png")
    assert decoded == {"photo.png": 1}
    decoded.clear()
    job = desk.edit(name, Wish(prompt="redder", seed=1, steps=1, references=[Reference("ref.png")]))
    job.join(60)
    assert job.standing.phase == "done", job.standing.told
    assert decoded["ref.png"] == 1
    assert decoded["0000"] == 1
    desk.close()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", ["JPEG", "WEBP", "PNG"])
def test_a_picture_that_is_upright_is_not_turned_again(orientation: int, form: str, here: Path) -> None:
    """A portrait of a phone was turned by `session new` a second time when the model encoded it."""
    from inkontext.session.session import first_picture

    exif = Image.Exif()
    exif[0x0112] = orientation
    plain = Image.new("RGB", (24, 16), "red")
    plain.paste("blue", (0, 0, 4, 4))
    plain.save(here / "a.bin", form, exif=exif)
    once = pictures.read_picture(here / "a.bin").rgb
    assert once.size == ((24, 16) if orientation < 5 else (16, 24))
    assert pictures.read_picture(once).rgb.tobytes() == once.tobytes()
    assert first_picture(first_picture(here / "a.bin")).tobytes() == first_picture(here / "a.bin").tobytes()
    assert painter().encode(first_picture(here / "a.bin"))[1].source == once.size


@pytest.mark.parametrize(
    "arguments",
    [("--steps", 1), ("--baseline", "autoencoder"), ("--baseline", "copy"), ("--size", 64, "--steps", 1)],
    ids=lambda arguments: " ".join(map(str, arguments)),
)
def test_a_benchmark_of_the_world(
    cli: Cli, here: Path, debug_folder: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[Any, ...]
) -> None:
    counts = _counted(monkeypatch, "inkontext.evaluation.world.plan:Plan")
    done = cli("eval", "world", "-m", debug_folder, "--limit", 1, "--tasks", "local", *arguments, "--json", "a.json")
    assert done.code == 0
    assert counts == {"Plan": 1, "resolve": 1}


def test_a_benchmark_of_drift(
    cli: Cli, here: Path, debug_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    counts = _counted(monkeypatch, "inkontext.evaluation.drift.run:Plan")
    done = cli("eval", "drift", "-m", debug_folder, "--limit", 1, "--turns", 1, "--steps", 1, "--json", "a.json")
    assert done.code == 0
    assert counts == {"Plan": 1, "resolve": 1}


def _counted(monkeypatch: pytest.MonkeyPatch, plan: str) -> Counter[str]:
    """How often a plan was built and a model's name resolved, wherever that was imported."""
    counts: Counter[str] = Counter()
    module, _, name = plan.partition(":")
    built = getattr(import_module(module), name)
    before, plain = built.__post_init__, source.resolve

    def post_init(self: Any) -> None:
        counts[name] += 1
        before(self)

    def resolve(*given: Any) -> source.Source:
        counts["resolve"] += 1
        return plain(*given)

    monkeypatch.setattr(built, "__post_init__", post_init)
    for place in (source, loading, systems):
        monkeypatch.setattr(place, "resolve", resolve)
    return counts
