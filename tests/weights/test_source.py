"""From what the user typed to files."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import huggingface_hub.constants
import pytest
import torch
from safetensors.torch import save_file

from inkontext.errors import ModelNotFoundError, WeightsError
from inkontext.weights.load import autoencoder_of, sampling_of, transformer_of
from inkontext.weights.source import model_from_environment, resolve
from tests.weights.samples import reduced, save_bfl

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty hub cache and no network."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({"x": torch.ones(1)}, path)
    return path


def names(paths: tuple[Path, ...]) -> list[str]:
    return [p.name for p in paths]


def test_a_diffusers_folder(debug_folder: Path) -> None:
    source = resolve(debug_folder)
    assert (source.name, source.folder, source.text) == ("debug", debug_folder, debug_folder)
    assert [p.parent.name for p in (*source.transformer, *source.autoencoder)] == ["transformer", "vae"]
    assert source.card is not None
    assert set(source.configs) == {"transformer", "vae", "scheduler", "index"}


def test_a_single_file_and_the_autoencoder_beside_it(tmp_path: Path) -> None:
    path = save_bfl(tmp_path, reduced("kontext-dev"), stem="flux1-kontext-dev")
    source = resolve(path)
    assert (source.name, source.transformer) == ("flux1-kontext-dev", (path,))
    assert source.autoencoder == (tmp_path / "ae.safetensors",)
    assert resolve(tmp_path).transformer == (path,)


def test_a_16_bit_single_file_is_found_beside_the_autoencoder(tmp_path: Path) -> None:
    touch(tmp_path / "ae.safetensors")
    path = touch(tmp_path / "flux1-kontext-dev.bf16.safetensors")
    assert resolve(tmp_path).transformer == (path,)


def test_variants_in_a_folder_are_left_out(tmp_path: Path) -> None:
    for name in ("model", "model.fp16", "model.non_ema"):
        touch(tmp_path / f"transformer/{name}.safetensors")
    assert names(resolve(tmp_path).transformer) == ["model.safetensors"]


def test_a_single_file_takes_the_folders_autoencoder(debug_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(debug_folder / "vae", tmp_path / "vae")
    assert resolve(touch(tmp_path / "flux.safetensors")).autoencoder[0].parent.name == "vae"


@pytest.mark.parametrize("folder", [True, False])
def test_another_autoencoder_and_text(tmp_path: Path, debug_folder: Path, folder: bool) -> None:
    file = next((debug_folder / "vae").glob("*.safetensors"))
    source = resolve(touch(tmp_path / "flux.safetensors"), debug_folder / "vae" if folder else file, debug_folder)
    assert source.autoencoder == (file,)
    assert source.text == debug_folder


def test_a_link_keeps_its_name_and_neighbours(tmp_path: Path) -> None:
    for name in ("flux1-dev.safetensors", "ae.safetensors"):
        blob = touch(tmp_path / "blobs" / name.replace(".", "")).rename(tmp_path / "blobs" / str(len(name)))
        (tmp_path / "snapshot").mkdir(exist_ok=True)
        (tmp_path / "snapshot" / name).symlink_to(blob)
    source = resolve(tmp_path / "snapshot/flux1-dev.safetensors")
    assert (source.name, names(source.autoencoder)) == ("flux1-dev", ["ae.safetensors"])


def test_a_relative_path(tmp_path: Path, debug_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(debug_folder)
    assert resolve(".").name == "debug"


@pytest.mark.parametrize("repo", ["black-forest-labs/FLUX.1-Kontext-dev", "someone/model"])
def test_a_hub_id_in_the_cache_keeps_its_name(offline: Path, debug_folder: Path, repo: str) -> None:
    stored = offline / f"models--{repo.replace('/', '--')}"
    shutil.copytree(debug_folder, stored / "snapshots" / COMMIT)
    (stored / "refs").mkdir()
    (stored / "refs/main").write_text(COMMIT)
    assert resolve(repo).name == repo.split("/")[1]
    assert resolve(stored / "snapshots" / COMMIT).name == repo.split("/")[1]


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize(
    "repo", ["black-forest-labs/FLUX.1-Kontext-dev", "no/such", "a--b/c", "ends/with-", "-starts/with"]
)
def test_an_unknown_hub_id_is_told_in_a_sentence(repo: str) -> None:
    with pytest.raises(ModelNotFoundError, match=f"model '{repo}' is no local path and cannot be downloaded") as caught:
        resolve(repo)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "name", ["nothing", "no/such.safetensors", "no/such.gguf", "a/b/c", "a\0b", "", "x" * 5000, "~nobody-here/x"]
)
def test_what_is_not_there(name: str) -> None:
    with pytest.raises(ModelNotFoundError, match=r"there is no model|cannot be a model's path"):
        resolve(name)


def test_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFoundError, match=r"holds neither transformer/\*\.safetensors nor a single-file model"):
        resolve(tmp_path)


def test_a_folder_with_pickles_says_so(tmp_path: Path) -> None:
    (tmp_path / "transformer").mkdir()
    (tmp_path / "transformer/model.bin").write_bytes(b"pickle")
    with pytest.raises(ModelNotFoundError, match=r"model\.bin is a pickle and is not opened"):
        resolve(tmp_path)


def test_a_folder_with_two_models(tmp_path: Path) -> None:
    touch(tmp_path / "a.safetensors")
    touch(tmp_path / "b.safetensors")
    with pytest.raises(ModelNotFoundError, match=r"several models \(a\.safetensors, b\.safetensors\); give the path"):
        resolve(tmp_path)


def test_one_shard_is_no_model(tmp_path: Path) -> None:
    touch(tmp_path / "flux-00002-of-00002.safetensors")
    path = touch(tmp_path / "flux-00001-of-00002.safetensors")
    with pytest.raises(ModelNotFoundError, match="is one shard of several; give the folder that holds the model"):
        resolve(path)
    assert len(resolve(tmp_path).transformer) == 2


def test_no_autoencoder(tmp_path: Path) -> None:
    path = save_bfl(tmp_path, reduced("dev"))
    (tmp_path / "ae.safetensors").unlink()
    with pytest.raises(ModelNotFoundError, match=r"no autoencoder; put ae\.safetensors beside the model"):
        autoencoder_of(resolve(path))


def test_an_autoencoder_that_is_not_there(tmp_path: Path) -> None:
    source = resolve(save_bfl(tmp_path, reduced("dev")), tmp_path / "absent.safetensors")
    with pytest.raises(WeightsError, match=r"absent\.safetensors' does not exist"):
        autoencoder_of(source)


def test_configs_stand_in_for_the_card(debug_folder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(debug_folder, tmp_path / "plain")
    with_card = resolve(debug_folder)
    (folder / "inkontext.json").unlink()
    without = resolve(folder)
    cfg = transformer_of(with_card)[1]
    assert transformer_of(without)[1] == cfg
    assert autoencoder_of(without)[1] == autoencoder_of(with_card)[1]
    assert sampling_of(without, cfg).shift == sampling_of(with_card, cfg).shift


def test_the_configs_latent_scale_is_used(debug_folder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(debug_folder, tmp_path / "scaled")
    (folder / "inkontext.json").unlink()
    config = json.loads((folder / "vae/config.json").read_text())
    (folder / "vae/config.json").write_text(json.dumps(config | {"scaling_factor": 0.5, "shift_factor": None}))
    found = autoencoder_of(resolve(folder))[1]
    assert (found.scale_factor, found.shift_factor) == (0.5, 0.0)


@pytest.mark.parametrize("part", ["transformer/config.json", "inkontext.json"])
def test_a_damaged_config_is_named(debug_folder: Path, tmp_path: Path, part: str) -> None:
    folder = shutil.copytree(debug_folder, tmp_path / "damaged")
    (folder / part).write_text("{")
    with pytest.raises(WeightsError, match=f"{part}' is no readable JSON"):
        resolve(folder)


@pytest.mark.parametrize(("value", "name"), [(None, "tiny"), ("", "tiny"), ("some/model", "some/model")])
def test_the_environments_model(monkeypatch: pytest.MonkeyPatch, value: str | None, name: str) -> None:
    if value is None:
        monkeypatch.delenv("INKONTEXT_MODEL", raising=False)
    else:
        monkeypatch.setenv("INKONTEXT_MODEL", value)
    assert model_from_environment() == name


def test_the_embedded_model_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INKONTEXT_CACHE", str(tmp_path))
    first = resolve("debug")
    stamps = {p: p.stat().st_mtime_ns for p in first.folder.rglob("*")}
    assert resolve("debug") == first
    assert {p: p.stat().st_mtime_ns for p in first.folder.rglob("*")} == stamps
    assert [p.name for p in tmp_path.iterdir()] == [first.folder.name]
    assert first.card is not None
    assert not first.card.trained


@pytest.mark.parametrize(
    ("part", "change", "told"),
    [
        ("transformer", {"axes_dims_rope": "abc"}, "axes_dims_rope as 'abc'"),
        ("transformer", {"axes_dims_rope": [4, 6]}, r"axes_dims_rope as \[4, 6\]"),
        ("transformer", {"axes_dims_rope": 7}, "axes_dims_rope as 7"),
        ("transformer", {"context_time": "x"}, "context_time as 'x'"),
        ("vae", {"scaling_factor": None}, "scaling_factor as None"),
        ("vae", {"scaling_factor": 0}, "scaling_factor as 0"),
        ("vae", {"norm_num_groups": 0}, "norm_num_groups as 0"),
        ("vae", {"norm_num_groups": "8"}, "norm_num_groups as '8'"),
    ],
)
def test_a_field_that_cannot_be_is_named(
    debug_folder: Path, tmp_path: Path, part: str, change: dict[str, object], told: str
) -> None:
    folder = shutil.copytree(debug_folder, tmp_path / "changed")
    (folder / "inkontext.json").unlink()
    config = json.loads((folder / part / "config.json").read_text())
    (folder / part / "config.json").write_text(json.dumps(config | change))
    with pytest.raises(WeightsError, match=rf"{part}/config\.json' gives {told} .*; restore it from where"):
        (transformer_of if part == "transformer" else autoencoder_of)(resolve(folder))
