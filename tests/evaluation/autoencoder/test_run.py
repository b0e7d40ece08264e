"""The autoencoders' benchmark: figures against closed forms, resuming, loading, what stands beside."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from inkontext.errors import OptionError
from inkontext.evaluation.autoencoder.pictures import PictureList, from_folder, from_world
from inkontext.evaluation.autoencoder.report import report_of
from inkontext.evaluation.autoencoder.run import NO_VGG, evaluate, moments
from inkontext.evaluation.autoencoder.systems import (
    Jpeg,
    Made,
    NoReconstructionError,
    Resize,
    System,
    beside,
    latent_bytes,
    networks,
)
from inkontext.evaluation.fidelity import psnr
from inkontext.pipeline import Pipeline
from inkontext.weights.architecture import autoencoder_json
from tests.weights.samples import SMALL_AUTOENCODER, random_state, reduced, save_bfl, to_diffusers

CPU, F32 = torch.device("cpu"), torch.float32


class Darker:
    """Every value lower by so much, down to black."""

    def __init__(self, by: int) -> None:
        self.label, self.by = f"darker by {by}", by
        self.identity = {"kind": "darker", "by": by}
        self.made = 0

    def check(self, size: int) -> None:
        pass

    def make(self, pixels: np.ndarray) -> Made:
        self.made += 1
        if pixels.mean() < 20:
            raise NoReconstructionError("too dark already")
        return Made(np.maximum(pixels, self.by) - np.uint8(self.by), 10)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four grey pictures, one nearly black, and one that is cut short."""
    made = tmp_path / "pictures"
    made.mkdir()
    for number, level in enumerate((100, 150, 200, 10)):
        Image.new("RGB", (40, 32), (level,) * 3).save(made / f"{number}.png")
    (made / "bad.png").write_bytes((made / "0.png").read_bytes()[:60])
    return made


@pytest.fixture
def listed(folder: Path) -> PictureList:
    return from_folder(folder, 32)


def test_the_figures(folder: Path, listed: PictureList) -> None:
    body = evaluate(listed, folder, [Darker(51), *beside(32)]).body
    got = body["results"]["darker by 51"]
    assert got["psnr"] == {"n": 3, "mean": pytest.approx(20 * np.log10(5), abs=1e-6), "sd": 0, "se": 0}
    assert got["reasons"] == {"too dark already": 1} and got["bytes"] == 10
    # On flat pictures SSIM is its luminance term.
    terms = [(2 * a * b + 6.5025) / (a * a + b * b + 6.5025) for a, b in ((100, 49), (150, 99), (200, 149))]
    assert got["ssim"]["mean"] == pytest.approx(np.mean(terms), abs=1e-6)
    assert got["ssim"]["sd"] == pytest.approx(np.std(terms, ddof=1), abs=1e-6)
    assert got["ssim"]["se"] == pytest.approx(np.std(terms, ddof=1) / 3**0.5, abs=1e-6)
    assert got["pdist"] == {"n": 0, "mean": None, "sd": None, "se": None}
    assert body["metrics"]["pdist"]["unavailable"] == NO_VGG
    assert body["pictures"] == 4 and "damaged or cut short" in body["missing_pictures"]["bad.png"]
    assert body["results"]["resize to 1/8"]["psnr"]["mean"] == 99.0  # flat pictures survive being resized
    told = [note for section in report_of(body).sections for note in getattr(section, "notes", ())]
    assert any(NO_VGG in note for note in told) and any("bad.png" in note for note in told)
    assert any(listed.sha256 in note for note in told)


def test_a_distance_adds_its_column(folder: Path, listed: PictureList) -> None:
    class Distance:
        def __init__(self) -> None:
            self.identity = {"weights": "x"}

        def __call__(self, a: np.ndarray, b: np.ndarray) -> float:
            return float(np.abs(a.astype(int) - b).mean())

    body = evaluate(listed, folder, [Darker(51)], Distance()).body  # type: ignore[arg-type]
    assert body["results"]["darker by 51"]["pdist"]["mean"] == 51
    assert [table.title for table in report_of(body).sections][:3] == ["PDist ↓", "SSIM ↑", "PSNR, dB ↑"]


