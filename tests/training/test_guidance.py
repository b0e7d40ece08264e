"""The stage `guidance`: equal to its teacher at first, then its guided velocity; resumes to the bit."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from PIL import Image
from tests.training.conftest import Make
from tests.training.test_loop import QUIET, equal, final

from inkontext.errors import ConfigError, OptionError
from inkontext.model.initialise import initialise
from inkontext.model.presets import PRESETS
from inkontext.model.transformer import FluxTransformer
from inkontext.pipeline import Pipeline
from inkontext.sequence import image_ids, text_ids
from inkontext.training.config import load_config
from inkontext.training.guidance import GuidanceStage, with_guidance
from inkontext.training.loop import step_generator, train
from inkontext.weights.card import read_card
from inkontext.weights.embedded import make_untrained

CONFIGS = Path(__file__).parents[2] / "configs"


def noisy(module: torch.nn.Module) -> None:
    """Noise on every weight: an untrained model's gates are shut, so that it does not hear the text."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=generator))


def away_from_zero(stage: GuidanceStage) -> None:
    """Teacher and student with weights that do something, still equal."""
    noisy(stage.teacher)
    stage.transformer.load_state_dict(with_guidance(stage.teacher, 1.0).state_dict())


@pytest.mark.parametrize("name", ["debug", "tiny"])  # with and without the input in the teacher
def test_the_student_starts_equal_to_its_teacher(name: str) -> None:
    cfg = PRESETS[name].transformer
    teacher = initialise(FluxTransformer(cfg))
    noisy(teacher)
    student = with_guidance(teacher, 1.5)
    assert student.cfg.guidance_embed and student.guidance_in is not None
    assert not student.guidance_in.out_layer.weight.any()
    inputs = (
        torch.randn(2, 8, cfg.in_channels), image_ids((2, 2), [(2, 2)]), torch.randn(2, 3, cfg.context_in_dim),
        text_ids(3), torch.tensor([0.2, 0.9]), torch.randn(2, cfg.vec_in_dim),
    )  # fmt: skip
    wanted = teacher(*inputs, guidance=torch.full((2,), 1.5) if cfg.guidance_embed else None)
    for guidance in (0.0, 1.0, 7.0):
        torch.testing.assert_close(student(*inputs, guidance=torch.full((2,), guidance)), wanted, rtol=1e-5, atol=1e-5)


def test_it_learns_the_guided_velocity_by_hand(make: Make) -> None:
    _, stage = make("guidance", "batch=6", "guidance.range=[3.0,3.0]", "guidance.default=3.0")
    assert isinstance(stage, GuidanceStage)
    away_from_zero(stage)
    for group in next(stage.batches(0)):
        target, context = stage.encode(group)
        t, eps = torch.full((len(group),), 0.6), torch.randn(target.shape)
        _, _, told = stage.velocity(stage.teacher, stage.towers, target, context, group.instructions, t, eps)
        _, _, untold = stage.velocity(stage.teacher, stage.towers, target, context, [""] * len(group), t, eps)
        wanted = -2 * untold + 3 * told
        _, _, v = stage.velocity(stage.transformer, stage.towers, target, context, group.instructions, t, eps,
                                 torch.full((len(group),), 3.0))  # fmt: skip
        assert (told - untold).abs().max() > 1e-4
        found = stage.loss(stage.transformer, stage.towers, target, context, group.instructions, t, eps)
        torch.testing.assert_close(found, (v - wanted).square().mean((1, 2)), rtol=1e-4, atol=1e-7)


def test_loss_falls_on_a_fixed_batch_and_the_teacher_stays(make: Make) -> None:
    _, stage = make("guidance", "batch=6", "steps=100000", "flow.drop_text=0", "model.train_text=true")
    assert isinstance(stage, GuidanceStage)
    away_from_zero(stage)
    before = {k: v.clone() for k, v in stage.teacher.state_dict().items()}
    words = [p.clone() for p in stage.teacher_towers.t5.parameters()]
    batch = next(stage.batches(0))
    losses = [stage.update(i, batch, step_generator(0, 0))["loss"] for i in range(25)]
    assert losses[-1] < 0.7 * losses[0]
    assert all(torch.equal(v, before[k]) for k, v in stage.teacher.state_dict().items())
    assert all(torch.equal(a, b) for a, b in zip(words, stage.teacher_towers.t5.parameters(), strict=True))
    assert all(p.grad is None for p in stage.teacher.parameters())
    assert stage.transformer.guidance_in is not None and stage.transformer.guidance_in.out_layer.weight.any()


def test_resuming_is_exact(make: Make) -> None:
    small = ("steps=10", "batch=4", "checkpoint_every=5", "optimiser.schedule=constant", *QUIET)
    train(*make("guidance", "run_dir=whole", *small))
    train(*make("guidance", "run_dir=parts", *small, "minutes=0.000001"))
    train(*make("guidance", "run_dir=parts", *small))
    assert equal(final(Path("whole"), 10), final(Path("parts"), 10))


def test_the_model_takes_a_guidance(make: Make, photo: Image.Image, tmp_path: Path) -> None:
    """Also from a teacher that has no such input."""
    teacher = make_untrained(tmp_path / "teacher", "tiny")
    small = ("steps=2", "batch=2", "validate_every=2", "sample_every=2", "data.size=64")
    train(*make("guidance", "run_dir=run", f'model.start="{teacher}"', "model.preset=tiny", *small))
    card = read_card(Path("run/model/inkontext.json"))
    assert card is not None and card.transformer.guidance_embed and card.sampling.guidance == 2.5
    assert json.loads(Path("run/model/transformer/config.json").read_text())["guidance_embeds"] is True
    pipeline = Pipeline.from_pretrained("run/model")
    assert pipeline.edit(photo, "make it blue", steps=2).metadata["guidance"] == 2.5
    pipeline.edit(photo, "make it blue", steps=2, guidance=4.0)
    with pytest.raises(OptionError, match="no guidance input"):
        Pipeline.from_pretrained(teacher).edit(photo, "make it blue", guidance=4.0)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("guidance.range=[3.0, 1.0]", r"give range = \[lowest, highest\]"),
        ("guidance.default=9.0", r"default \(9.0\) between them"),
        ("stage=kontext", r"stage 'kontext' does not read the table \[guidance\]"),
    ],
)
def test_mistakes_in_the_file(change: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        load_config(CONFIGS / "debug/guidance.toml", [change])


def test_the_config_of_tiny_is_valid() -> None:
    assert load_config(CONFIGS / "tiny/guidance.toml").stage == "guidance"
