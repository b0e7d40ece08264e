"""The stage `context-cache`: it learns, resumes to the bit, and leaves a model that says what it needs."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from diffusers import FluxKontextPipeline
from PIL import Image
from tests.training.conftest import Make
from tests.training.test_loop import QUIET, equal, final

from inkontext.errors import ConfigError
from inkontext.flow.path import flow_matching_loss
from inkontext.model.transformer import FluxTransformer
from inkontext.pipeline import Pipeline
from inkontext.training.config import load_config
from inkontext.training.context_cache import ContextCacheStage, follower
from inkontext.training.features import block_features, unlike
from inkontext.training.loop import step_generator, train
from inkontext.training.start import load_start
from inkontext.weights.card import read_card
from inkontext.weights.convert import convert
from inkontext.weights.embedded import make_untrained
from inkontext.weights.load import transformer_of
from inkontext.weights.source import resolve

CONFIGS = Path(__file__).parents[2] / "configs"


def away_from_zero(stage: ContextCacheStage) -> None:
    """The same noise on the weights of teacher and student: an untrained model's gates are shut, and hide attention."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for a, b in zip(stage.teacher.parameters(), stage.transformer.parameters(), strict=True):
            noise = 0.05 * torch.randn(a.shape, generator=generator)
            a.add_(noise)
            b.add_(noise)


@pytest.mark.parametrize("change", ["model.train_text=false", "model.train_text=true", "context_cache.features=1"])
def test_loss_falls_on_a_fixed_batch(change: str, make: Make) -> None:
    _, stage = make(
        "context-cache", "batch=6", "steps=100000", "flow.drop_text=0", "context_cache.flow=0", change
    )  # fmt: skip
    assert isinstance(stage, ContextCacheStage)
    away_from_zero(stage)
    batch = next(stage.batches(0))
    losses = [stage.update(i, batch, step_generator(0, 0))["loss"] for i in range(25)]
    assert losses[-1] < 0.5 * losses[0]


def test_the_teacher_stays_and_the_loss_is_a_mixture(make: Make) -> None:
    _, stage = make(
        "context-cache", "batch=4", "context_cache.flow=0.25", "context_cache.guidance=[2.5, 2.5]", "flow.guidance=2.5",
        "model.train_text=true",
    )  # fmt: skip
    assert isinstance(stage, ContextCacheStage)
    before = {k: v.clone() for k, v in stage.teacher.state_dict().items()}
    words = [p.clone() for p in stage.teacher_towers.t5.parameters()]
    batch = next(stage.batches(0))
    stage.update(0, batch, step_generator(0, 0))
    assert all(torch.equal(v, before[k]) for k, v in stage.teacher.state_dict().items())
    assert all(torch.equal(a, b) for a, b in zip(words, stage.teacher_towers.t5.parameters(), strict=True))
    group = batch[0]
    target, context = stage.encode(group)
    rows = (target, context, group.instructions, torch.full((len(group),), 0.6), torch.randn(target.shape))
    guidance = torch.full((len(group),), 2.5)
    x0, noise, v = stage.velocity(stage.transformer, stage.towers, *rows, guidance)
    _, _, wanted = stage.velocity(stage.teacher, stage.teacher_towers, *rows, guidance)
    of_teacher, of_data = (v - wanted).square().mean((1, 2)), flow_matching_loss(v, x0, noise)
    torch.testing.assert_close(stage.loss(stage.transformer, stage.towers, *rows), of_teacher)  # as in validation
    stage.distil = stage.distil.model_copy(update={"guidance": None})
    torch.testing.assert_close(stage.loss(stage.transformer, stage.towers, *rows), 0.75 * of_teacher + 0.25 * of_data)


def test_target_and_guidance_agree(make: Make) -> None:
    """What least squares finds for a teacher u + (g - 1) d, whose data's mean is u, is that teacher at every g."""
    _, stage = make("context-cache", "context_cache.flow=0.1", "context_cache.guidance=[1.0, 2.5]", "flow.guidance=1.0")
    assert isinstance(stage, ContextCacheStage)
    stage.generator = torch.Generator().manual_seed(0)
    guidance, of_data = stage.asked(20_000)
    assert guidance is not None and set(of_data.tolist()) == {0.0, 1.0}
    assert of_data.mean().item() == pytest.approx(0.1, abs=0.01)
    assert guidance[of_data > 0].unique().tolist() == [1.0]
    assert guidance[of_data == 0].mean().item() == pytest.approx(1.75, abs=0.02)
    u, d = 0.3, -2.0
    wanted = (1 - of_data) * (u + (guidance - 1) * d) + of_data * u  # the minimiser of both parts of a row's loss
    design = torch.stack([torch.ones_like(guidance), guidance - 1], dim=1).double()
    found = torch.linalg.lstsq(design, wanted.double()[:, None]).solution[:, 0]
    torch.testing.assert_close(found, torch.tensor([u, d]).double(), rtol=1e-6, atol=1e-6)