def test_moments() -> None:
    assert moments([]) == {"n": 0, "mean": None, "sd": None, "se": None}
    assert moments([None, 3.0]) == {"n": 1, "mean": 3.0, "sd": None, "se": None}
    values = [1.0, 2.0, 4.0, 8.0]
    assert moments(values)["se"] == pytest.approx(np.std(values, ddof=1) / 2, abs=1e-6)


def files(folder: Path) -> dict[str, bytes]:
    """Everything but the times and the lock."""
    skip = {"timings.jsonl", ".lock"}
    paths = (p for p in folder.rglob("*") if p.is_file() and p.name not in skip)
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in paths}


def test_an_interrupted_run_goes_on_to_the_same_bytes(folder: Path, listed: PictureList, tmp_path: Path) -> None:
    systems: list[System] = [Darker(51), *beside(32)]
    evaluate(listed, folder, systems, out=tmp_path / "whole")

    def stop(done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluate(listed, folder, systems, out=tmp_path / "torn", watch=stop)
    with (tmp_path / "torn/results.jsonl").open("ab") as file:
        file.write(b'{"key": "00002", "na')
    counted = Darker(51)
    result = evaluate(listed, folder, [counted, *beside(32)], out=tmp_path / "torn")
    assert counted.made == 2  # of the four that can be read
    assert result.notes and files(tmp_path / "torn") == files(tmp_path / "whole")
    assert set(files(tmp_path / "whole")) > {"list.json", "report.html", "results.json", "pictures/00000/original.png"}
    page = (tmp_path / "whole/report.html").read_text()
    assert "pictures/00003/3.png" in page and str(tmp_path) not in page
    with pytest.raises(OptionError, match="other settings"):
        evaluate(listed, folder, [Darker(9)], out=tmp_path / "torn")


def test_a_lost_example_is_made_again(folder: Path, listed: PictureList, tmp_path: Path) -> None:
    evaluate(listed, folder, [Darker(51)], out=tmp_path / "run")
    before = files(tmp_path / "run")
    (tmp_path / "run/pictures/00001/0.png").unlink()
    evaluate(listed, folder, [counted := Darker(51)], out=tmp_path / "run")
    after = files(tmp_path / "run")
    assert counted.made == 1 and before["results.json"] == after["results.json"] and set(before) == set(after)


def test_equal_bytes() -> None:
    assert latent_bytes(256) == 16 * 32 * 32 * 2 == 32_768 and latent_bytes(64, 4, 4) == 4 * 16 * 16 * 2
    eighth, equal, jpeg = beside(256)
    assert isinstance(eighth, Resize) and isinstance(equal, Resize) and isinstance(jpeg, Jpeg)
    assert (eighth.side, equal.side, jpeg.limit) == (32, 104, 32_768)
    assert 3 * equal.side**2 <= 32_768 < 3 * (equal.side + 1) ** 2


@pytest.mark.parametrize("kind", ["picture", "noise"])
def test_jpeg_takes_the_best_quality_that_fits(kind: str, capfd: pytest.CaptureFixture[str]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (128, 128, 3), np.uint8)
    if kind == "picture":
        pixels = np.asarray(Image.fromarray(pixels).resize((9, 9)).resize((128, 128)))
    made = Jpeg(8192).make(pixels)
    assert made.quality is not None and made.nbytes <= 8192

    def length(quality: int) -> int:
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "JPEG", quality=quality, subsampling=0)
        return file.tell()

    assert length(made.quality) * 0.7 < made.nbytes <= length(made.quality)
    assert made.quality == 100 or length(made.quality + 1) > 8192
    assert psnr(pixels, made.pixels) > 9 and not capfd.readouterr().err
    with pytest.raises(NoReconstructionError, match="at most 300 bytes"):
        Jpeg(300).make(pixels)


