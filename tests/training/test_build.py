"""What a run refuses before its first step, in one sentence, leaving nothing behind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image
from tests.data.conftest import painted, png, save, write_lines, write_tar
from tests.training.conftest import Make

from inkontext.errors import ConfigError, DataError, InKontextError, ModelNotFoundError
from inkontext.model.autoencoder import AutoEncoder
from inkontext.model.presets import PRESETS
from inkontext.training.export import export_autoencoder
from inkontext.training.flow import FlowStage


def pairs(folder: Path) -> str:
    return f'data.sources=[{{kind="pairs", path="{folder}", validation="{folder}"}}]'


def empty(folder: Path) -> None:
    folder.mkdir()


def without_rows(folder: Path) -> None:
    write_lines(folder / "metadata.jsonl", [])


def unfinished(folder: Path) -> None:
    folder.mkdir()
    (folder / "making.json").write_text("{}")
    save(painted((64, 64)), folder / "images/000000.target.png")


def cut_line(folder: Path) -> None:
    save(painted((64, 64)), folder / "a.png")
    write_lines(folder / "metadata.jsonl", [{"target": "a.png", "instruction": "x"}])
    with (folder / "metadata.jsonl").open("a") as file:
        file.write('{"target": "a.p')


def cut_shard(folder: Path) -> None:
    folder.mkdir()
    path = write_tar(folder / "a.tar", {"1.target.png": png(painted((64, 64))), "1.txt": b"x"})
    path.write_bytes(path.read_bytes()[:900])


def orphans(folder: Path) -> None:
    save(painted((64, 64)), folder / "target/1.png").with_suffix(".txt").write_text("x")
    save(painted((64, 64)), folder / "reference/2.png")


def empty_picture(folder: Path) -> None:
    write_lines(folder / "metadata.jsonl", [{"target": "a.png", "instruction": "x"}])
    (folder / "a.png").touch()


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (empty, "holds no data set; expected"),
        (without_rows, "holds no rows; check the path"),
        (unfinished, "half-written: .* write it again .*`inkontext data check` lists everything"),
        (cut_line, r"half-written: metadata.jsonl:2 \(.*\); write it again"),
        (cut_shard, "half-written: a.tar"),
        (orphans, "reference without target: reference/2.png and 1 more; add the target"),
        (empty_picture, "broken picture: .* replace the picture"),
        (lambda folder: None, "there is no data set"),
    ],
)
def test_sets_that_cannot_be_trained_on(
    make: Make, tmp_path: Path, spoil: Callable[[Path], None], sentence: str
) -> None:
    spoil(tmp_path / "set")
    with pytest.raises(DataError, match=sentence) as caught:
        make("kontext", "run_dir=run", pairs(tmp_path / "set"))
    assert "\n" not in str(caught.value)
    assert not Path("run").exists()


def test_an_autoencoder_of_other_channels_is_refused(make: Make, tmp_path: Path) -> None:
    cfg = replace(PRESETS["debug"].autoencoder, z_channels=4)
    export_autoencoder(tmp_path / "four", AutoEncoder(cfg))
    with pytest.raises(ConfigError, match="the autoencoder has 4 channels and the transformer reads 16; take the"):
        make("kontext", "run_dir=run", f'model.autoencoder="{tmp_path}/four"')
    assert not Path("run").exists()


@pytest.mark.parametrize(
    ("name", "overrides", "kind", "sentence"),
    [
        ("kontext", ["model.preset=huge"], ConfigError, "unknown preset 'huge'; choose one of"),
        ("kontext", ["device=cuda:7"], InKontextError, "device 'cuda:7'"),
        ("kontext", ['data.sources=[{kind="world", tasks={paint=1}}]'], ConfigError, "no task 'paint'; choose from"),
        ("kontext", ['data.sources=[{kind="images", path="."}]'], ConfigError, "has no instructions, which stage"),
        ("kontext", ['data.sources=[{kind="world", photos="nowhere"}]'], InKontextError, "No photographs in nowhere"),
        ("autoencoder", ["model.start=nowhere/at/all"], ModelNotFoundError, "no run or model 'nowhere/at/all'"),
    ],
)
def test_settings_that_cannot_be_met(
    make: Make, name: str, overrides: list[str], kind: type[InKontextError], sentence: str
) -> None:
    with pytest.raises(kind, match=sentence):
        make(name, "run_dir=run", *overrides)
    assert not Path("run").exists()


def test_no_held_out_rows_is_told_at_once(make: Make, tmp_path: Path) -> None:
    save(Image.new("RGB", (64, 64), "red"), tmp_path / "set/a.png").with_suffix(".txt").write_text("a red square")
    with pytest.raises(ConfigError, match="no source has held-out rows; add `validation`"):
        make("t2i", "run_dir=run", f'data.sources=[{{kind="pairs", path="{tmp_path}/set"}}]')


def test_a_joint_stage_is_asked_at_the_guidance_it_was_trained_at(make: Make, debug_folder: Path) -> None:
    _, stage = make("kontext", f'model.start="{debug_folder}"', "flow.guidance=1.25", "batch=2")
    assert isinstance(stage, FlowStage) and stage.card.sampling.guidance == 1.25
    _, student = make("context-cache", f'model.start="{debug_folder}"', "batch=2")
    assert isinstance(student, FlowStage)
    assert student.card.sampling.guidance == PRESETS["debug"].sampling.guidance != 1.25
