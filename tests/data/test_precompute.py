"""Latents computed once: equal to those of training, resumed after a kill, stale ones made anew."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.data.conftest import painted, save

from inkontext.data import precompute as module
from inkontext.data.cache import MANIFEST, ROWS, Shards, owned
from inkontext.data.jobs import jobs_of
from inkontext.data.latents import CachedTowers, LatentSource, fingerprint_of, use_caches
from inkontext.data.make import Order, make
from inkontext.data.pairs import PairSource
from inkontext.data.precompute import Encoders, Outcome, load_encoders, precompute
from inkontext.errors import ConfigError, DataError, OptionError, RunError
from inkontext.training.build import build
from inkontext.training.config import load_config
from inkontext.training.loop import step_generator

Run = Callable[..., Outcome]


@pytest.fixture(scope="module")
def encoders(debug_folder: Path) -> Encoders:
    return load_encoders(str(debug_folder), str(debug_folder), None, torch.device("cpu"), torch.float32)


@pytest.fixture
def run(mixed: Path, tmp_path: Path, encoders: Encoders) -> Run:
    """Precompute the mixed set into `cache`, a few tensors a shard."""

    def go(out: Path = tmp_path / "cache", **options) -> Outcome:
        return precompute(mixed, out, 64, options.pop("encoders", encoders), 2, shard_bytes=20_000, **options)

    return go


def tensors(folder: Path) -> dict[str, torch.Tensor]:
    """Read without our own reader."""
    lines = [json.loads(line) for line in (folder / MANIFEST).read_text().splitlines()]
    found: dict[str, torch.Tensor] = {}
    for line in lines:
        body = load_file(folder / line["shard"])
        assert list(body) == sorted(line["keys"]) and (folder / line["shard"]).stat().st_size == line["bytes"]
        found |= body
    return found


def test_latents_are_those_of_training(run: Run, mixed: Path, tmp_path: Path, encoders: Encoders) -> None:
    outcome = run()
    assert (outcome.rows, outcome.kept, outcome.texts_made) == (12, 0, 13)
    pictures, latents = PairSource(mixed, 64), LatentSource(tmp_path / "cache", 64)
    assert latents.layouts != pictures.layouts and len(set(latents.layouts)) == len(set(pictures.layouts)) == 9
    for number in range(12):
        row, z = pictures.load(number), latents.load(number)
        assert z.instruction == row.instruction
        for picture, latent in zip((row.target, *row.references), (z.target, *z.references), strict=True):
            torch.testing.assert_close(latent, encoders.latents([picture])[0], atol=1e-5, rtol=1e-4)  # type: ignore[arg-type]


def test_a_second_run_computes_nothing(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = run()
    before = {p.name: p.stat().st_mtime_ns for p in (tmp_path / "cache").glob("*.safetensors")}
    monkeypatch.setattr(Encoders, "latents", None)
    monkeypatch.setattr(Encoders, "text", None)
    second = run()
    assert (second.made, second.texts_made) == (0, 0) and (second.kept, second.texts_kept) == (first.made, 13)
    assert {p.name: p.stat().st_mtime_ns for p in (tmp_path / "cache").glob("*.safetensors")} == before


def test_what_changed_is_computed_again(run: Run, mixed: Path, tmp_path: Path) -> None:
    whole = run()
    save(painted((64, 64), 999), mixed / "pictures/square-0.png")
    lines = (mixed / "metadata.jsonl").read_text().replace("tall 3", "another wish")
    (mixed / "metadata.jsonl").write_text(lines)
    again = run()
    assert (again.made, again.texts_made) == (1, 1) and again.kept == whole.made - 1
    assert LatentSource(tmp_path / "cache", 64).load(11).instruction == "another wish"


def test_another_model_makes_everything_stale(run: Run, tmp_path: Path, encoders: Encoders) -> None:
    whole = run()
    import copy

    other = replace(encoders, autoencoder=copy.deepcopy(encoders.autoencoder), towers=None)
    with torch.no_grad():
        next(other.autoencoder.parameters()).mul_(1.5)
    assert fingerprint_of(other.autoencoder) != fingerprint_of(encoders.autoencoder)
    again = run(encoders=other)
    assert (again.made, again.kept) == (whole.made, 0) and again.dropped_shards > 0
    assert all(line["kind"] == "latents" for line in map(json.loads, (tmp_path / "cache" / MANIFEST).open()))
    assert sorted(p.name for p in (tmp_path / "cache").glob("*.safetensors")) == sorted(
        json.loads(line)["shard"] for line in (tmp_path / "cache" / MANIFEST).open()
    )
    low = run(encoders=replace(other, dtype=torch.bfloat16))
    assert (low.made, low.kept) == (whole.made, 0)
    assert LatentSource(tmp_path / "cache", 64).load(0).target.dtype == torch.bfloat16


def test_torn_lines_and_stray_files_are_mended(run: Run, tmp_path: Path) -> None:
    whole = run()
    folder = tmp_path / "cache"
    expected = tensors(folder)
    lines = (folder / MANIFEST).read_text().splitlines(keepends=True)
    (folder / MANIFEST).write_text(lines[0] + lines[1][:25])
    (folder / ROWS).unlink()
    (folder / ".latents-000009.safetensors.x1").write_bytes(b"half")
    save_file({"mine": torch.zeros(1)}, folder / "mine.safetensors")
    with pytest.raises(DataError, match="holds no finished latents"):
        LatentSource(folder, 64)
    again = run()
    assert 0 < again.made < whole.made and tensors(folder).keys() == expected.keys()
    for key, tensor in tensors(folder).items():
        torch.testing.assert_close(tensor, expected[key])
    assert (folder / "mine.safetensors").exists() and not list(folder.glob(".latents*"))


_KILLED = """
import sys
from pathlib import Path
import torch
from inkontext.data.precompute import load_encoders, precompute
from tests.killed import kill_at_rename
torch.set_num_threads(1)
data, model, out, number = sys.argv[1:]
kill_at_rename(int(number), out)
precompute(Path(data), Path(out), 64, load_encoders(model, model, None, torch.device("cpu"), torch.float32), 1, 6000)
"""


def test_killed_at_any_moment(tmp_path: Path, debug_folder: Path, encoders: Encoders) -> None:
    data, out = tmp_path / "set", tmp_path / "cache"
    make(data, Order(40, 64, "shards"))
    kept = []
    for number in (4, 9):
        command = [sys.executable, "-c", _KILLED, str(data), str(debug_folder), str(out), str(number)]
        ended = subprocess.run(command, cwd=Path(__file__).parents[2])
        assert ended.returncode == -signal.SIGKILL
        with pytest.raises(DataError, match="no finished latents"):
            LatentSource(out, 64)
        lines = (out / MANIFEST).read_text().split("\n")
        kept.append(sum(line.endswith("}") for line in lines))
    assert kept == sorted(kept) and kept[-1] > kept[0]
    outcome = precompute(data, out, 64, encoders, 1, 6000)
    assert outcome.kept >= kept[-1] - 1 and outcome.made > 0
    fresh = tmp_path / "fresh"
    precompute(data, fresh, 64, encoders, 1, 6000)
    assert (out / ROWS).read_bytes() == (fresh / ROWS).read_bytes()
    mine, theirs = tensors(out), tensors(fresh)
    assert mine.keys() == theirs.keys() and all(torch.equal(mine[key], theirs[key]) for key in mine)


CONFIG = """
stage = "kontext"
run_dir = "{run}"
steps = 4
batch = 6
seed = 3
[model]
preset = "debug"
start = "{model}"
train_text = {train_text}
[data]
size = 64
[[data.sources]]
kind = "pairs"
path = "{data}"
validation = "{data}"
{cache}
[flow]
validation_rows = 8
"""


def config(tmp_path: Path, mixed: Path, model: Path, cache: Path | None, train_text: bool = False) -> Path:
    line = f'cache = "{cache}"' if cache else ""
    path = tmp_path / f"{cache is not None}.toml"
    words = {"run": tmp_path / "run", "model": model, "data": mixed, "cache": line}
    path.write_text(CONFIG.format(train_text=str(train_text).lower(), **words))
    return path


def test_training_from_latents_equals_training_from_pictures(
    tmp_path: Path, mixed: Path, debug_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = config(tmp_path, mixed, debug_folder, tmp_path / "cache")
    (job,) = jobs_of(path, None, None, None, None, None)
    assert (job.out, job.size, job.text, job.dtype) == (tmp_path / "cache", 64, None, "float32")
    encoders = load_encoders(job.model, job.towers, job.text, torch.device("cpu"), torch.float32)
    precompute(job.path, job.out, job.size, encoders, 4)
    cached = build(load_config(path))
    plain = build(load_config(config(tmp_path, mixed, debug_folder, None)))
    assert isinstance(cached.towers, CachedTowers) and not isinstance(plain.towers, CachedTowers)  # type: ignore[attr-defined]
    losses = []
    for stage in (cached, plain):
        numbers = []
        for step, batch in zip(range(4), stage.batches(0), strict=False):
            numbers.append(stage.update(step, batch, step_generator(3, step))["loss"])
        losses.append(numbers)
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    assert cached.validate()["loss"] == pytest.approx(plain.validate()["loss"], rel=1e-4)


def test_prompts_that_were_never_precomputed_are_encoded(run: Run, tmp_path: Path, encoders: Encoders) -> None:
    run()
    assert encoders.towers is not None
    head = json.loads((tmp_path / "cache" / ROWS).open().readline())
    towers = CachedTowers(encoders.towers, [Shards(tmp_path / "cache", {"text": head["text"]})])
    for prompts in (["wide 1", "", "tall 3"], ["wide 1", "something new"]):
        ours, theirs = towers(prompts), encoders.towers(prompts)
        torch.testing.assert_close(ours.txt, theirs.txt, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(ours.vec, theirs.vec, atol=1e-5, rtol=1e-4)


def test_a_cache_of_another_model_or_size_is_refused(run: Run, tmp_path: Path, mixed: Path, debug_folder: Path) -> None:
    run()
    settings = load_config(config(tmp_path, mixed, debug_folder, tmp_path / "cache"))
    stage = build(settings)
    with torch.no_grad():
        next(stage.autoencoder.parameters()).add_(1)  # type: ignore[attr-defined]
    with pytest.raises(DataError, match="another autoencoder"):
        use_caches(settings, stage.autoencoder, stage.towers)  # type: ignore[attr-defined]
    with pytest.raises(DataError, match="made at 64 pixels and the run trains at 128"):
        LatentSource(tmp_path / "cache", 128)
    shard = next((tmp_path / "cache").glob("latents-*"))
    shard.unlink()
    with pytest.raises(DataError, match="lacks the latents"):
        LatentSource(tmp_path / "cache", 64)


def test_bad_requests(mixed: Path, tmp_path: Path, debug_folder: Path, encoders: Encoders) -> None:
    with pytest.raises(OptionError, match="is the set itself"):
        precompute(mixed, mixed, 64, encoders)
    with pytest.raises(OptionError, match="needs --out DIR and --model"):
        jobs_of(mixed, None, "m", None, None, None)
    with pytest.raises(ConfigError, match="has a `cache`"):
        jobs_of(config(tmp_path, mixed, debug_folder, None), None, None, None, None, None)
    with pytest.raises(OptionError, match="leave both out"):
        jobs_of(config(tmp_path, mixed, debug_folder, None), tmp_path, None, None, None, None)
    with pytest.raises(ConfigError, match="takes no cache"):
        text = config(tmp_path, mixed, debug_folder, tmp_path / "c").read_text()
        (tmp_path / "w.toml").write_text(text.replace('kind = "pairs"', 'kind = "images"'))
        load_config(tmp_path / "w.toml")
    with owned(tmp_path / "busy"), pytest.raises(RunError, match="another process"):
        precompute(mixed, tmp_path / "busy", 64, encoders)


def test_no_towers_no_text(tmp_path: Path, mixed: Path, debug_folder: Path) -> None:
    shutil.copytree(debug_folder / "vae", tmp_path / "model/vae")
    only = load_encoders(str(tmp_path / "model"), str(tmp_path / "model"), None, torch.device("cpu"), torch.float32)
    assert only.towers is None
    outcome = module.precompute(mixed, tmp_path / "cache", 64, only)
    assert (outcome.texts_made, outcome.texts_kept) == (0, 0)
    assert len(LatentSource(tmp_path / "cache", 64)) == 12