def test_our_autoencoder_is_the_pipelines(debug_folder: Path, pipeline: Pipeline) -> None:
    (system,) = networks([str(debug_folder)], CPU, F32)
    pixels = np.random.default_rng(0).integers(0, 256, (32, 48, 3), np.uint8)[:32, :32]
    made = system.make(pixels)
    x = torch.tensor(pixels / 127.5 - 1, dtype=F32).permute(2, 0, 1)[None]
    with torch.no_grad():
        out = pipeline.autoencoder.decode(pipeline.autoencoder.encode(x))
    wanted = ((out[0].clamp(-1, 1) + 1) * 127.5).permute(1, 2, 0).numpy()
    assert np.abs(made.pixels - wanted).max() <= 0.5 + 1e-3 and made.nbytes == 16 * (32 // system.factor) ** 2 * 2  # type: ignore[attr-defined]


def test_every_way_to_name_one(debug_folder: Path, tmp_path: Path) -> None:
    bfl = save_bfl(tmp_path / "flux", reduced("kontext-dev"))
    state = random_state(SMALL_AUTOENCODER, seed=1)
    kl = tmp_path / "kl"
    kl_file = "diffusion_pytorch_model.safetensors"
    kl.mkdir()
    save_file(to_diffusers(state, SMALL_AUTOENCODER), kl / kl_file)
    (kl / "config.json").write_text(json.dumps(autoencoder_json(SMALL_AUTOENCODER)))
    run = tmp_path / "run"
    (run / "model").mkdir(parents=True)
    (run / "model/vae").symlink_to(kl, target_is_directory=True)
    (run / "config.json").write_text("{}")
    other = tmp_path / "flux/other.safetensors"  # beside ae.safetensors, and not to be taken for it
    save_file(random_state(SMALL_AUTOENCODER, seed=2), other)
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    made = {}
    for name in (bfl.parent / "ae.safetensors", bfl, kl, run, other, debug_folder / "vae"):
        (system,) = networks([str(name)], CPU, F32)
        made[system.label] = system.make(pixels).pixels
    assert set(made) == {"ae", "model", "kl", "run", "other", "debug"}
    for name in ("model", "kl", "run"):
        assert np.abs(made[name].astype(int) - made["ae"]).max() <= 1
    assert (made["other"] != made["ae"]).mean() > 0.1
    with pytest.raises(OptionError, match="the same weights as"):
        networks([str(kl), str(run)], CPU, F32)
    assert [system.label for system in networks([str(debug_folder), str(kl)], CPU, F32)] == ["debug", "kl"]
    twin = shutil.copytree(kl, tmp_path / "two/kl")
    save_file(to_diffusers(random_state(SMALL_AUTOENCODER, seed=3), SMALL_AUTOENCODER), twin / kl_file)
    first, second = (system.label for system in networks([str(kl), str(twin)], CPU, F32))
    assert first.startswith("kl (") and second.startswith("kl (") and first != second


def test_autoencoders_of_other_families_run_in_diffusers(tmp_path: Path) -> None:
    diffusers = pytest.importorskip("diffusers")
    torch.manual_seed(0)
    blocks = 2
    theirs = diffusers.AutoencoderKL(
        block_out_channels=(32, 64), latent_channels=4, norm_num_groups=8, layers_per_block=1,
        down_block_types=["DownEncoderBlock2D"] * blocks, up_block_types=["UpDecoderBlock2D"] * blocks,
    )  # fmt: skip
    theirs.save_pretrained(tmp_path / "sd")
    (system,) = networks([str(tmp_path / "sd")], CPU, F32)
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    made = system.make(pixels)
    x = torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 127.5 - 1
    with torch.no_grad():
        out = theirs.eval()(x, sample_posterior=False).sample
    wanted = ((out[0].clamp(-1, 1) + 1) * 127.5).round().permute(1, 2, 0).numpy()
    assert np.abs(made.pixels - wanted).max() <= 1 and made.nbytes == 4 * 16 * 16 * 2


def test_nan_is_missing_and_sizes_must_divide(debug_folder: Path) -> None:
    (system,) = networks([str(debug_folder)], CPU, F32)
    with pytest.raises(OptionError, match="multiples of"):
        system.check(33)
    system.module.decoder.conv_out.bias.data[0] = float("nan")  # type: ignore[attr-defined]
    body = evaluate(from_world(32, 2), None, [system]).body
    assert body["results"]["debug"]["psnr"] == {"n": 0, "mean": None, "sd": None, "se": None}
    assert body["results"]["debug"]["reasons"] == {"its output has NaN or infinity in it": 2}
