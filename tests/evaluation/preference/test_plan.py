"""Which pictures meet, and what a study's folder holds."""

from __future__ import annotations

import json
from collections import Counter
from html.parser import HTMLParser
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from inkontext.errors import DataError, OptionError
from inkontext.evaluation.preference.data import common_keys, read_prompts, read_systems
from inkontext.evaluation.preference.folder import Order, spoil, write_study
from inkontext.evaluation.preference.plan import Meeting, draw
from inkontext.evaluation.preference.study import DIMENSIONS, choose_dimensions, read_study

SECRET = "made by alpha"


def near(counts: list[int]) -> bool:
    return max(counts) - min(counts) <= 1


@settings(max_examples=150, deadline=None)
@given(
    systems=st.integers(2, 6), keys=st.integers(1, 25), share=st.sampled_from([0, 0.03, 0.1, 0.5]),
    per_pair=st.data(), seed=st.integers(0, 2**32),
)  # fmt: skip
def test_everything_is_balanced(systems: int, keys: int, share: float, per_pair: st.DataObject, seed: int) -> None:
    count = per_pair.draw(st.integers(1, keys))
    names, of = [f"s{i}" for i in range(systems)], [f"{i:04d}" for i in range(keys)]
    meetings = draw(names, of, count, share, seed)
    assert meetings == draw(names, of, count, share, seed)
    real, checks = [m for m in meetings if not m.answer], [m for m in meetings if m.answer]
    by_pair: dict[frozenset[str], list[Meeting]] = {frozenset(p): [] for p in combinations(names, 2)}
    for m in real:
        by_pair[frozenset((m.left, m.right))].append(m)
    for pair, met in by_pair.items():
        assert len(met) == count == len({m.key for m in met})
        assert near([sum(m.left == name for m in met) for name in pair])
    used = Counter(m.key for m in real)
    assert near([used[key] for key in of])
    for name in names:
        assert near([sum(m.left == name for m in real), sum(m.right == name for m in real)])
    blocks = {m.block for m in meetings}
    assert sorted(blocks) == list(range(max(1, len(checks))))
    assert [m.block for m in meetings] == sorted(m.block for m in meetings)
    for block in blocks if real else ():
        inside = Counter(frozenset((m.left, m.right)) for m in real if m.block == block)
        assert near([inside[pair] for pair in by_pair])
    assert len(checks) == (max(1, round(share * len(real))) if share else 0)
    assert near([sum(m.block == b for m in checks) for b in blocks])
    assert all(m.left == m.right for m in checks)
    assert near([sum(m.answer == side for m in checks) for side in ("left", "right")])


def picture(seed: int, size: tuple[int, int] = (40, 30)) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (*size[::-1], 3), dtype=np.uint8))


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """Two systems' pictures of six keys (one of the second is missing), and the requests in KontextBench's layout."""
    bench = tmp_path / "bench/test"
    (bench / "images").mkdir(parents=True)
    lines = []
    for n in range(6):
        picture(n).save(bench / f"images/{n}.jpg")
        category = "Text Editing" if n == 0 else "Instruction Editing - Local"
        row = {"file_name": f"images/{n}.jpg", "instruction": f"</script> edit {n}", "category": category}
        lines.append(json.dumps(row | {"key": f"{n:04d}"}))
    (bench / "metadata.jsonl").write_text("\n".join(lines))
    info = PngImagePlugin.PngInfo()
    info.add_text("Comment", SECRET)
    for s, name in enumerate(("alpha", "beta")):
        (tmp_path / name).mkdir()
        for n in range(6 - s):
            picture(100 * (s + 1) + n).save(tmp_path / name / f"{n:04d}.png", pnginfo=info)
    return tmp_path


def order(sources: Path, **more: object) -> Order:
    usual = {
        "systems": read_systems([f"alpha={sources / 'alpha'}", f"beta={sources / 'beta'}"]),
        "prompts": read_prompts(sources / "bench"), "dimensions": DIMENSIONS, "per_pair": None, "checks": 0.4,
        "seed": 3,
    }  # fmt: skip
    return Order(**(usual | more))  # type: ignore[arg-type]


