"""The run: which prompts, figures against numpy, what is missing, interruptions that change no byte, the page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from inkontext.errors import OptionError
from inkontext.evaluation.keyed import Given, noise_seed
from inkontext.evaluation.report import Table
from inkontext.evaluation.t2i.judges import FunctionJudge, Judge
from inkontext.evaluation.t2i.plan import Plan, Task, read_plan
from inkontext.evaluation.t2i.report import report_of
from inkontext.evaluation.t2i.run import Generator, evaluate
from inkontext.evaluation.world.systems import ModelSystem, NoPicture
from inkontext.pipeline import Pipeline
from inkontext.plugins import Plugin
from tests.evaluation.page import Links

PARTI = "Prompt\tCategory\tChallenge\tNote\n" + "".join(
    f"prompt {n} of animals\tAnimals\t{'Basic' if n % 2 else 'Complex'}\t\n" for n in range(6)
) + "a sign that says 'A'\tArts\tBasic\t\na vase\tArts\tQuantity\t\n"  # fmt: skip
FILES = ("settings.json", "results.json", "report.html")


class Plain:
    """A plain colour of the prompt's seed; dies after `life` pictures, refuses `refuses`."""

    is_timed = True

    def __init__(self, life: int = 10**6, refuses: str = "") -> None:
        self.left, self.refuses, self.made = life, refuses, 0
        self.identity: dict[str, Any] = {"kind": "model", "name": "plain", "steps": 4}

    def make(self, task: Task) -> Image.Image | NoPicture:
        if self.left == 0:
            raise KeyboardInterrupt
        self.left, self.made = self.left - 1, self.made + 1
        if task.key == self.refuses:
            return NoPicture("too long", refused=True)
        return Image.new("RGB", (16, 12), tuple(noise_seed(0, task.key).to_bytes(8, "big")[-3:]))


def redness(picture: Image.Image, prompt: str) -> float:
    return picture.getpixel((0, 0))[0] / 255  # type: ignore[index]


def moody(picture: Image.Image, prompt: str) -> float:
    if "3" in prompt:
        raise RuntimeError("not in the mood")
    return float(len(prompt))


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    (tmp_path / "P2.tsv").write_text(PARTI)
    return read_plan([tmp_path / "P2.tsv"])


@pytest.fixture
def judges() -> list[Judge]:
    return [FunctionJudge("redness", "aesthetics", Plugin(redness, {"function": "redness"})),
            FunctionJudge("moody", "prompt_following", Plugin(moody, {"function": "moody"}))]  # fmt: skip


def test_the_plan(tmp_path: Path) -> None:
    (tmp_path / "P2.tsv").write_text(PARTI)
    (tmp_path / "own.txt").write_text("a cat\na dog\n")
    both = read_plan([tmp_path / "P2.tsv", tmp_path / "own.txt", tmp_path / "own.txt"])
    assert both.sizes == {"PartiPrompts": 8, "own": 2, "own-2": 2}
    assert [task.key for task in both.tasks][::3] == ["partiprompts-0000", "partiprompts-0003", "partiprompts-0006",
                                                      "own-0001"]  # fmt: skip
    assert len({task.key for task in both.tasks}) == 12
    assert any("differs from the published PartiPrompts" in p.name for p in both.problems)
    some = read_plan([tmp_path / "P2.tsv"], limit=4)
    assert [task.category for task in some.tasks] == ["Animals"] * 3 + ["Arts"]
    assert set(some.tasks) < set(read_plan([tmp_path / "P2.tsv"], limit=6).tasks)
    assert read_plan([tmp_path / "own.txt"]).tasks[0].key == "0000"
    for files, limit, words in (([], None, "--prompts"), ([tmp_path / "own.txt"], 0, "limit is 0")):
        with pytest.raises(OptionError, match=words):
            read_plan(files, limit)


