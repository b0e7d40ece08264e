"""Every key of a configuration is fixed, free, or counts from the step at which a run goes on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.training.conftest import CONFIGS, Make

from inkontext.errors import OptionError, RunError
from inkontext.training import checkpoint
from inkontext.training.config import RunConfig, _keys, filled, load_config, resolved
from inkontext.training.loop import train
from inkontext.training.resume import FIXED, FREE, FROM_HERE, RULES, agree, changes, rule

QUIET = ("batch=2", "validate_every=1000", "sample_every=1000")
DOCS = Path(__file__).parents[2] / "docs/training.md"
FIXED_CASES = [
    ("t2i", "model.preset=tiny"), ("t2i", "model.start=elsewhere"), ("t2i", "model.train_text=false"),
    ("t2i", "model.text_length=8"), ("t2i", "optimiser.kind=muon"), ("t2i", "optimiser.ema=0.5"),
    ("t2i", "optimiser.ema=0"), ("autoencoder", "autoencoder.decoder_only=true"), ("ladd", "ladd.steps=8"),
    ("ladd", "ladd.teacher=elsewhere"), ("ladd", "ladd.head_width=32"), ("context-cache", "context_cache.time=0.5"),
]  # fmt: skip
FREE_CASES = [
    ("t2i", "device=cpu"), ("t2i", "threads=2"), ("t2i", "compile=true"), ("t2i", "checkpoint_every=1"),
    ("t2i", "keep=9"), ("t2i", "log_every=1"), ("t2i", "validate_every=3"), ("t2i", "sample_every=3"),
    ("t2i", "minutes=9"), ("t2i", "wandb=project"), ("t2i", "data.workers=2"), ("t2i", "flow.validation_rows=8"),
    ("ladd", "ladd.watch_every=3"), ("ladd", "ladd.watch_rows=1"), ("ladd", "ladd.least_loss=0.5"),
    ("ladd", "ladd.least_diversity=0.5"),
]  # fmt: skip
FROM_HERE_CASES = [
    ("t2i", "steps=99"), ("t2i", "batch=3"), ("t2i", "dtype=bfloat16"), ("t2i", "data.size=128"),
    ("t2i", "optimiser.lr=0.5"), ("t2i", "optimiser.warmup=1"), ("t2i", "optimiser.schedule=constant"),
    ("t2i", "flow.mu=0.5"), ("ladd", "ladd.r1=0.5"), ("guidance", "guidance.default=2.0"),
    ("context-cache", "context_cache.flow=0.5"), ("autoencoder", "autoencoder.kl=0.5"),
]  # fmt: skip


@pytest.fixture
def begun(tmp_path: Path) -> Any:
    """`begun("t2i")` -> a folder as a run at step 4 of 24 leaves it, without its tensors."""

    def make(name: str) -> Path:
        folder = tmp_path / "run"
        config = load_config(CONFIGS / f"{name}.toml", [f"run_dir={folder}"])
        (folder / "step-000004").mkdir(parents=True)
        state = {"step": 4, "stage": config.stage, "seed": config.seed}
        (folder / "step-000004/state.json").write_text(json.dumps(state))
        (folder / "config.json").write_text(resolved(config))
        return folder

    return make


def again(folder: Path, name: str, *overrides: str) -> RunConfig:
    return load_config(CONFIGS / f"{name}.toml", [f"run_dir={folder}", *overrides])


def key_of(override: str) -> str:
    return override.partition("=")[0]


@pytest.mark.parametrize(("name", "override"), FIXED_CASES)
def test_a_fixed_key_is_named(begun: Any, name: str, override: str) -> None:
    folder, (key, _, value) = begun(name), override.partition("=")
    assert rule(key) == FIXED
    with pytest.raises(RunError, match=rf"cannot go on with {key} = {value}(\.0)? \(was .*\); put it back") as told:
        agree(folder, again(folder, name, override))
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(("name", "override"), FREE_CASES)
def test_a_free_key_is_no_matter(begun: Any, name: str, override: str) -> None:
    folder = begun(name)
    assert rule(key_of(override)) == FREE
    assert agree(folder, again(folder, name, override)) == (4, [])


@pytest.mark.parametrize(("name", "override"), FROM_HERE_CASES)
def test_other_keys_count_from_here(begun: Any, name: str, override: str) -> None:
    folder, (key, _, value) = begun(name), override.partition("=")
    assert rule(key) == FROM_HERE
    step, (change,) = agree(folder, again(folder, name, override))
    assert (step, change.key) == (4, key) and str(change).startswith(f"{key} = {value} (was ")


def test_stage_and_seed_tell_of_another_run(begun: Any) -> None:
    folder = begun("t2i")
    for name, override in (("kontext", "seed=0"), ("t2i", "seed=5")):
        with pytest.raises(RunError, match="holds a run of stage 't2i' with seed 0; choose another run_dir"):
            agree(folder, again(folder, name, override))


def test_sources_are_compared_one_by_one(begun: Any) -> None:
    folder = begun("t2i")
    more = 'data.sources=[{kind="world", weight=2.0}, {kind="pairs", path="x"}]'
    _, found = agree(folder, again(folder, "t2i", more))
    told = {change.key: (change.was, change.now) for change in found}
    assert told["data.sources.0.weight"] == (1.0, 2.0) and told["data.sources.1.path"] == (None, "x")


def test_a_table_that_is_absent_has_its_defaults(begun: Any) -> None:
    folder = begun("t2i")
    there = json.loads((folder / "config.json").read_text())
    assert changes(there | {"flow": None}, there | {"flow": filled(there)["flow"] | {"validation_rows": 64}}) == []


def test_keys_of_another_version_are_no_change(begun: Any) -> None:
    folder = begun("t2i")
    there = json.loads((folder / "config.json").read_text())
    del there["optimiser"]["clip"], there["compile"]
    (folder / "config.json").write_text(json.dumps(there | {"retired": 3}))
    assert agree(folder, again(folder, "t2i")) == (4, [])


def test_a_run_past_its_steps_says_so(begun: Any) -> None:
    folder = begun("t2i")
    with pytest.raises(RunError, match=r"is at step 4, past steps = 2; ask for more steps, or choose another run_dir"):
        agree(folder, again(folder, "t2i", "steps=2"))


def test_a_run_that_has_done_its_steps_learns_nothing_of_a_new_key(begun: Any) -> None:
    folder = begun("t2i")
    assert agree(folder, again(folder, "t2i", "steps=4"))[0] == 4
    with pytest.raises(RunError, match=r"has done its 4 steps, so that nothing would be learnt with optimiser\.lr = 1"):
        agree(folder, again(folder, "t2i", "steps=4", "optimiser.lr=1"))


def test_without_its_configuration_stage_and_seed_are_compared(begun: Any) -> None:
    folder = begun("t2i")
    (folder / "config.json").unlink()
    assert agree(folder, again(folder, "t2i", "optimiser.kind=muon")) == (4, [])
    with pytest.raises(RunError, match="with seed 0"):
        agree(folder, again(folder, "t2i", "seed=1"))


@pytest.mark.parametrize("name", ["config.json", "step-000004/state.json"])
def test_what_is_damaged_is_named(begun: Any, name: str) -> None:
    folder = begun("t2i")
    (folder / name).write_text('{"stage"')
    with pytest.raises(RunError, match="is damaged"):
        agree(folder, again(folder, "t2i"))


def test_every_rule_is_of_a_key_and_in_the_documentation() -> None:
    keys = set(_keys(RunConfig))
    text = DOCS.read_text(encoding="utf-8")
    for name, kind in RULES.items():
        assert name in keys and kind in (FIXED, FREE)
        assert f"`{name}`" in text or f"`{name}.*`" in text, name


def test_going_on_with_another_optimiser_is_one_sentence(make: Make) -> None:
    train(*make("t2i", "run_dir=run", "steps=2", "optimiser.ema=0", *QUIET))
    for override, told in (("optimiser.kind=muon", "muon (was adamw)"), ("optimiser.ema=0.9", r"0.9 (was 0.0)")):
        with pytest.raises(RunError) as refused:
            train(*make("t2i", "run_dir=run", "steps=4", "optimiser.ema=0", override, *QUIET))
        assert f"{override.partition('=')[0]} = {told}" in str(refused.value)
    assert checkpoint.steps_in(Path("run")) == [2]


def test_what_counts_from_here_is_said_and_what_is_done_too(make: Make, capfd: pytest.CaptureFixture[str]) -> None:
    same = ("run_dir=run", "optimiser.schedule=constant", *QUIET)
    train(*make("t2i", *same, "steps=2"))
    capfd.readouterr()
    train(*make("t2i", *same, "steps=3", "optimiser.lr=0.0005"))
    told = capfd.readouterr().err.splitlines()
    assert told[:2] == ["from step 2 on: steps = 3 (was 2)", "from step 2 on: optimiser.lr = 0.0005 (was 0.001)"]
    lines = [json.loads(line) for line in Path("run/metrics.jsonl").read_text().splitlines()]
    assert [line["lr"] for line in lines if "lr" in line][-1] == 0.0005
    before = (Path("run/step-000003/state.json").stat().st_mtime_ns, Path("run/commands.json").read_text())
    last = train(*make("t2i", *same, "steps=3", "optimiser.lr=0.0005"))
    assert "the run in 'run' has done its 3 steps already; nothing more is learnt" in capfd.readouterr().err
    assert last == Path("run/step-000003")
    assert before == (last.joinpath("state.json").stat().st_mtime_ns, Path("run/commands.json").read_text())


def test_checkpoints_of_another_architecture_are_refused(make: Make) -> None:
    train(*make("autoencoder", "run_dir=run", "steps=2", *QUIET))
    config, _ = make("autoencoder", "run_dir=run", "steps=4", *QUIET)
    _, other = make("autoencoder", "run_dir=run", "steps=4", "model.preset=tiny", *QUIET)
    with pytest.raises(RunError, match="of another architecture"):
        train(config, other)


def test_without_git_a_run_is_recorded_all_the_same(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    config, stage = make("t2i", "run_dir=run", "steps=1", *QUIET)
    monkeypatch.setenv("PATH", "")
    train(config, stage)
    assert "(no git)" in Path("run/version.txt").read_text()


def test_without_a_compiler_compiling_is_refused_in_a_sentence(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(OptionError, match=r"needs a C\+\+ compiler, and none is found; install g\+\+"):
        make("t2i", "run_dir=run", "steps=1", "compile=true", *QUIET)