class Page(HTMLParser):
    """What a page offers: elements by id, and every element's attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: dict[str | None, str] = {}
        self._script: str | None = ""
        self.feed(text)
        self.ids = {attributes["id"]: tag for tag, attributes in self.tags if "id" in attributes}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._script = dict(attrs).get("id", "code") if tag == "script" else ""

    def handle_data(self, data: str) -> None:
        if self._script:
            self.scripts[self._script] = self.scripts.get(self._script, "") + data


def test_the_folder_gives_nothing_away(sources: Path) -> None:
    study = write_study(sources / "study", order(sources))
    assert read_study(sources / "study") == study
    assert study.left_out == {"0005": "beta"} and len(study.compared) == 5 and len(study.trials) == 7
    page = (sources / "study/index.html").read_text()
    for word in ("alpha", "beta", '"answer"', '"0003"', SECRET):
        assert word not in page
    files = {p.name for p in (sources / "study/pictures").iterdir()}
    assert files == {
        Path(p).name for t in study.trials for p in (*t.pictures, *t.references)
    } and all(len(name) == 20 for name in files)  # fmt: skip
    trial = study.compared[0]
    shown, source = (sources / "study" / trial.pictures[0]), sources / trial.left / f"{trial.key}.png"
    assert np.array_equal(Image.open(shown), Image.open(source))
    assert Image.open(source).info == {"Comment": SECRET} and Image.open(shown).info == {}
    given_picture, input_picture = (
        np.asarray(Image.open(p), float)
        for p in (sources / "study" / trial.references[0], sources / f"bench/test/images/{int(trial.key)}.jpg")
    )
    assert np.abs(given_picture - input_picture).max() == 0


def test_the_page_knows_the_trials_and_can_be_used_without_seeing(sources: Path) -> None:
    study = write_study(sources / "study", order(sources, raters=("ann", "bob")))
    page = Page((sources / "study/index.html").read_text())
    known = json.loads(page.scripts["study"])
    assert known["study"] == study.id and known["questions"] == study.questions and known["raters"] == ["ann", "bob"]
    trials = [t for block in known["blocks"] for t in block]
    assert [t["id"] for t in trials] == [t.id for t in study.trials] and len(known["blocks"]) == 2
    assert trials[0].keys() == {"id", "instruction", "references", "left", "right", "dimensions"}
    assert trials[0]["instruction"].startswith("</script> edit")
    assert all(attributes.get("alt") is not None for tag, attributes in page.tags if tag == "img")
    for tag, wanted in {"progress": "aria-label", "section": ("aria-label", "aria-labelledby")}.items():
        names = (wanted,) if isinstance(wanted, str) else wanted
        assert all(any(n in a for n in names) for t, a in page.tags if t == tag)
    choices = {a["data-choice"]: a["aria-keyshortcuts"] for t, a in page.tags if "data-choice" in a}
    assert choices == {"left": "1", "tie": "0", "right": "2"}
    assert ("meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"}) in page.tags
    assert not any(a.get("src", a.get("href")) for t, a in page.tags)  # nothing from elsewhere
    used = {part.split('"')[0] for part in page.scripts["code"].split('$("')[1:]}
    assert used and used <= set(page.ids)


def test_questions_suit_their_requests(sources: Path, tmp_path: Path) -> None:
    study = write_study(sources / "study", order(sources))
    for trial in study.trials:
        expected = ["instruction", "consistency", "aesthetics"] + ["typography"] * (trial.key == "0000")
        assert list(trial.dimensions) == expected
    lines = [{"prompt": "a cat", "key": "0000"}, {"prompt": 'a sign that says "no"', "key": "0001"}]
    (tmp_path / "t2i.jsonl").write_text("\n".join(map(json.dumps, lines)))
    plain = write_study(sources / "plain", order(sources, prompts=read_prompts(tmp_path / "t2i.jsonl")))
    asked = {t.key: t.dimensions for t in plain.trials}
    assert asked["0000"] == ("instruction", "aesthetics", "realism") and "typography" in asked["0001"]
    unknown = write_study(sources / "unknown", order(sources, prompts=None))
    assert set(unknown.questions) == {"aesthetics", "realism"}


def test_same_order_same_bytes(sources: Path) -> None:
    for name in ("a", "b"):
        write_study(sources / name, order(sources))
    files = sorted(p.relative_to(sources / "a") for p in (sources / "a").rglob("*") if p.is_file())
    assert all((sources / "a" / f).read_bytes() == (sources / "b" / f).read_bytes() for f in files) and len(files) > 10


def test_a_spoilt_picture_is_plainly_worse_even_of_nothing() -> None:
    for image in (picture(1, (64, 48)), Image.new("RGB", (33, 70), "white"), Image.new("RGB", (3, 2), "red")):
        worse = spoil(image, 0)
        assert worse.size == image.size
        assert np.abs(np.asarray(worse, float) - np.asarray(image)).mean() > 20


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"per_pair": 6}, "ask for at most 5"), ({"per_pair": 0}, "at least 1"), ({"checks": 0.6}, "between 0 and 0.5"),
        ({"dimensions": choose_dimensions("realism")}, "none of the dimensions realism"),
    ],
)  # fmt: skip
def test_impossible_orders_leave_nothing(change: dict, words: str, sources: Path) -> None:
    before = sorted(p.name for p in sources.iterdir())
    with pytest.raises(OptionError, match=words):
        write_study(sources / "study", order(sources, **change))
    assert sorted(p.name for p in sources.iterdir()) == before


def test_a_broken_picture_leaves_nothing(sources: Path) -> None:
    (sources / "beta/0002.png").write_bytes(b"no picture")
    with pytest.raises(Exception, match=r"0002\.png"):
        write_study(sources / "study", order(sources))
    assert not (sources / "study").exists() and not list(sources.glob(".study*"))


def test_a_folder_with_something_in_it_is_left_alone(sources: Path) -> None:
    with pytest.raises(OptionError, match="holds something"):
        write_study(sources / "alpha", order(sources))


def test_systems_and_dimensions_that_are_none(sources: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for named, words in (
        (["alpha"], "write NAME=FOLDER"), ([f"a={sources / 'alpha'}"], "two systems or more"),
        ([f"a={sources / 'alpha'}"] * 2, "two systems are called 'a'"), (["a=nowhere", "b=x"], "no folder 'nowhere'"),
        ([f"a={tmp_path / 'empty'}"], "holds no picture"),
    ):  # fmt: skip
        with pytest.raises(OptionError, match=words):
            read_systems(named)
    for names in ("charm", "realism,realism", ","):
        with pytest.raises(OptionError, match="among instruction"):
            choose_dimensions(names)
    (tmp_path / "other").mkdir()
    picture(0).save(tmp_path / "other/zzz.png")
    with pytest.raises(DataError, match=r"KEY\.png"):
        common_keys(read_systems([f"a={sources / 'alpha'}", f"o={tmp_path / 'other'}"]), None)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[1]", "line 1 .* is no request"), ('{"prompt": "a", "file_name": "no.png"}', "there is no picture"),
        ('{"prompt": "a", "key": "x"}\n{"prompt": "b", "key": "x"}', "line 2 .* repeats the key 'x'"),
        ("\n", "no request"),
    ],
)  # fmt: skip
def test_requests_that_are_none(text: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(text)
    with pytest.raises(DataError, match=words):
        read_prompts(tmp_path / "a.jsonl")


def test_a_damaged_study_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        read_study(tmp_path)
    for text, words in (('{"version": 9}', "another version"), ('{"version": 1, "trials": [{}]}', "is damaged")):
        (tmp_path / "study.json").write_text(text)
        with pytest.raises(DataError, match=words):
            read_study(tmp_path)