def test_figures_against_numpy(plan: Plan, judges: list[Judge], tmp_path: Path) -> None:
    body = evaluate(plan, Plain(), judges, out=tmp_path / "run").body
    assert json.loads((tmp_path / "run/results.json").read_text()) == json.loads(json.dumps(body))
    values = {task.key: Plain().make(task).getpixel((0, 0))[0] / 255 for task in plan.tasks}  # type: ignore[union-attr,index]
    cell = body["overall"]["judges"]["redness"]
    assert cell["n"] == 8 and cell["mean"] == pytest.approx(np.mean(list(values.values())), abs=1e-6)
    by = body["sets"]["PartiPrompts"]
    assert list(by["by_category"]) == ["Animals", "Arts"] and by["by_category"]["Animals"]["rows"] == 6
    assert set(by["by_challenge"]) == {"Basic", "Complex", "Quantity"}
    odd = [values[t.key] for t in plan.tasks if t.challenge == "Basic"]
    assert by["by_challenge"]["Basic"]["judges"]["redness"]["mean"] == pytest.approx(np.mean(odd), abs=1e-6)
    assert body["unanswered"]["realism"] == "no judge; --judge realism=FILE.py:FUNCTION"
    assert body["unanswered"]["aesthetics"] is None and "redness" in body["judges"]
    assert body["rows"][0]["noise_seed"] == noise_seed(0, "0000") and body["rows"][0]["size"] == [16, 12]
    assert str(tmp_path) not in json.dumps(body)


def test_a_judge_that_fails_is_named_and_the_run_goes_on(plan: Plan, judges: list[Judge]) -> None:
    body = evaluate(plan, Plain(refuses="0001"), judges).body
    cell = body["overall"]["judges"]["moody"]
    assert (cell["n"], cell["missing"]) == (6, 2)
    assert cell["reasons"] == {"refused by the model": 1, "the judge failed (RuntimeError)": 1}
    assert cell["mean"] == pytest.approx(np.mean([len(t.text) for n, t in enumerate(plan.tasks) if n not in (1, 3)]))
    named = [p for p in body["problems"] if p["kind"].startswith("judge")]
    assert named == [{"kind": "judge moody failed", "name": "0003", "detail": "RuntimeError: not in the mood"}]
    assert body["overall"]["judges"]["redness"]["n"] == 7 and body["overall"]["refused"] == 1


def test_a_question_without_a_judge_is_not_measured_and_not_zero(plan: Plan, judges: list[Judge]) -> None:
    result = evaluate(plan, Plain(), judges[:1])
    table = report_of(result.body, result.speed).sections[0]
    assert isinstance(table, Table)
    lines = {line[0]: line for line in table.rows}
    assert lines["realism"][1:] == ["not measured", None, None, None] == lines["typography"][1:]
    assert lines["aesthetics"][2] == 8 and lines["speed"][2] == 8 and result.speed is not None
    assert lines["speed"][3] == result.speed["median"] is not None
    assert any(note.startswith("realism: not measured (no judge") for note in table.notes)
    nothing = FunctionJudge("silent", "realism", Plugin(lambda picture, prompt: None, {}))
    table = report_of(evaluate(plan, Plain(), [nothing]).body).sections[0]
    assert isinstance(table, Table) and table.rows[2] == ["realism", "not measured", 0, None, None]
    assert any("silent has no score (the judge gave no score)" in note for note in table.notes)


@pytest.mark.parametrize("life", [0, 1, 5, 7])
def test_an_interruption_changes_no_byte(life: int, plan: Plan, judges: list[Judge], tmp_path: Path) -> None:
    plain, broken = tmp_path / "plain", tmp_path / "broken"
    evaluate(plan, Plain(), judges, out=plain)
    with pytest.raises(KeyboardInterrupt):
        evaluate(plan, Plain(life=life), judges, out=broken)
    assert not (broken / "results.json").exists() and not (broken / "report.html").exists()
    second = Plain()
    evaluate(plan, second, judges, out=broken)
    assert second.made == 8 - life
    for name in (*FILES, *(f"outputs/{task.key}.png" for task in plan.tasks)):
        assert (broken / name).read_bytes() == (plain / name).read_bytes(), name
    speed = json.loads((broken / "speed.json").read_text())
    assert speed["n"] == 8 and 0 <= speed["p10"] <= speed["median"] <= speed["p90"] and speed["steps"] == 4
    assert "seconds a picture" not in (plain / "report.html").read_text()