def test_what_is_minimised_has_the_features_too(make: Make) -> None:
    _, stage = make("context-cache", "batch=4", "context_cache.features=0.5")
    assert isinstance(stage, ContextCacheStage)
    away_from_zero(stage)
    group = next(g for g in next(stage.batches(0)) if g.references)
    target, context = stage.encode(group)
    rows = (target, context, group.instructions, torch.full((len(group),), 0.6), torch.randn(target.shape))
    tokens = target.shape[2] * target.shape[3] // 4
    image = tokens + sum(z.shape[2] * z.shape[3] // 4 for z in context)
    with block_features(stage.transformer, image, tokens) as mine, block_features(stage.teacher, image, tokens) as its:
        loss = stage.loss(stage.transformer, stage.towers, *rows)
    assert unlike(mine, its).min() > 0
    torch.testing.assert_close(stage.row_loss(group, *rows), loss + 0.5 * unlike(mine, its))


def test_resuming_is_exact(make: Make) -> None:
    small = ("steps=10", "batch=4", "checkpoint_every=5", "optimiser.schedule=constant", *QUIET)
    train(*make("context-cache", "run_dir=whole", *small))
    train(*make("context-cache", "run_dir=parts", *small, "minutes=0.000001"))
    train(*make("context-cache", "run_dir=parts", *small))
    assert equal(final(Path("whole"), 10), final(Path("parts"), 10))


@pytest.fixture
def made(make: Make) -> Path:
    """The model of a run of two steps."""
    train(*make("context-cache", "run_dir=run", "steps=2", "batch=2", "validate_every=2", "sample_every=2"))
    return Path("run/model")


def test_the_model_says_that_its_context_is_kept(made: Path, photo: Image.Image) -> None:
    card = read_card(made / "inkontext.json")
    assert card is not None and card.transformer.asymmetric and card.transformer.context_time == 1.0
    pipeline = Pipeline.from_pretrained(made)
    pipeline.edit(photo, "make it blue", steps=2, count=2)
    assert pipeline.context_cache is not None
    assert pipeline.context_cache.computed == {"context": 1, "text": 1}
    (made / "inkontext.json").unlink()  # the folder alone still says it
    cfg = json.loads((made / "transformer/config.json").read_text())
    assert cfg["_class_name"] == "AsymmetricFluxTransformer2DModel"
    assert cfg["context_time"] == transformer_of(resolve(made))[1].context_time == 1.0
    assert transformer_of(resolve(made))[1].asymmetric
    with pytest.raises(ValueError, match="has no class `AsymmetricFluxTransformer2DModel"):
        FluxKontextPipeline.from_pretrained(made)


def test_it_survives_the_other_layout(made: Path) -> None:
    folder = convert(resolve(made), Path("other"), "bfl")
    cfg = transformer_of(resolve(folder))[1]
    assert cfg.asymmetric and cfg.context_time == 1.0


def test_cards_from_before_are_symmetric(debug_folder: Path, tmp_path: Path) -> None:
    body = json.loads((debug_folder / "inkontext.json").read_text())
    del body["transformer"]["asymmetric"], body["transformer"]["context_time"]
    (tmp_path / "card.json").write_text(json.dumps(body))
    card = read_card(tmp_path / "card.json")
    assert card is not None and not card.transformer.asymmetric and card.transformer.context_time == 0.0


def test_it_does_not_begin_from_its_own_kind(made: Path, make: Make) -> None:
    with pytest.raises(ConfigError, match="asymmetric already; its teacher is the symmetric model"):
        make("context-cache", f'model.start="{made}"')


def test_it_goes_on_with_another_teacher(made: Path, make: Make, tmp_path: Path) -> None:
    other = make_untrained(tmp_path / "other", "debug", seed=1)
    _, stage = make("context-cache", f'model.start="{made}"', f'context_cache.teacher="{other}"', "batch=2")
    assert isinstance(stage, ContextCacheStage)
    began = transformer_of(resolve(made))[1]
    assert stage.transformer.cfg == began and not stage.teacher.cfg.asymmetric
    kept = load_start(str(made)).transformer.state_dict()
    assert all(torch.equal(v, kept[k]) for k, v in stage.transformer.state_dict().items())
    shared = load_start(str(other))
    for mine, its in ((stage.towers.t5, shared.towers.t5), (stage.autoencoder, shared.autoencoder)):
        assert all(torch.equal(v, its.state_dict()[k]) for k, v in mine.state_dict().items())
    stage.update(0, next(stage.batches(0)), step_generator(0, 0))
    with pytest.raises(ConfigError, match="is for an asymmetric student of the shape of"):
        make("context-cache", f'context_cache.teacher="{other}"')


def test_it_gets_the_guidance_input_of_its_teacher(debug_folder: Path) -> None:
    teacher = load_start(str(debug_folder)).transformer
    plain = FluxTransformer(replace(teacher.cfg, guidance_embed=False, asymmetric=True, context_time=0.5))
    student = follower(plain, teacher, "debug")
    assert student.cfg == replace(teacher.cfg, asymmetric=True, context_time=0.5)
    state = student.state_dict()
    assert all(torch.equal(v, state[k]) for k, v in plain.state_dict().items())
    assert teacher.guidance_in is not None
    assert all(torch.equal(v, state[f"guidance_in.{k}"]) for k, v in teacher.guidance_in.state_dict().items())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ('context_cache={teacher="debug", time=0.5}', "keeps its own time; remove time or teacher"),
        ("context_cache.flow=2", "less than or equal to 1"),
        ("context_cache.guidance=[3.0, 1.0]", r"guidance \[3.0, 1.0\] is no range"),
        ("stage=kontext", r"stage 'kontext' does not read the table \[context_cache\]"),
    ],
)
def test_mistakes_in_the_file(change: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        load_config(CONFIGS / "debug/context-cache.toml", [change])


def test_a_guidance_needs_an_input_for_it(make: Callable[..., object], tmp_path: Path) -> None:
    teacher = make_untrained(tmp_path / "teacher", "tiny")
    with pytest.raises(ConfigError, match="teacher' has no guidance input"):
        make("context-cache", f'model.start="{teacher}"', "model.preset=tiny")


def test_the_config_of_tiny_is_valid() -> None:
    assert load_config(CONFIGS / "tiny/context-cache.toml").stage == "context-cache"


def test_the_minimiser_at_guidance_g_is_the_teacher_at_g(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """The loss itself, for a linear model: a teacher u + (g - 1) d over data whose velocity has the mean u.

    The loss of v = a + (g - 1) b is a square in (a, b), so one Newton step from anywhere is its minimiser.
    """
    _, stage = make("context-cache", "context_cache.flow=0.1", "context_cache.guidance=[1.0, 2.5]")
    assert isinstance(stage, ContextCacheStage)
    rows, u, d = 4000, 0.3, -2.0
    found = torch.zeros(2, dtype=torch.float64, requires_grad=True)

    def velocity(model: FluxTransformer, *args: object) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        guidance = args[-1]
        assert isinstance(guidance, torch.Tensor)
        ours = model is stage.transformer
        at = found if ours else torch.tensor([u, d], dtype=torch.float64)
        v = (at[0] + (guidance.double() - 1) * at[1])[:, None, None]
        return torch.zeros_like(v), torch.full_like(v, u).detach(), v

    monkeypatch.setattr(stage, "velocity", velocity)
    stage.generator = torch.Generator().manual_seed(0)
    z = torch.zeros(rows, 16, 2, 2)
    loss = stage.loss(stage.transformer, stage.towers, z, [], [""] * rows, torch.full((rows,), 0.5), z).mean()
    (slope,) = torch.autograd.grad(loss, found, create_graph=True)
    curve = torch.stack([torch.autograd.grad(part, found, retain_graph=True)[0] for part in slope])
    minimiser = found - torch.linalg.solve(curve, slope)
    torch.testing.assert_close(minimiser, torch.tensor([u, d], dtype=torch.float64), rtol=1e-5, atol=1e-6)