def test_other_settings_are_refused(plan: Plan, judges: list[Judge], tmp_path: Path) -> None:
    evaluate(plan, Plain(), judges, out=tmp_path / "run")
    with pytest.raises(OptionError, match="seed 0 there, 1 now"):
        evaluate(plan, Plain(), judges, seed=1, out=tmp_path / "run")
    with pytest.raises(OptionError, match=r"judges\.moody"):
        evaluate(plan, Plain(), judges[:1], out=tmp_path / "run")
    changed = FunctionJudge("moody", "prompt_following", Plugin(moody, {"function": "another"}))
    with pytest.raises(OptionError, match=r"judges\.moody\.function moody there, another now"):
        evaluate(plan, Plain(), [judges[0], changed], out=tmp_path / "run")


def test_pictures_of_another_system(plan: Plan, judges: list[Judge], tmp_path: Path) -> None:
    evaluate(plan, Plain(), judges, out=tmp_path / "run")
    pictures = tmp_path / "run/outputs"
    (pictures / "0000.png").unlink()
    (pictures / "0001.png").write_bytes(b"frog")
    Image.open(pictures / "0002.png").resize((20, 20)).save(pictures / "0002.png")
    result = evaluate(plan, Given(pictures), judges, out=tmp_path / "given")
    body = result.body
    named = {(p["kind"], p["name"]): p["detail"] for p in body["problems"] if not p["kind"].startswith("prompts")}
    assert set(named) == {("no picture", "0000"), ("no picture", "0001"), ("another size", "0002"),
                          ("judge moody failed", "0003")}  # fmt: skip
    assert named["another size", "0002"] == "20×20, most are 16×12" and "0001.png" in named["no picture", "0001"]
    assert result.speed is None and not (tmp_path / "given/speed.json").exists()
    assert str(tmp_path) not in json.dumps(body) and body["rows"][0]["noise_seed"] is None
    cell = body["overall"]["judges"]["redness"]
    assert cell["n"] == 6 and cell["reasons"] == {"no picture": 2}
    table = report_of(body).sections[0]
    assert isinstance(table, Table) and "speed: not measured (the pictures were given)" in table.notes
    Image.new("RGB", (8, 8)).save(tmp_path / "frog.png")
    with pytest.raises(OptionError, match=r"the first is 0000\.png"):
        evaluate(plan, Given(tmp_path), judges)


def test_the_page(plan: Plan, judges: list[Judge], tmp_path: Path) -> None:
    evaluate(plan, Plain(refuses="0002"), judges, out=tmp_path / "run")
    page = (tmp_path / "run/report.html").read_text()
    links = Links()
    links.feed(page)
    assert sorted(links.sources) == [f"outputs/{n:04d}.png" for n in (0, 1, 3, 4, 5, 6, 7)]
    assert all((tmp_path / "run" / source).is_file() for source in links.sources)
    assert page.count("<svg") == 2 * 3 and "PartiPrompts by challenge" in page and "not in the mood" in page
    assert str(tmp_path) not in page and "kept apart in speed.json" in page


def test_each_prompt_has_noise_of_its_own(pipeline: Pipeline) -> None:
    task = Task("k", "own", "a red cat", "", "")
    expected = pipeline.generate(task.text, seed=noise_seed(5, "k"), steps=1).images[0]
    made = Generator(ModelSystem(pipeline, steps=1), 5).make(task)
    assert isinstance(made, Image.Image) and made.tobytes() == expected.tobytes()
    wide = Generator(ModelSystem(pipeline, steps=1), 5, "48x32").make(task)
    assert isinstance(wide, Image.Image) and wide.size == (48, 32)
    refused = Generator(ModelSystem(pipeline, steps=1)).make(Task("k", "own", "word " * 300, "", ""))
    assert isinstance(refused, NoPicture) and refused.refused
